"""Figures of classes against scikit-learn, and intervals and paired draws against drawing the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from common.class_metrics import (
    bootstrap_over_dialogues,
    class_score,
    confusion,
    figures_of,
    weighted_f1_draws,
)
from common.errors import DataError

PAIRS = st.integers(2, 8).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(
            st.lists(st.tuples(st.integers(0, classes - 1), st.integers(-1, classes - 1)), min_size=1, max_size=20),
            min_size=1,
            max_size=6,
        ),
    )
)


def arrays(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    predicted, true = np.array(rows, dtype=np.int64).T
    return predicted, true


def dialogues(count: int = 12, classes: int = 7, seed: int = 0, right: float = 0.6) -> list:
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        true = rng.integers(-1, classes, rng.integers(1, 25))
        predicted = np.where(rng.random(len(true)) < right, np.maximum(true, 0), rng.integers(0, classes, len(true)))
        pairs.append((predicted, true))
    return pairs


@given(PAIRS)
def test_figures_are_those_of_scikit_learn(drawn: tuple[int, list[list[tuple[int, int]]]]) -> None:
    classes, clips = drawn
    pairs = [arrays(rows) for rows in clips]
    predicted, true = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    predicted, true = predicted[true >= 0], true[true >= 0]
    found = class_score(pairs, classes)
    assert found.rows == len(true) and found.clips == sum(bool((t >= 0).any()) for _, t in pairs)
    if not len(true):
        assert np.isnan([found.accuracy, found.weighted_f1, found.macro_f1]).all() and not found.confusion.any()
        return
    everyone, occurring = np.arange(classes), np.unique(true)
    options = {"y_true": true, "y_pred": predicted, "zero_division": 0}
    assert (found.confusion == confusion_matrix(true, predicted, labels=everyone)).all()
    assert found.accuracy == pytest.approx(accuracy_score(true, predicted))
    assert found.weighted_f1 == pytest.approx(f1_score(**options, labels=everyone, average="weighted"))
    assert found.macro_f1 == pytest.approx(f1_score(**options, labels=occurring, average="macro"))
    each = precision_recall_fscore_support(**options, labels=everyone)
    for ours, theirs in zip((found.precision, found.recall, found.f1, found.support), each, strict=True):
        assert ours == pytest.approx(theirs.tolist())


def test_rows_are_true_and_columns_predicted_and_unlabelled_rows_are_left_out() -> None:
    counts = confusion([1, 1, 0, 2], [0, 0, 1, -1], 3)
    assert counts.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]] and counts.dtype == np.int64
    assert confusion([-5], [-1], 2).tolist() == [[0, 0], [0, 0]]  # what was predicted doesn't matter there


def test_macro_f1_is_over_classes_that_are_true_somewhere() -> None:
    found = class_score([([0, 0, 2], [0, 0, 0])], 3)
    assert found.macro_f1 == pytest.approx(0.8) and found.f1 == pytest.approx((0.8, 0.0, 0.0))
    assert figures_of(np.zeros((2, 3, 3)))["macro_f1"] == pytest.approx([np.nan, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("predicted", "true", "match"),
    [
        ([0, 1], [0], r"shape \(2,\) don't fit"),
        ([[0]], [[0]], r"shape \(1, 1\)"),
        ([0.0, 1.0], [0, 1], "float64"),
        ([0, 3], [0, 1], "1 of 2 predicted classes.*such as 3"),
        ([-1, 0], [0, 1], "such as -1"),
        ([0, 0], [0, 7], "true classes aren't among the 3"),
        ([0, 0], [0, -2], "such as -2"),
    ],
)
def test_what_is_no_class_is_an_error(predicted: list, true: list, match: str) -> None:
    with pytest.raises(DataError, match=match):
        confusion(predicted, true, 3)


def test_a_draw_is_the_score_of_the_drawn_clips() -> None:
    """The interval equals one from repeating the rows of the drawn clips, clip by clip."""
    pairs = dialogues()
    clips = [pair for pair in pairs if (pair[1] >= 0).any()]
    draws = np.random.default_rng(3).multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=50)
    slow = [
        class_score([clip for clip, times in zip(clips, draw, strict=True) for _ in range(times)], 7) for draw in draws
    ]
    found = bootstrap_over_dialogues(pairs, 7, repeats=50, seed=3)
    for name, bounds in found.items():
        assert bounds == pytest.approx(np.percentile([getattr(one, name) for one in slow], [2.5, 97.5]))


def test_the_same_seed_gives_the_same_interval_and_more_clips_a_narrower_one() -> None:
    few, many = dialogues(12), dialogues(200)
    assert bootstrap_over_dialogues(few, 7, seed=1) == bootstrap_over_dialogues(few, 7, seed=1)
    assert bootstrap_over_dialogues(few, 7, seed=1) != bootstrap_over_dialogues(few, 7, seed=2)
    (low, high), (lower, higher) = (bootstrap_over_dialogues(pairs, 7)["weighted_f1"] for pairs in (many, few))
    assert high - low < higher - lower
    assert low < class_score(many, 7).weighted_f1 < high


def test_clips_without_a_label_take_no_part() -> None:
    empty = (np.zeros(5, dtype=np.int64), np.full(5, -1))
    pairs = dialogues(6)
    assert bootstrap_over_dialogues([*pairs, empty], 7) == bootstrap_over_dialogues(pairs, 7)
    alone = bootstrap_over_dialogues([pairs[0], empty], 7)
    assert set(alone) == {"accuracy", "weighted_f1", "macro_f1"} and np.isnan(list(alone.values())).all()
    assert np.isnan(bootstrap_over_dialogues([], 7)["accuracy"]).all()


@pytest.mark.parametrize("options", [{"repeats": 0}, {"level": 1.0}])
def test_a_bootstrap_out_of_range_is_an_error(options: dict) -> None:
    with pytest.raises(DataError, match="has no meaning"):
        bootstrap_over_dialogues(dialogues(), 7, **options)


def test_paired_draws_of_one_model_are_equal_and_a_better_one_is_better() -> None:
    good = dialogues(right=0.9)
    bad = [(np.where(g[1] % 2 == 0, g[0], (g[0] + 1) % 7), g[1]) for g in good]
    draws = weighted_f1_draws([[good], [good], [bad], [good, bad]], 7, repeats=200)
    assert draws.shape == (4, 200)
    assert (draws[0] == draws[1]).all() and (draws[0] > draws[2]).all()
    assert ((draws[3] >= draws[2]) & (draws[3] <= draws[0])).all()  # seeds are drawn too, and averaged
    drawn = (draws[3] - draws[2]) / (draws[0] - draws[2])  # the share of the first seed in each draw
    assert set(drawn.round(6)) == {0, 0.5, 1} and drawn.mean() == pytest.approx(0.5, abs=0.1)
    assert (draws == weighted_f1_draws([[good], [good], [bad], [good, bad]], 7, repeats=200)).all()
    assert np.isnan(weighted_f1_draws([[good[:1]]], 7)).all()


def test_paired_draws_need_the_same_labels() -> None:
    one = dialogues()
    other = [(predicted, (true + 2) % 7) for predicted, true in one]
    for groups in ([[one], [other]], [[one, one[1:]]]):
        with pytest.raises(DataError, match="different clips, or against different labels"):
            weighted_f1_draws(groups, 7)
