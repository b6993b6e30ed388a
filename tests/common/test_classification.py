"""Losses of classes against float64 NumPy, one row at a time, against torch's own, and at their edges."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from common.classification import check_class_settings, classification_loss, configured_loss
from common.errors import DataError, RecipeError
from tests.reference import TOLERANCE

ROOT = Path(__file__).resolve().parents[2]
K = 5
WEIGHTS = (0.5, 2.0, 0.0, 1.5, 3.0)
SETTINGS = [
    {"kind": "cross-entropy"},
    {"kind": "cross-entropy", "weights": WEIGHTS, "smoothing": 0.2},
    {"kind": "focal"},
    {"kind": "focal", "gamma": 0.5, "weights": WEIGHTS},
    {"kind": "focal", "gamma": 3.0, "smoothing": 0.1},
    {"kind": "focal", "gamma": 1.0, "weights": WEIGHTS, "smoothing": 0.3},
]


def a_batch(seed=0, shape=(3, 8)):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (*shape, K))
    target = rng.integers(0, K, shape)
    target[rng.random(shape) < 0.3] = -1
    return logits, target


def reference(logits, target, kind, gamma=2.0, weights=None, smoothing=0.0):
    """The sums as they are printed, one row after the other."""
    weights = np.ones(K) if weights is None else weights
    total = divisor = 0.0
    for z, y in zip(logits.reshape(-1, K), target.ravel(), strict=True):
        if y < 0:
            continue
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        row = 0.0
        for c in range(K):
            share = (1 - smoothing) * (c == y) + smoothing / K
            row -= weights[c] * share * np.log(p[c])
        factor = (1 - p[y]) ** gamma if kind == "focal" else 1.0
        total += factor * row
        divisor += weights[y]
    return total / divisor


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, TOLERANCE)])
def test_the_value_is_the_references(settings, dtype, tolerance):
    logits, target = a_batch()
    loss = classification_loss(torch.tensor(logits, dtype=dtype), torch.tensor(target), **settings)
    assert loss.dtype == dtype and loss.shape == ()
    assert loss.item() == pytest.approx(reference(logits, target, **settings), abs=tolerance)


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_gradient_is_the_references_finite_differences(settings):
    logits, target = a_batch(seed=1, shape=(6,))
    z = torch.tensor(logits, requires_grad=True)
    classification_loss(z, torch.tensor(target), **settings).backward()
    step = 1e-6
    for place in np.ndindex(logits.shape):
        values = []
        for sign in (1, -1):
            moved = logits.copy()
            moved[place] += sign * step
            values.append(reference(moved, target, **settings))
        assert z.grad[place].item() == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("settings", [{"kind": "cross-entropy"}, {"kind": "focal", "gamma": 0.0}])
def test_cross_entropy_and_focal_without_gamma_are_torchs_own(settings, weights, smoothing):
    logits, target = (torch.tensor(x) for x in a_batch(seed=2))
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    w = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    loss = classification_loss(ours, target, **settings, weights=w, smoothing=smoothing)
    expected = F.cross_entropy(
        theirs.reshape(-1, K), target.reshape(-1), weight=w, ignore_index=-1, label_smoothing=smoothing
    )
    assert torch.allclose(loss, expected, atol=1e-12, rtol=0)
    loss.backward()
    expected.backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-12, rtol=0)


def test_what_is_predicted_well_counts_less_the_higher_gamma_is():
    logits = torch.tensor([[3.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    target = torch.tensor([0, 0])

    def share_of_the_first(gamma):
        rows = [classification_loss(logits[i : i + 1], target[i : i + 1], "focal", gamma=gamma) for i in (0, 1)]
        return (rows[0] / (rows[0] + rows[1])).item()

    shares = [share_of_the_first(gamma) for gamma in (0.0, 1.0, 2.0, 5.0)]
    assert shares == sorted(shares, reverse=True) and shares[-1] < 1e-4 < shares[0]


@pytest.mark.parametrize("settings", SETTINGS)
def test_rows_without_a_label_are_as_good_as_not_there(settings):
    logits, target = a_batch(seed=3)
    logits[target < 0] = np.nan
    z, y = torch.tensor(logits, requires_grad=True), torch.tensor(target)
    full = classification_loss(z, y, **settings)
    full.backward()
    assert (z.grad[y < 0] == 0).all() and torch.isfinite(z.grad).all()
    alone = classification_loss(z.detach()[y >= 0], y[y >= 0], **settings)
    assert full.item() == pytest.approx(alone.item(), abs=1e-12)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", [(2, 4), (0,)])
def test_no_label_is_a_loss_of_zero_with_a_graph(settings, shape):
    z = torch.randn(*shape, K, requires_grad=True)
    loss = classification_loss(z, torch.full(shape, -1), **settings)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(z.grad, torch.zeros_like(z))


@pytest.mark.parametrize("settings", [s for s in SETTINGS if "weights" in s])
def test_labels_of_classes_that_weigh_nothing_are_a_loss_of_zero(settings):
    z = torch.randn(3, K, requires_grad=True)
    loss = classification_loss(z, torch.full((3,), WEIGHTS.index(0.0)), **settings)
    loss.backward()
    assert loss.item() == 0 and torch.equal(z.grad, torch.zeros_like(z))


@pytest.mark.parametrize("settings", [*SETTINGS, {"kind": "focal", "gamma": 0.1}])
@pytest.mark.parametrize("size", [30.0, 1e4, 1e30])
def test_extreme_logits_have_a_finite_loss_and_gradient(settings, size):
    rows = torch.tensor([[size, 0, 0, 0, -size], [0.0] * K, [size] * K, [-size, 0, 0, 0, size]])
    for label in range(K):
        z = rows.clone().requires_grad_()
        loss = classification_loss(z, torch.full((4,), label), **settings)
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(z.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    z = torch.zeros(60000, K, dtype=dtype)
    z[:, 1] = 30
    loss = classification_loss(z, torch.zeros(60000, dtype=torch.int64), "focal")
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(30, rel=1e-5)  # the sum, 1.8 million, is beyond float16


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        (torch.zeros(3, K), torch.zeros(4).long(), r"shape \(3, 5\) don't fit classes of shape \(4,\)"),
        (torch.zeros(3, K), torch.zeros(3, 2).long(), r"shape \(3, 5\) don't fit classes of shape \(3, 2\)"),
        (torch.zeros(3, 1), torch.zeros(3).long(), "K of 2 or more"),
        (torch.tensor(0.0), torch.tensor(0), r"Logits of shape \(\)"),
        (torch.zeros(3, K), torch.zeros(3), "The classes are torch.float32"),
        (torch.zeros(2, K), torch.tensor([0, 5]), "A label is 5; there are 5 classes"),
        (torch.zeros(2, K), torch.tensor([-100, 0]), "A label is -100"),
    ],
)
def test_wrong_calls_say_what_is_wrong(logits, target, message):
    with pytest.raises(DataError, match=message):
        classification_loss(logits, target, "focal")


def test_wrong_kinds_and_weights_say_what_is_wrong():
    logits, target = torch.zeros(2, K), torch.tensor([0, 1])
    with pytest.raises(RecipeError, match=r"no loss of classes called 'mse'\. Known: cross-entropy, focal"):
        classification_loss(logits, target, "mse")
    with pytest.raises(DataError, match=r"Class weights of shape \(3,\) don't fit 5 classes"):
        classification_loss(logits, target, "focal", weights=[1.0, 1.0, 1.0])


# Settings


def settings(**changes):
    plain = {"classes": K, "loss": "focal", "focal_gamma": 2.0, "class_weights": None, "label_smoothing": 0.0}
    return SimpleNamespace(**plain | changes)


def test_a_models_settings_choose_the_loss():
    logits, target = (torch.tensor(x) for x in a_batch())
    ours = configured_loss(logits, target, settings(focal_gamma=1.5, class_weights=WEIGHTS, label_smoothing=0.1))
    theirs = classification_loss(logits, target, "focal", gamma=1.5, weights=WEIGHTS, smoothing=0.1)
    assert torch.equal(ours, theirs)
    ours = configured_loss(logits, target, settings(loss="cross-entropy"))
    assert torch.equal(ours, classification_loss(logits, target, "cross-entropy"))


@pytest.mark.parametrize("changes", [{}, {"class_weights": list(WEIGHTS)}, {"classes": 0, "loss": "mse"}])
def test_settings_that_go_together_pass(changes):
    check_class_settings(settings(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "classes is 1"),
        ({"classes": -1}, "classes is -1"),
        ({"loss": "mse"}, "classes is 5, and loss is mse"),
        ({"classes": 0}, "classes is 0, and loss is focal"),
        ({"class_weights": [1.0]}, "there are 5 classes"),
        ({"class_weights": [1.0, 1.0, 1.0, 1.0, -1.0]}, "one finite number of 0 or more"),
        ({"class_weights": [float("nan")] * 5}, "one finite number of 0 or more"),
        ({"class_weights": [0.0] * 5}, "one of them above 0"),
        ({"classes": 0, "loss": "mse", "class_weights": [1.0]}, "there are 0 classes"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"focal_gamma": -1.0}, "focal_gamma is -1.0"),
        ({"focal_gamma": float("nan")}, "focal_gamma is nan"),
    ],
)
def test_settings_that_do_not_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        check_class_settings(settings(**changes))


def test_importing_the_module_does_not_import_torch():
    code = "import sys, common.classification; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
