"""The fusion as a whole: the equations in a row, what masks leave out, the loss, and what training may change."""

import numpy as np
import pytest
import torch

from common.losses import regression_loss
from common.schema import MODALITIES
from stage2_beit.inputs import drop_modalities, sinusoids
from tests.reference import assert_close
from tests.reference.fusion import fuse
from tests.stage2.small_fusion import VARIANTS, B, T, a_batch, check_learns, labels, make, statistics

ENCODERS = {
    "bare": {"block": "bare"},
    "additive": {"attention": "additive"},
    "beit": {"attention": "beit"},
}


@pytest.mark.parametrize("pathway", ["paper", "released"])
@pytest.mark.parametrize("arrangement", ["series", "parallel"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_whole_fusion_is_equations_13_to_25(pathway, arrangement, encoder):
    model, batch = make(pathway=pathway, arrangement=arrangement, **ENCODERS[encoder]), a_batch()
    model.set_statistics(statistics())
    out = model(**batch, output_attentions=True)
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    for b in range(B):
        one = {name: value[b].numpy() for name, value in batch.items()}
        frames = one["frame_mask"]
        refined, prediction, maps = fuse(
            state,
            {m: one[m].astype(np.float64) for m in MODALITIES},
            {m: one[f"present_{m}"] for m in MODALITIES},
            frames,
            pathway=pathway,
            encoder=encoder,
            arrangement=arrangement,
            heads=2,
            beit_heads=4,
            layers=2,
        )
        assert_close(out.refined[b][frames], refined[frames])
        assert_close(out.prediction[b][frames], prediction[frames])
        assert set(out.attentions) == set(maps)
        for name, one_map in out.attentions.items():
            assert_close(one_map[b], maps[name])


@pytest.mark.parametrize("changes", VARIANTS)
def test_no_bit_depends_on_what_an_absent_row_holds(changes):
    model, batch = make(**changes), a_batch()
    other = {m: batch[m].clone() for m in MODALITIES}
    for m, junk in zip(MODALITIES, (1e30, torch.nan, -5.0), strict=True):
        other[m][~(batch[f"present_{m}"] & batch["frame_mask"])] = junk
    ours, theirs = model(**batch, labels=labels()), model(**batch | other, labels=labels())
    assert torch.equal(ours.refined, theirs.refined)
    assert torch.equal(ours.prediction, theirs.prediction)
    theirs.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("changes", VARIANTS)
def test_padding_changes_nothing_at_the_frames(changes):
    model, batch = make(**changes), a_batch()
    padded = {name: torch.cat([x, torch.randn_like(x.float()).to(x.dtype)], dim=1) for name, x in batch.items()}
    padded["frame_mask"][:, T:] = False
    frames = batch["frame_mask"]
    short, long = model(**batch).prediction[frames], model(**padded).prediction[:, :T][frames]
    assert torch.allclose(short, long, atol=1e-6)


@pytest.mark.parametrize("changes", VARIANTS)
def test_mixed_precision_is_close_and_has_a_finite_gradient(changes):
    model, batch = make(scramble=False, **changes), a_batch()
    for m in MODALITIES:
        batch[f"present_{m}"][2] = False
    with torch.autocast("cpu", torch.bfloat16):
        out = model(**batch, labels=labels())
    out.loss.backward()
    assert out.loss.dtype == torch.float32
    assert torch.allclose(out.prediction.float(), model(**batch).prediction, atol=0.03)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("changes", VARIANTS)
def test_windows_of_a_batch_do_not_mix(changes):
    model, batch = make(**changes), a_batch()
    together = model(**batch).prediction
    alone = torch.cat([model(**{name: x[b : b + 1] for name, x in batch.items()}).prediction for b in range(B)])
    assert torch.allclose(together, alone, atol=1e-6)


def test_a_window_with_nothing_in_it_is_finite():
    for changes in VARIANTS:
        model, batch = make(**changes), a_batch()
        for m in MODALITIES:
            batch[f"present_{m}"][:] = False
        batch["frame_mask"][2] = False
        out = model(**batch, labels=labels())
        assert torch.isfinite(out.prediction).all() and torch.isfinite(out.loss)


def test_the_order_of_frames_matters_only_with_positions():
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    batch = a_batch()
    batch["frame_mask"][:] = True
    shuffled = {name: x[:, order] for name, x in batch.items()}
    without, given = make(), make(positional="sinusoidal")
    assert torch.allclose(without(**shuffled).prediction, without(**batch).prediction[:, order], atol=1e-5)
    assert not torch.allclose(given(**shuffled).prediction, given(**batch).prediction[:, order], atol=1e-2)


def test_sinusoids_are_known_values():
    table = sinusoids(torch.zeros(1, 4, 6))
    t = np.arange(4)
    rates = 10000.0 ** -(np.array([0, 0, 2, 2, 4, 4]) / 6)
    expected = np.where(np.arange(6) % 2 == 0, np.sin(t[:, None] * rates), np.cos(t[:, None] * rates))
    np.testing.assert_allclose(table.numpy(), expected, atol=1e-6)


# Loss


@pytest.mark.parametrize("kind", ["mse", "ccc", "mse+ccc"])
def test_the_loss_is_the_configured_one_over_labelled_frames(kind):
    model, batch, target = make(loss=kind, ccc_weight=0.3), a_batch(), labels()
    out = model(**batch, labels=target)
    masked = torch.where(batch["frame_mask"][..., None], target, torch.nan)
    assert torch.equal(out.loss, regression_loss(out.prediction, masked, kind, 0.3))
    assert model(**batch).loss is None


def test_labels_on_padding_do_not_count():
    model, batch, target = make(), a_batch(), labels()
    wild = torch.where(batch["frame_mask"][..., None], target, 5.0)
    assert torch.equal(model(**batch, labels=target).loss, model(**batch, labels=wild).loss)


def test_every_parameter_gets_a_gradient():
    for changes in VARIANTS:
        model = make(**changes)
        model(**a_batch(), labels=labels()).loss.backward()
        without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        if not model.config.cross_residual:  # an absent row neither asks nor answers, and here isn't added either
            without = [name for name in without if not name.endswith("absent")]
        assert without == []


def test_it_learns():
    check_learns(make(scramble=False, dropout=0.0).train(), a_batch(), labels())


# Training and evaluation


def test_evaluation_is_repeatable_and_training_is_not():
    model, batch = make(dropout=0.3, modality_dropout=0.5), a_batch()
    assert torch.equal(model(**batch).prediction, model(**batch).prediction)
    model.train()
    assert not torch.equal(model(**batch).prediction, model(**batch).prediction)


def test_modality_dropout_is_for_training_alone():
    model, batch = make(dropout=0.0, modality_dropout=0.7), a_batch()
    expected = make(dropout=0.0)(**batch).prediction
    assert torch.equal(model(**batch).prediction, expected)
    model.train()
    assert not torch.equal(model(**batch).prediction, expected)


def test_dropped_modalities_go_as_a_whole_and_never_all_three():
    torch.manual_seed(0)
    everything = {m: torch.ones(4000, 3, dtype=torch.bool) for m in MODALITIES}
    kept = drop_modalities(everything, 0.6)
    for mask in kept.values():
        assert torch.equal(mask, mask[:, :1].expand(-1, 3))
    there = torch.stack([kept[m][:, 0] for m in MODALITIES], dim=1)
    assert there.any(dim=1).all()
    # Kept when not drawn (0.4), or when all three were (0.6^3).
    assert there.float().mean().item() == pytest.approx(0.4 + 0.6**3, abs=0.02)


def test_equal_seeds_give_equal_models():
    first, again, other = (make(seed, scramble=False).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["projection.weight"], other["projection.weight"])


def test_what_a_window_has_is_never_hidden_altogether():
    torch.manual_seed(0)
    present = {m: torch.full((500, 3), m == "text") for m in MODALITIES}
    kept = drop_modalities(present, 0.6)
    assert kept["text"].all() and not kept["visual"].any()
