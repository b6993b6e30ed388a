"""Additive attention: the equations, whichever way they are computed; gradients; what is stored; what is compiled."""

import shutil
import subprocess
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from stage2_beit import additive, additive_kernels
from stage2_beit.additive import AdditiveAttention
from stage2_beit.additive_kernels import FACTORED_LIMIT, compiles, parts
from tests.reference import assert_close as close
from tests.reference import refinement as reference
from tests.reference import weights
from tests.stage2.small_window import B, E, T, a_window, arrays


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(9)


@pytest.fixture
def fresh():
    """Whether this device compiles is found out anew, and again by whoever comes next."""
    compiles.cache_clear()
    yield
    compiles.cache_clear()


def formula(module, h, mask):
    """Eq. 21-24 as they are written; every window must have a frame."""
    alpha = (module.query(h)[:, :, None] + module.key(h)[:, None]).tanh() @ module.v
    return alpha.masked_fill(~mask[:, None], float("-inf")).softmax(dim=-1) @ h


def results(module, h, mask, compute=None):
    """Output and the gradients of h and of the parameters, of a loss that notices every output."""
    x = h.clone().requires_grad_()
    module.zero_grad()
    torch.manual_seed(0)
    out = compute(module, x, mask) if compute else module(x, mask)
    (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
    return [out.detach(), x.grad, *(p.grad.clone() for p in module.parameters())]


def assert_same(ones, others, within):
    """The largest difference, in units of the largest number where that is above 1."""
    for one, other in zip(ones, others, strict=True):
        atol = within * max(1.0, float(other.detach().abs().max()))
        torch.testing.assert_close(one, other, rtol=0, atol=atol, check_dtype=False)


def test_additive_attention_is_eq_21_to_24():
    module, (h, mask) = AdditiveAttention(E, rows=2), a_window()
    nn.init.normal_(module.v)
    out = module(h, mask)
    for b in range(B):
        expected = reference.additive_attention(
            h[b].double().numpy(), mask[b].numpy(), *weights.additive_attention(arrays(module))
        )
        close(out[b], expected)
    assert (out[2] == 0).all()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0, 100.0, 1e4])
def test_numbers_of_any_size_agree_with_the_formula_in_float64(scale):
    module, (h, mask) = AdditiveAttention(E), a_window(empty=False)
    with torch.no_grad():
        module.query.weight.mul_(scale)
        module.key.weight.mul_(scale)
    mask[:, 0] = True
    ours = results(module, h, mask)
    assert (module.query(h).abs().max() > FACTORED_LIMIT) == (scale >= 100)  # both ways are tried
    # Rounding of q and k themselves grows with them; it isn't this function's.
    assert_same(ours, results(module.double(), h.double(), mask, formula), within=1e-5 * max(1, scale))


def test_exponentials_and_sigmoids_agree(monkeypatch):
    module, (h, mask) = AdditiveAttention(E), a_window()
    ours = results(module, h, mask)
    monkeypatch.setattr(additive_kernels, "FACTORED_LIMIT", -1.0)
    assert_same(ours, results(module, h, mask), within=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 3, T, 100])
def test_rows_at_a_time_change_neither_result_nor_gradient(rows):
    h, mask = a_window(dtype=torch.float64)
    one, other = AdditiveAttention(E, rows=T).double(), AdditiveAttention(E, rows=rows).double()
    other.load_state_dict(one.state_dict())
    assert_same(results(one, h, mask), results(other, h, mask), within=1e-13)
    with torch.no_grad():
        assert_same([one(h, mask)], [other(h, mask)], within=1e-13)


@pytest.mark.parametrize("elements", [1, 50, 200, 2000])
def test_size_of_a_tile_changes_neither_result_nor_gradient(elements, monkeypatch):
    module, (h, mask) = AdditiveAttention(E).double(), a_window(dtype=torch.float64)
    ours = results(module, h, mask)
    monkeypatch.setattr(additive_kernels, "TILE_CPU", elements)
    assert_same(ours, results(module, h, mask), within=1e-13)


def test_parts_are_even_and_leave_nothing_out():
    for length in range(1, 40):
        for most in range(1, 45):
            found = parts(length, most)
            sizes = [part.stop - part.start for part in found]
            assert max(sizes) <= most and max(sizes) - min(sizes) <= 1
            assert (found[0].start, found[-1].stop) == (0, length)
            assert all(one.stop == other.start for one, other in pairwise(found))


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_gradient_agrees_with_finite_differences(dropout):
    module = AdditiveAttention(3, rows=2, dropout=dropout).double()
    h = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False, True], [False] * 5])

    def same_draws(x, *_):
        torch.manual_seed(1)
        return module(x, mask)

    assert torch.autograd.gradcheck(same_draws, (h, *module.parameters()))


class LargestTensor(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that any operation makes."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


def test_nothing_of_the_size_of_all_pairs_ever_exists(monkeypatch):
    frames, width = 200, 16
    monkeypatch.setattr(additive, "SCORES_CPU", 2000)
    monkeypatch.setattr(additive_kernels, "TILE_CPU", 3000)
    module = AdditiveAttention(width, dropout=0.1).train()
    h, mask = torch.randn(1, frames, width, requires_grad=True), torch.ones(1, frames, dtype=torch.bool)
    with LargestTensor() as largest:
        module(h, mask).sum().backward()
    assert largest.elements == frames * width < frames * frames


def test_a_window_of_padding_is_zero_and_learns_nothing():
    module, (h, mask) = AdditiveAttention(E), a_window()
    h[2] = 1e3
    x = h.requires_grad_()
    out = module(x, mask)
    out.square().sum().backward()
    assert (out[2] == 0).all() and (x.grad[2] == 0).all()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


def test_padding_reaches_neither_a_result_nor_a_gradient():
    module, (h, mask) = AdditiveAttention(E), a_window()

    def valid_alone(module, x, mask):
        return module(x, mask) * mask[..., None]

    ours = results(module, h, mask, valid_alone)
    theirs = results(module, torch.where(mask[..., None], h, 1e3), mask, valid_alone)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def test_a_single_frame_attends_to_itself():
    h = torch.randn(2, 1, E)
    assert torch.equal(AdditiveAttention(E)(h, torch.ones(2, 1, dtype=torch.bool)), h)


def test_attention_weights_are_dropped_in_training_alone():
    module, (h, mask) = AdditiveAttention(E, dropout=0.5), a_window()
    assert not torch.equal(module.train()(h, mask), module(h, mask))
    assert torch.equal(module.eval()(h, mask), module(h, mask))


def test_dropped_weights_keep_the_mean():
    module, (h, mask) = AdditiveAttention(E, dropout=0.5), a_window()
    mean = torch.stack([module.train()(h, mask) for _ in range(2000)]).mean(dim=0)
    torch.testing.assert_close(mean, module.eval()(h, mask), rtol=0, atol=0.08)


def test_autocast_computes_the_pairs_in_float32():
    module, (h, mask) = AdditiveAttention(E), a_window()
    plain = results(module, h, mask)
    with torch.autocast("cpu", torch.bfloat16):
        cast = results(module, h, mask)
    assert cast[0].dtype == torch.float32
    assert_same(plain, cast, within=0.05)
    half = module.bfloat16()(h.bfloat16(), mask)
    assert half.dtype == torch.bfloat16
    assert_same([plain[0]], [half], within=0.05)


# What is compiled


def test_only_a_large_step_of_training_is_compiled(monkeypatch):
    asked = []
    monkeypatch.setattr(additive, "compiles", lambda device: bool(asked.append(device)))
    module, (h, mask) = AdditiveAttention(E), a_window()
    module(h, mask)
    assert asked == []
    monkeypatch.setattr(additive, "WORTH_COMPILING", B * T * T * E)
    with torch.no_grad():
        module(h, mask)
    assert asked == []
    module(h, mask)
    assert asked == [torch.device("cpu")]


def broken(*_):
    raise RuntimeError("the compiler says no\nand why")


def stopped(*_):
    raise subprocess.CalledProcessError(1, ["cc"])


def no_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")


def no_compilation(monkeypatch):
    monkeypatch.setattr(additive_kernels, "_compiled", lambda function: broken)


def no_launcher(monkeypatch):
    monkeypatch.setattr(additive_kernels, "_compiled", lambda function: stopped)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (no_compiler, "there is no C++ compiler 'no-such-compiler'; CXX names another."),
        (no_compilation, "torch.compile failed: the compiler says no."),
        (no_launcher, "torch.compile failed: Command '['cc']' returned non-zero exit status 1."),
    ],
)
def test_where_nothing_compiles_the_result_is_the_same_and_the_reason_logged(missing, said, monkeypatch, fresh, caplog):
    module, (h, mask) = AdditiveAttention(E), a_window()
    ours = results(module, h, mask)
    missing(monkeypatch)
    module.kernel = "compiled"
    for _ in range(2):
        for one, other in zip(ours, results(module, h, mask), strict=True):
            assert torch.equal(one, other)
    assert caplog.messages == [f"Additive attention runs uncompiled, several times slower: {said}"]


@pytest.mark.skipif(shutil.which("g++") is None or " " in torch.__file__, reason="no g++, or a space in torch's path")
@pytest.mark.parametrize(("dropout", "tile"), [(0.0, 2**22), (0.3, 2**22), (0.3, 2**12)])
def test_compiled_and_not_are_the_same(dropout, tile, monkeypatch):
    monkeypatch.setattr(additive_kernels, "TILE_COMPILED_CPU", tile)  # the smaller cuts a window into many
    h = torch.randn(2, 70, 32)
    mask = torch.rand(2, 70) > 0.2
    module = AdditiveAttention(32, dropout=dropout, rows=40)
    module.kernel = "eager"
    eager = results(module, h, mask)
    module.kernel = "compiled"
    assert compiles(torch.device("cpu"))
    compiled = results(module, h, mask)
    assert_same(eager, compiled, within=1e-5)
