"""Labels of both kinds, class counts, and the two ways of favouring rare classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from common.labels import (
    annotated,
    balanced_draws,
    class_counts,
    class_remarks,
    class_weights,
    loss_settings,
    no_label,
    read_labels,
)
from common.recipe import Training
from common.schema import AROUSAL, EMOTION, VALENCE


def test_labels_of_both_kinds_say_where_there_are_none() -> None:
    dimensions = {VALENCE: np.array([0.5, np.nan, 0.1]), AROUSAL: np.array([0.2, 0.3, np.nan])}
    values = read_labels(dimensions, slice(0, 3), 3, categorical=False)
    assert values.shape == (3, 2) and annotated(values).tolist() == [True, False, False] and np.isnan(no_label(values))
    classes = read_labels({EMOTION: np.array([2, -1, 0], dtype=np.int16)}, slice(1, 3), 2, categorical=True)
    assert classes.dtype == np.int64 and classes.tolist() == [-1, 0] and annotated(classes).tolist() == [False, True]
    assert no_label(classes) == -1
    assert not annotated(read_labels({}, slice(0, 2), 2, categorical=True)).any()
    assert not annotated(read_labels({}, slice(0, 2), 2, categorical=False)).any()


def test_class_weights_are_scikit_learns_to_a_power() -> None:
    labels = np.repeat([0, 1, 3], [6, 3, 1])
    counts = class_counts([labels, np.array([-1, -1])], 4)
    assert counts.tolist() == [6, 3, 0, 1]
    balanced = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    np.testing.assert_allclose(class_weights(counts, 1)[[0, 1, 3]], balanced)
    np.testing.assert_allclose(class_weights(counts, 0.5)[[0, 1, 3]], balanced**0.5)
    assert class_weights(counts, 1)[2] == 0
    assert class_weights(counts, 0)[[0, 1, 3]].tolist() == [1, 1, 1]


def test_balanced_draws_make_classes_of_single_rows_equally_likely() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    draws = balanced_draws(labels[:, None], class_counts([labels], 3))
    assert [draws[labels == one].sum() for one in range(3)] == pytest.approx([1, 1, 1])
    dialogues = [np.array([0, 0, 2]), np.array([0, 0]), np.array([-1, -1])]
    rare, frequent, without = balanced_draws(dialogues, class_counts(dialogues, 3))
    assert rare > frequent > without == 0


def test_what_is_corrected_twice_or_never_occurs_is_said() -> None:
    twice = Training(loss="focal", sampling="balanced", class_weights=1)
    remarks = class_remarks(twice, np.array([3, 0, 5]), ("joy", "fear", "anger"), "stage2")
    assert "favoured twice" in remarks[0] and "labelled fear" in remarks[1]
    assert class_remarks(Training(loss="focal", sampling="balanced"), np.array([1, 1]), ("a", "b"), "stage2") == []


def test_a_models_loss_knows_the_counts() -> None:
    settings = loss_settings(Training(loss="focal", class_weights=1), np.array([3, 1]))
    assert settings["classes"] == 2 and settings["class_weights"] == pytest.approx([4 / 6, 2])
    assert loss_settings(Training(loss="focal"), np.array([3, 1]))["class_weights"] is None
    assert loss_settings(Training(), np.array([], dtype=np.int64))["classes"] == 0
