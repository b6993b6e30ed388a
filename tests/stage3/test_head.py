"""The polar head against equations 27 to 31, its loss, its dropout and its saved form."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from common.errors import CacheError
from common.losses import regression_loss
from common.polar import to_cartesian
from stage3_mlp.head import PolarHead, PolarHeadConfig, canonical_polar
from tests.reference import assert_close, weights
from tests.reference import loss as reference_loss
from tests.reference import polar as reference
from tests.stage3.any_head import check_standardised, loaded_again, loss_after_training

N, D = 40, 9


def make(seed=0, scramble=True, **changes):
    torch.manual_seed(seed)
    head = PolarHead(PolarHeadConfig(**{"d_beit": D, "d1": 7, "d2": 5} | changes)).eval()
    if scramble:
        for parameter in head.parameters():
            nn.init.normal_(parameter, std=0.7)
    return head


@pytest.fixture
def rows():
    return torch.randn(N, D, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels():
    values = torch.rand(N, 2, generator=torch.Generator().manual_seed(2)) * 2 - 1
    values[3] = torch.nan
    return values


def matrices(head):
    state = {name: value.double().numpy() for name, value in head.state_dict().items()}
    return [matrix for name in ("fc1", "fc2", "fc3") for matrix in weights.linear(state, name)]


def test_the_head_is_equations_27_to_31(rows):
    head = make()
    out = head(rows)
    intensity, theta = reference.head(rows.double().numpy(), *matrices(head))
    valence, arousal = reference.to_cartesian(intensity, theta)
    for ours, theirs in (
        (out.intensity, intensity),
        (out.theta, theta),
        (out.prediction[:, 0], valence),
        (out.prediction[:, 1], arousal),
    ):
        assert_close(ours, theirs)
    assert (intensity < 0).any() and (np.abs(theta) > math.pi).any()  # else the next test shows nothing


def test_exported_polar_form_is_canonical_and_the_same_point(rows):
    out = make()(rows)
    intensity, theta = canonical_polar(out.intensity.detach(), out.theta.detach())
    assert (intensity >= 0).all() and (theta > -np.pi).all() and (theta <= np.pi).all()
    points = np.stack(to_cartesian(intensity, theta), axis=1)
    np.testing.assert_allclose(points, out.prediction.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["mse", "ccc", "mse+ccc"])
def test_the_loss_is_on_valence_and_arousal(rows, labels, kind):
    out = make(loss=kind, ccc_weight=0.4)(rows, labels)
    assert torch.equal(out.loss, regression_loss(out.prediction, labels, kind, 0.4))


@pytest.mark.parametrize("kind", ["mse", "ccc", "mse+ccc"])
def test_the_loss_and_its_gradient_through_the_conversion(rows, labels, kind):
    """Chain rule by hand: dL/dI = g_v cos + g_a sin, dL/dtheta = I (g_a cos - g_v sin)."""
    out = make(loss=kind, ccc_weight=0.4)(rows, labels)
    out.intensity.retain_grad()
    out.theta.retain_grad()
    out.loss.backward()
    value, g = reference_loss.loss(kind, out.prediction.detach().double().numpy(), labels.double().numpy(), 0.4)
    i, t = (x.detach().double().numpy() for x in (out.intensity, out.theta))
    assert_close(out.loss, value)
    assert_close(out.intensity.grad, g[:, 0] * np.cos(t) + g[:, 1] * np.sin(t))
    assert_close(out.theta.grad, i * (g[:, 1] * np.cos(t) - g[:, 0] * np.sin(t)))


def test_published_fault_loss_on_theta_jumped_at_the_cut(rows, labels):
    """A whole turn of theta changes neither predictions nor loss; nor does (-I, theta + pi)."""
    head = make()
    plain = head(rows, labels)
    with torch.no_grad():
        head.fc3.bias[1] += 2 * math.pi
    turned = head(rows, labels)
    assert torch.allclose(plain.prediction, turned.prediction, atol=1e-5)
    assert plain.loss.item() == pytest.approx(turned.loss.item(), abs=1e-5)
    with torch.no_grad():
        head.fc3.weight[0] *= -1
        head.fc3.bias[0] *= -1
        head.fc3.bias[1] += math.pi
    assert torch.allclose(plain.prediction, head(rows).prediction, atol=1e-5)


def test_published_fault_missing_labels_entered_the_loss(rows, labels):
    head = make()
    there = ~torch.isnan(labels).any(dim=1)
    assert not there.all()
    assert torch.allclose(head(rows, labels).loss, head(rows[there], labels[there]).loss)


def test_intensity_is_not_squashed():
    """Labels near (1, 1) have an intensity near sqrt 2; the head can reach it."""
    head = make()
    with torch.no_grad():
        head.fc3.weight.zero_()
        head.fc3.bias.copy_(torch.tensor([math.sqrt(2), math.pi / 4]))
    assert torch.allclose(head(torch.zeros(1, D)).prediction, torch.ones(1, 2))


def test_dropout_is_after_the_hidden_layers_and_in_training_alone(rows):
    head = make(dropout=0.5)
    assert torch.equal(head(rows).prediction, head(rows).prediction)
    head.train()
    assert not torch.equal(head(rows).prediction, head(rows).prediction)
    seen = {}
    for name in ("fc2", "fc3"):
        getattr(head, name).register_forward_hook(lambda _, inputs, __, name=name: seen.update({name: inputs[0]}))
    with torch.no_grad():
        head.fc1.bias += 50  # every unit is on, so that zeros come from dropout
        head.fc2.weight.abs_()
    for _ in range(5):
        out = head(rows)
        for name in ("fc2", "fc3"):
            share = (seen[name] == 0).float().mean().item()
            assert share == pytest.approx(0.5, abs=0.15)
        assert (out.intensity != 0).all() and (out.theta != 0).all()


def test_rows_are_standardised_by_the_training_statistics(rows):
    check_standardised(make, rows)


@pytest.mark.parametrize("scramble", [True, False])
def test_saved_and_loaded_it_is_the_same_head(tmp_path, rows, scramble):
    head = make(scramble=scramble)
    head.set_statistics(np.arange(D), np.arange(1, D + 1))
    loaded = loaded_again(head, tmp_path)
    assert torch.equal(head(rows).prediction, loaded(rows).prediction)
    assert (loaded.config.d1, loaded.config.d2, loaded.config.dropout) == (7, 5, 0.2)


def test_it_learns_points_on_both_sides_of_the_cut():
    torch.manual_seed(0)
    side = torch.randint(0, 2, (256,)) * 2.0 - 1
    rows = torch.randn(256, D)
    rows[:, 0] = side
    angle = math.pi - 0.2 * side  # on either side of (-1, 0)
    target = 0.8 * torch.stack([angle.cos(), angle.sin()], dim=1)
    head = make(scramble=False, d1=32, d2=16, dropout=0.0).train()
    assert loss_after_training(head, rows, target) < 1e-3


def test_features_of_another_width_are_refused():
    with pytest.raises(CacheError, match="refined features are 4 wide; the head was made for 9"):
        make()(torch.zeros(2, 4))
