"""Classes of emotions in the six-path fusion: logits, loss, masks and settings."""

import pytest
import torch

from common.classification import classification_loss
from common.errors import DataError, RecipeError
from stage2_beit.config import FusionConfig
from stage2_beit.model import FusionModel
from tests.stage2.small_fusion import VARIANTS, B, T, a_batch, check_learns, make

K = 5
CLASSES = {"classes": K, "loss": "focal"}


def class_labels(seed=2):
    values = torch.randint(0, K, (B, T), generator=torch.Generator().manual_seed(seed))
    values[0, 1] = -1
    return values


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"loss": "cross-entropy"}, {"kind": "cross-entropy"}),
        ({"loss": "focal"}, {"kind": "focal", "gamma": 2.0}),
        (
            {"loss": "focal", "focal_gamma": 1.0, "class_weights": [1.0, 2.0, 0.0, 1.0, 4.0], "label_smoothing": 0.2},
            {"kind": "focal", "gamma": 1.0, "weights": [1.0, 2.0, 0.0, 1.0, 4.0], "smoothing": 0.2},
        ),
    ],
)
def test_the_loss_is_the_configured_one_over_labelled_rows(settings, expected):
    model, batch, target = make(classes=K, **settings), a_batch(), class_labels()
    out = model(**batch, labels=target)
    assert out.prediction.shape == (B, T, K)
    masked = torch.where(batch["frame_mask"], target, -1)
    assert torch.allclose(out.loss, classification_loss(out.prediction, masked, **expected), rtol=1e-6)
    assert model(**batch).loss is None


def test_what_is_refined_does_not_depend_on_what_is_predicted():
    """Only the head's last layer is another."""
    batch, plane, classes = a_batch(), make(), make(**CLASSES)
    body = {name: value for name, value in plane.state_dict().items() if not name.startswith("head.2.")}
    result = classes.load_state_dict(body, strict=False)
    assert result.missing_keys == ["head.2.weight", "head.2.bias"] and result.unexpected_keys == []
    assert torch.equal(classes(**batch).refined, plane(**batch).refined)
    assert plane(**batch).prediction.shape == (B, T, 2)


@pytest.mark.parametrize("changes", VARIANTS)
def test_labels_on_padding_do_not_count(changes):
    model, batch, target = make(**CLASSES, **changes), a_batch(), class_labels()
    padding = ~batch["frame_mask"]
    assert padding.any()
    loss = model(**batch, labels=target).loss
    for junk in (-1, 3, 99):
        assert torch.equal(model(**batch, labels=target.masked_fill(padding, junk)).loss, loss)


def test_no_label_at_all_is_a_loss_of_zero_with_no_gradient():
    model, batch = make(**CLASSES), a_batch()
    loss = model(**batch, labels=torch.full((B, T), -1)).loss
    loss.backward()
    assert loss.item() == 0
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("changes", VARIANTS)
def test_every_parameter_gets_a_gradient(changes):
    model = make(**CLASSES, **changes | {"cross_residual": True})
    model(**a_batch(), labels=class_labels()).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_it_learns():
    check_learns(make(scramble=False, dropout=0.0, **CLASSES).train(), a_batch(), class_labels())


def test_no_class_is_much_likelier_at_first():
    probabilities = make(scramble=False, **CLASSES)(**a_batch()).prediction.softmax(dim=-1)
    assert (probabilities - 1 / K).abs().max() < 0.15


def test_mixed_precision_is_close_and_has_a_finite_gradient():
    model, batch, target = make(scramble=False, **CLASSES), a_batch(), class_labels()
    with torch.autocast("cpu", torch.bfloat16):
        out = model(**batch, labels=target)
    out.loss.backward()
    assert out.loss.dtype == torch.float32
    assert torch.allclose(out.prediction.float(), model(**batch).prediction, atol=0.03)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_saved_and_loaded_it_is_the_same_model(tmp_path):
    model, batch, target = make(class_weights=[1.0, 2.0, 0.5, 1.0, 4.0], **CLASSES), a_batch(), class_labels()
    model.save_pretrained(tmp_path)
    loaded, info = FusionModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    ours, theirs = model(**batch, labels=target), loaded(**batch, labels=target)
    assert torch.equal(ours.prediction, theirs.prediction) and torch.equal(ours.loss, theirs.loss)
    assert loaded.config.class_weights == [1.0, 2.0, 0.5, 1.0, 4.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": K}, "classes is 5, and loss is mse"),
        ({"loss": "focal"}, "classes is 0, and loss is focal"),
        ({"classes": 1, "loss": "focal"}, "classes is 1"),
        ({"class_weights": [1.0], **CLASSES}, "class_weights is .* there are 5 classes"),
        ({"label_smoothing": 1.5, **CLASSES}, "label_smoothing is 1.5"),
        ({"focal_gamma": -0.5, **CLASSES}, "focal_gamma is -0.5"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        FusionConfig(**changes)


def test_labels_of_another_kind_are_refused():
    model, batch = make(**CLASSES), a_batch()
    with pytest.raises(DataError, match="don't fit classes"):
        model(**batch, labels=torch.zeros(B, T, 2))
    with pytest.raises(DataError, match="A label is 5; there are 5 classes"):
        model(**batch, labels=torch.full((B, T), K))
