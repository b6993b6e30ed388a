"""The angle as a direction: the same polar form, without a cut, and with a gradient where intensities are small."""

import numpy as np
import pytest
import torch

from common.errors import RecipeError
from common.recipe import load_recipe
from stage3_mlp.head import PolarHead, PolarHeadConfig
from tests.reference import assert_close
from tests.stage3.test_head import D, make, matrices, rows  # noqa: F401


def test_the_angle_is_that_of_the_vector_whatever_its_length(rows):  # noqa: F811
    head = make(angle="direction")
    out = head(rows)
    (w1, b1), (w2, b2), (w3, b3) = (matrices(head)[i : i + 2] for i in (0, 2, 4))
    hidden = np.maximum(np.maximum(rows.double().numpy() @ w1 + b1, 0) @ w2 + b2, 0)
    intensity, x, y = (hidden @ w3 + b3).T
    length = np.hypot(x, y)
    assert_close(out.intensity, intensity)
    assert_close(out.prediction[:, 0], intensity * x / length)
    assert_close(out.prediction[:, 1], intensity * y / length)
    assert_close(torch.cos(out.theta) * out.intensity, intensity * x / length)


def error_after_training(angle, seed):
    """Share of the variance of small labels (about 0.15) that is left after 150 steps."""
    torch.manual_seed(seed)
    head = PolarHead(PolarHeadConfig(d_beit=D, d1=32, d2=16, angle=angle, dropout=0.0))
    features = torch.randn(512, D)
    labels = 0.15 * features[:, :2]
    optimiser = torch.optim.Adam(head.parameters(), lr=3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        loss = head(features, labels=labels).loss
        loss.backward()
        optimiser.step()
    return loss.item() / labels.square().sum(dim=1).mean().item()


def test_small_intensities_are_learnt_faster_than_by_the_printed_form():
    radians, direction = (
        np.mean([error_after_training(angle, seed) for seed in range(3)]) for angle in ("radians", "direction")
    )
    assert direction < 0.75 * radians < 0.25


def test_a_saved_head_knows_its_form(tmp_path, rows):  # noqa: F811
    head = make(angle="direction")
    head.save_pretrained(tmp_path)
    assert torch.equal(PolarHead.from_pretrained(tmp_path)(rows).prediction, head(rows).prediction)


def test_recipes_that_are_published_keep_the_printed_form():
    assert load_recipe("maven").stage3.head.angle == "radians"
    with pytest.raises(RecipeError, match="angle"):
        load_recipe("maven", ("stage3.head.angle=degrees",))
