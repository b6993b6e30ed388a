"""Losses against hand-derived values and gradients, and the faults of the published losses."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from common.errors import DataError, RecipeError
from common.losses import regression_loss
from tests.reference import TOLERANCE
from tests.reference import loss as reference

ROOT = Path(__file__).resolve().parents[2]
NAN = float("nan")
KINDS = ("mse", "ccc", "mse+ccc")


def a_batch(seed=0, shape=(3, 17)):
    rng = np.random.default_rng(seed)
    prediction, target = rng.normal(0, 0.5, (2, *shape, 2))
    target += 0.4 * prediction
    target[rng.random(shape) < 0.3] = NAN
    target[0, 0, 0] = NAN  # one of the two alone
    return prediction, target


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, TOLERANCE)])
def test_value_and_gradient_are_the_hand_derived_ones(kind, dtype, tolerance):
    p, t = a_batch()
    prediction = torch.tensor(p, dtype=dtype, requires_grad=True)
    loss = regression_loss(prediction, torch.tensor(t, dtype=dtype), kind, ccc_weight=0.7)
    loss.backward()
    value, gradient = reference.loss(kind, p.reshape(-1, 2), t.reshape(-1, 2), 0.7)
    assert loss.item() == pytest.approx(value, abs=tolerance)
    np.testing.assert_allclose(prediction.grad.reshape(-1, 2).numpy(), gradient, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_itself_agrees_with_finite_differences(kind):
    p, t = (x.reshape(-1, 2) for x in a_batch(seed=6))
    step = 1e-6
    _, gradient = reference.loss(kind, p, t, 0.7)
    for place in np.ndindex(p.shape):
        values = []
        for sign in (1, -1):
            moved = p.copy()
            moved[place] += sign * step
            values.append(reference.loss(kind, moved, t, 0.7)[0])
        assert gradient[place] == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_agrees_with_finite_differences(kind):
    p, t = a_batch(seed=4, shape=(2, 5))
    target = torch.tensor(t)
    prediction = torch.tensor(p, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: regression_loss(x, target, kind), (prediction,))


def test_published_fault_ccc_loss_had_no_gradient():
    p, t = a_batch()
    prediction = torch.tensor(p, requires_grad=True)
    regression_loss(prediction, torch.tensor(t), "ccc").backward()
    labelled = ~np.isnan(t).any(-1)
    assert (prediction.grad[torch.from_numpy(labelled)] != 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_published_fault_missing_labels_entered_the_loss(kind):
    """-5 in Aff-Wild2's files is NaN here; such frames are as good as not there, also in the gradient."""
    p, t = a_batch()
    labelled = torch.from_numpy(~np.isnan(t).any(-1))
    prediction = torch.tensor(p, requires_grad=True)
    full = regression_loss(prediction, torch.tensor(t), kind)
    full.backward()
    assert (prediction.grad[~labelled] == 0).all()
    assert torch.isfinite(prediction.grad).all()
    alone = regression_loss(torch.tensor(p)[labelled], torch.tensor(t)[labelled], kind)
    assert full.item() == pytest.approx(alone.item(), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_not_even_a_nan_prediction_on_padding_reaches_the_gradient(kind):
    p, t = a_batch()
    p[np.isnan(t).any(-1)] = NAN
    prediction = torch.tensor(p, requires_grad=True)
    loss = regression_loss(prediction, torch.tensor(t), kind)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(prediction.grad).all()


def test_published_fault_squared_error_on_theta_across_the_cut():
    """theta = 3.13 and -3.13 are neighbours: the loss is small, and its gradient goes across the cut, not round."""
    theta = torch.tensor(3.13, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([np.cos(-3.13), np.sin(-3.13)])
    loss = regression_loss(torch.stack([theta.cos(), theta.sin()])[None], target[None])
    loss.backward()
    assert loss.item() == pytest.approx((2 * np.sin(np.pi - 3.13)) ** 2)
    assert loss.item() < 1e-3 < (3.13 + 3.13) ** 2
    assert theta.grad < 0  # a descent makes theta larger, towards pi


@pytest.mark.parametrize("kind", KINDS)
def test_no_valid_frame_is_a_loss_of_zero_with_a_graph(kind):
    prediction = torch.randn(2, 4, 2, requires_grad=True)
    loss = regression_loss(prediction, torch.full((2, 4, 2), NAN), kind)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        ([[0.2, 0.1]], [[0.3, 0.3]]),
        ([[0.1, 0.1]] * 5, [[0.1, 0.1]] * 5),
        ([[0.3, 0.1]] * 5, [[0.1, 0.1]] * 5),
        ([[0.1, 0.1]] * 2, [[0.1, 0.2], [0.3, 0.1]]),
    ],
)
def test_ccc_of_one_frame_or_constants_has_a_finite_gradient(prediction, target):
    p = torch.tensor(prediction, requires_grad=True)
    loss = regression_loss(p, torch.tensor(target), "ccc")
    loss.backward()
    assert torch.isfinite(loss) and 0 <= loss <= 1
    assert torch.isfinite(p.grad).all()


def test_perfect_predictions_have_no_loss():
    t = torch.tensor(a_batch()[1])
    for kind in KINDS:
        assert regression_loss(torch.nan_to_num(t), t, kind).item() == pytest.approx(0, abs=1e-12)


def test_eq_32_adds_valence_and_arousal_and_averages_frames():
    p, t = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.zeros(2, 2)
    assert regression_loss(p, t).item() == (1 + 4) / 2


def test_half_precision_is_summed_in_float32():
    p = torch.full((3000, 2), 8.0, dtype=torch.float16)
    loss = regression_loss(p, torch.zeros(3000, 2))
    assert loss.dtype == torch.float32
    assert loss.item() == 128  # the sum of 6000 squares, 384000, is beyond float16


def test_wrong_calls_say_what_is_wrong():
    with pytest.raises(DataError, match=r"shape \(3, 2\) don't fit targets of shape \(4, 2\)"):
        regression_loss(torch.zeros(3, 2), torch.zeros(4, 2))
    with pytest.raises(DataError, match="valence and arousal"):
        regression_loss(torch.zeros(3), torch.zeros(3))
    with pytest.raises(RecipeError, match=r"no loss called 'mae'\. Known: mse, ccc"):
        regression_loss(torch.zeros(3, 2), torch.zeros(3, 2), "mae")


def test_importing_the_module_does_not_import_torch():
    code = "import sys, common.losses, common.metrics, common.polar; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
