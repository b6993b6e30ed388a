"""The temporal encoder: which frames reach which, what absent rows and padding do, and how it starts."""

import torch

from stage2_beit.temporal import TemporalEncoder

D, T = 6, 40


def encoder(layers: int, kernel_frames: int = 5) -> TemporalEncoder:
    torch.manual_seed(0)
    return TemporalEncoder(D, layers=layers, kernel_frames=kernel_frames).eval()


def rows(seed: int = 1) -> torch.Tensor:
    return torch.randn(1, T, D, generator=torch.Generator().manual_seed(seed))


ALL = torch.ones(1, T, dtype=torch.bool)


def test_no_layer_changes_nothing() -> None:
    x = rows()
    assert torch.equal(encoder(0)(x, ALL, ALL), x)


def test_it_sees_as_far_as_it_says() -> None:
    for layers, kernel_frames in ((1, 3), (2, 5), (3, 3)):
        reach = (kernel_frames - 1) * (2**layers - 1) // 2
        model, x = encoder(layers, kernel_frames), rows()
        changed = x.clone()
        changed[0, 20] += torch.randn(D)
        moved = (model(x, ALL, ALL) - model(changed, ALL, ALL)).abs().amax(dim=(0, 2)) > 0
        assert moved.nonzero()[:, 0].tolist() == list(range(20 - reach, 20 + reach + 1))


def test_what_an_absent_row_holds_reaches_no_other_but_it_takes_from_its_neighbours() -> None:
    model, x = encoder(2), rows()
    present = ALL.clone()
    present[0, 10:13] = False
    other = x.clone()
    other[0, 10:13] = 100.0
    one, two = model(x, present, ALL), model(other, present, ALL)
    outside = [frame for frame in range(T) if frame not in range(10, 13)]
    assert torch.equal(one[0, outside], two[0, outside])
    assert torch.allclose((one - x)[0, 10:13], (two - other)[0, 10:13], atol=1e-4) and not torch.equal(one, x)


def test_padding_changes_nothing_and_stays_as_it_is() -> None:
    model, x = encoder(3), rows()
    mask = ALL.clone()
    mask[0, 25:] = False
    alone = model(x[:, :25], ALL[:, :25], ALL[:, :25])
    padded = x.clone()
    padded[0, 25:] = 7.0
    together = model(padded, mask, mask)
    assert torch.allclose(together[:, :25], alone, atol=1e-6)
    assert (together[0, 25:] == 7).all()


def test_a_modality_that_is_nowhere_gains_nothing_that_varies() -> None:
    nothing = torch.zeros(1, T, dtype=torch.bool)
    added = encoder(2)(rows(), nothing, ALL) - rows()
    assert torch.allclose(added, added[:, :1].expand_as(added), atol=1e-6)
