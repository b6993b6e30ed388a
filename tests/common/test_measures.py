"""What selects an epoch: pooled CCC, or weighted F1, over the labelled rows of the validation split."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from common.errors import TrainingError
from common.measures import CCC, WEIGHTED_F1, measure_for
from common.metrics import ccc


def outputs(prediction: np.ndarray, labels: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(predictions=prediction, label_ids=labels)


def test_validation_is_pooled_over_windows_and_masked() -> None:
    rng = np.random.default_rng(0)
    prediction, labels = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5, 2))
    labels[0, 3:] = np.nan
    valid = np.isfinite(labels[..., 0])
    found = CCC.figures(outputs(prediction, labels))
    assert found["ccc_valence"] == pytest.approx(ccc(prediction[valid][:, 0], labels[valid][:, 0]))
    assert found["ccc_mean"] == pytest.approx((found["ccc_valence"] + found["ccc_arousal"]) / 2)
    assert all(type(value) is float for value in found.values()), "numpy scalars can't be loaded from a checkpoint"


def test_constant_predictions_score_zero() -> None:
    labels = np.random.default_rng(0).normal(size=(2, 5, 2))
    assert CCC.figures(outputs(np.zeros((2, 5, 2)), labels))["ccc_mean"] == pytest.approx(0)


def test_no_epoch_is_selected_without_labels() -> None:
    labels = np.full((2, 5, 2), np.nan)
    labels[0, 0] = 0.5
    with pytest.raises(TrainingError, match="isn't defined over 1 annotated frames"):
        CCC.figures(outputs(np.ones((2, 5, 2)), labels))


def test_classes_are_scored_over_labelled_rows_alone() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(3, 5, 4)), rng.integers(0, 4, size=(3, 5))
    labels[1, 2:] = -1
    there = labels >= 0
    true, predicted = labels[there], logits.argmax(axis=-1)[there]
    found = WEIGHTED_F1.figures(outputs(logits, labels))
    assert found["weighted_f1"] == pytest.approx(f1_score(true, predicted, average="weighted", zero_division=0))
    assert found["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    assert all(type(value) is float for value in found.values()), "numpy scalars can't be loaded from a checkpoint"
    with pytest.raises(TrainingError, match="no labelled row"):
        WEIGHTED_F1.figures(outputs(logits, np.full((3, 5), -1)))


def test_each_kind_of_label_has_its_measure_and_words() -> None:
    assert measure_for(categorical=True) is WEIGHTED_F1 and measure_for(categorical=False) is CCC
    row = {"eval_weighted_f1": 0.5, "eval_accuracy": 0.6, "eval_macro_f1": 0.4}
    assert WEIGHTED_F1.in_words(row) == "validation weighted F1 0.5000 (accuracy 0.6000, macro F1 0.4000)"
    row = {"eval_ccc_mean": 0.25, "eval_ccc_valence": 0.2, "eval_ccc_arousal": 0.3}
    assert CCC.in_words(row) == "validation CCC 0.2500 (valence 0.2000, arousal 0.3000)"
