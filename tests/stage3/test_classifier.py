"""The head on emotion classes: what it computes, its loss, its dropout and its saved form."""

import numpy as np
import pytest
import torch
from torch import nn

from common.classification import classification_loss
from common.errors import CacheError, RecipeError
from stage3_mlp.classifier import ClassifierConfig, ClassifierHead
from tests.reference import assert_close, weights
from tests.stage3.any_head import check_standardised, loaded_again, loss_after_training

N, D, K = 40, 9, 4


def make(seed=0, scramble=True, **changes):
    torch.manual_seed(seed)
    head = ClassifierHead(ClassifierConfig(**{"d_beit": D, "hidden": 7, "classes": K} | changes)).eval()
    if scramble:
        for parameter in head.parameters():
            nn.init.normal_(parameter, std=0.7)
    return head


@pytest.fixture
def rows():
    return torch.randn(N, D, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels():
    values = torch.randint(0, K, (N,), generator=torch.Generator().manual_seed(2))
    values[3] = -1
    return values


def test_the_head_is_two_layers_with_a_relu_between(rows):
    head = make()
    state = {name: value.double().numpy() for name, value in head.state_dict().items()}
    (W1, b1), (W2, b2) = (weights.linear(state, name) for name in ("fc1", "fc2"))
    x = rows.double().numpy()
    assert_close(head(rows).prediction, np.maximum(x @ W1 + b1, 0) @ W2 + b2)
    assert head(rows).loss is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"loss": "cross-entropy"}, {"kind": "cross-entropy"}),
        (
            {"loss": "focal", "focal_gamma": 1.5, "class_weights": [1.0, 2.0, 0.5, 3.0], "label_smoothing": 0.1},
            {"kind": "focal", "gamma": 1.5, "weights": [1.0, 2.0, 0.5, 3.0], "smoothing": 0.1},
        ),
    ],
)
def test_the_loss_is_the_configured_one(rows, labels, settings, expected):
    out = make(**settings)(rows, labels)
    assert torch.equal(out.loss, classification_loss(out.prediction, labels, **expected))


def test_rows_without_a_label_do_not_count(rows, labels):
    head = make()
    there = labels >= 0
    assert not there.all()
    assert torch.allclose(head(rows, labels).loss, head(rows[there], labels[there]).loss)


def test_dropout_is_after_the_hidden_layer_and_in_training_alone(rows):
    head = make(dropout=0.5)
    assert torch.equal(head(rows).prediction, head(rows).prediction)
    seen = {}
    head.fc2.register_forward_hook(lambda _, inputs, __: seen.update(hidden=inputs[0]))
    with torch.no_grad():
        head.fc1.bias += 50  # every unit is on, so that zeros come from dropout
    head.train()
    logits = head(rows).prediction
    assert (seen["hidden"] == 0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert (logits != 0).all()


def test_rows_are_standardised_by_the_training_statistics(rows):
    check_standardised(make, rows)


@pytest.mark.parametrize("scramble", [True, False])
def test_saved_and_loaded_it_is_the_same_head(tmp_path, rows, labels, scramble):
    head = make(scramble=scramble, loss="focal", class_weights=[1.0, 2.0, 0.5, 3.0], focal_gamma=1.0)
    head.set_statistics(np.arange(D), np.arange(1, D + 1))
    loaded = loaded_again(head, tmp_path)
    assert torch.equal(head(rows, labels).prediction, loaded(rows, labels).prediction)
    assert torch.equal(head(rows, labels).loss, loaded(rows, labels).loss)
    assert (loaded.config.hidden, loaded.config.classes, loaded.config.dropout) == (7, K, 0.3)


def test_it_learns(rows):
    target = (rows[:, :K]).argmax(dim=1)
    head = make(scramble=False, hidden=32, dropout=0.0).train()
    assert loss_after_training(head, rows, target) < 0.1
    assert torch.equal(head.eval()(rows).prediction.argmax(dim=1), target)


def test_features_of_another_width_are_refused():
    with pytest.raises(CacheError, match="refined features are 4 wide; the head was made for 9"):
        make()(torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "mse"}, "loss is 'mse'. Known of classes: cross-entropy, focal"),
        ({"classes": 0}, "classes is 0, and loss is cross-entropy"),
        ({"class_weights": [1.0]}, "there are 4 classes"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        make(**changes)
