"""How good predictions of emotion classes are: accuracy and F1 in float64, pooled over all rows, and how sure they are.

A row counts where its label is there: -1 is left out. Everything follows from the confusion matrix: a clip (a
dialogue) is reduced to its own once, and a draw of whole clips is then a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.bootstrap import REPEATS, Interval, check_range, draw, interval, paired_draws
from common.errors import DataError
from common.schema import NO_EMOTION

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
#: A clip's predicted and true classes, (T,) integers each; -1 is "not annotated" among the true ones.
ClassPair = tuple[npt.ArrayLike, npt.ArrayLike]

FIGURES = ("accuracy", "weighted_f1", "macro_f1")


@dataclass(frozen=True)
class ClassScore:
    """The score of a split: every figure over all labelled rows of all clips at once.

    All figures are in [0, 1]; the three pooled ones are NaN where no row is labelled. A class's figure is 0 where its
    denominator is, as in scikit-learn with ``zero_division=0``.

    Attributes
    ----------
    weighted_f1 : mean of the classes' F1, each weighted by how often the class is true
    macro_f1 : mean of the F1 of the classes that occur among the true labels, each as weighty as the other
    precision, recall, f1 : K floats, in the order of the classes
    support : K counts of true labels
    confusion : (K, K) int64, rows true, columns predicted
    rows, clips : labelled rows, and clips with at least one
    """

    accuracy: float
    weighted_f1: float
    macro_f1: float
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    support: tuple[int, ...]
    confusion: Counts
    rows: int
    clips: int


def confusion(predicted: npt.ArrayLike, true: npt.ArrayLike, classes: int) -> Counts:
    """Count how often each class was taken for which.

    Parameters
    ----------
    predicted : (N,) integers, 0 to K-1 wherever there is a label
    true : (N,) integers, 0 to K-1, or -1: left out
    classes : K

    Returns
    -------
    (K, K) int64, rows true, columns predicted

    Raises
    ------
    DataError
        If shapes differ, values aren't integers, or a class isn't one of the K.
    """
    p, t = np.asarray(predicted), np.asarray(true)
    if p.ndim != 1 or p.shape != t.shape:
        raise DataError(
            f"Predicted classes of shape {p.shape} don't fit true ones of shape {t.shape}.",
            "Both are one class per row, shape (N,).",
        )
    if p.size and not (np.issubdtype(p.dtype, np.integer) and np.issubdtype(t.dtype, np.integer)):
        raise DataError(f"Classes are of type {p.dtype} and {t.dtype}.", "A class is an integer, 0 to K-1.")
    labelled = t != NO_EMOTION
    p, t = p[labelled].astype(np.int64), t[labelled].astype(np.int64)
    for what, values in (("predicted", p), ("true", t)):
        wrong = values[(values < 0) | (values >= classes)]
        if len(wrong):
            raise DataError(
                f"{len(wrong)} of {len(values)} {what} classes aren't among the {classes}, such as {wrong[0]}.",
                f"A class is 0 to {classes - 1}; a row that isn't annotated has the true class {NO_EMOTION}.",
            )
    return np.bincount(t * classes + p, minlength=classes * classes).reshape(classes, classes)


def class_score(pairs: Sequence[ClassPair], classes: int) -> ClassScore:
    """Score a split: all rows of all clips pooled, then each figure once.

    Parameters
    ----------
    pairs : per clip (predicted (T,), true (T,)) integers
    classes : K

    Raises
    ------
    DataError
        As in ``confusion``.
    """
    per_clip = _confusions(pairs, classes)
    pooled: Counts = per_clip.sum(axis=0)
    precision, recall, f1 = (tuple(values[0].tolist()) for values in _per_class(pooled[None].astype(np.float64)))
    return ClassScore(
        **{name: float(values[0]) for name, values in figures_of(pooled[None]).items()},
        precision=precision,
        recall=recall,
        f1=f1,
        support=tuple(pooled.sum(axis=1).tolist()),
        confusion=pooled,
        rows=int(pooled.sum()),
        clips=int(per_clip.any(axis=(1, 2)).sum()),
    )


def figures_of(confusions: npt.ArrayLike) -> dict[str, Floats]:
    """Accuracy, weighted F1 and macro F1 of many confusion matrices.

    Parameters
    ----------
    confusions : (R, K, K), rows true, columns predicted; counts, which needn't be whole (expected ones)

    Returns
    -------
    dict from ``accuracy``, ``weighted_f1``, ``macro_f1`` to (R,) float64 in [0, 1]; NaN where a matrix is empty
    """
    counts = np.asarray(confusions, dtype=np.float64)
    f1 = _per_class(counts)[2]
    support = counts.sum(axis=2)  # (R, K)
    rows = support.sum(axis=1)
    hits = np.trace(counts, axis1=1, axis2=2)
    occurs = support > 0
    return {
        "accuracy": _ratio(hits, rows, np.nan),
        "weighted_f1": _ratio((support * f1).sum(axis=1), rows, np.nan),
        "macro_f1": _ratio((f1 * occurs).sum(axis=1), occurs.sum(axis=1), np.nan),
    }


def bootstrap_over_dialogues(
    pairs: Sequence[ClassPair], classes: int, repeats: int = REPEATS, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile intervals of the pooled figures, by drawing whole clips with replacement.

    The rows of a dialogue belong together, so a clip is drawn or not as a whole.

    Parameters
    ----------
    pairs, classes : as in ``class_score``; clips without a labelled row take no part
    repeats : draws, at least 1
    seed : of the draws; the same seed gives the same intervals
    level : coverage of the interval, in (0, 1)

    Returns
    -------
    dict from ``accuracy``, ``weighted_f1``, ``macro_f1`` to (low, high); NaN with fewer than two labelled clips: one
        clip says nothing about other clips

    Raises
    ------
    DataError
        As in ``confusion``; or if ``repeats`` or ``level`` is out of range.
    """
    check_range(repeats, level)
    clips = _labelled(_confusions(pairs, classes))
    if len(clips) < 2:
        return dict.fromkeys(FIGURES, (float("nan"), float("nan")))
    draws = draw(len(clips), repeats, np.random.default_rng(seed))
    return {name: interval(values, level) for name, values in figures_of(_drawn(draws, clips)).items()}


def weighted_f1_draws(
    groups: Sequence[Sequence[Sequence[ClassPair]]], classes: int, repeats: int = REPEATS, seed: int = 0
) -> Floats:
    """Draws of the weighted F1 of several models, paired: in each draw, all are scored on the same clips.

    Parameters
    ----------
    groups : per model, per training seed, per clip (predicted (T,), true (T,))
        The clips and their labels are the same everywhere. Where a model has several seeds, they are drawn with
        replacement as well, and its figure is their mean.
    classes : K

    Returns
    -------
    (models, repeats) float64; NaN where fewer than two clips have labelled rows

    Raises
    ------
    DataError
        If labels differ between models or seeds; otherwise as in ``confusion``.
    """
    check_range(repeats, 0.5)
    models = [[_confusions(pairs, classes) for pairs in runs] for runs in groups]
    first = [np.asarray(true) for _, true in groups[0][0]]
    for pairs in (pairs for runs in groups for pairs in runs):
        if len(pairs) != len(first) or not all(
            np.array_equal(one, np.asarray(two)) for one, (_, two) in zip(first, pairs, strict=True)
        ):
            raise DataError(
                "The runs were scored on different clips, or against different labels.",
                "Compare runs of one data set, scored on the same split.",
            )
    kept = len(_labelled(models[0][0]))  # the same clips in every run: labels are the same
    if kept < 2:
        return np.full((len(models), repeats), np.nan)

    def figure(clips: Counts, draws: Floats) -> Floats:
        return figures_of(_drawn(draws, _labelled(clips)))["weighted_f1"]

    return paired_draws(models, figure, kept, repeats, seed)


def _confusions(pairs: Sequence[ClassPair], classes: int) -> Counts:
    """(clips, K, K)."""
    matrices = [confusion(predicted, true, classes) for predicted, true in pairs]
    return np.stack(matrices) if matrices else np.zeros((0, classes, classes), dtype=np.int64)


def _labelled(clips: Counts) -> Counts:
    """Those of the confusion matrices (clips, K, K) that aren't empty."""
    return clips[clips.any(axis=(1, 2))]


def _drawn(draws: Floats, clips: Counts) -> Floats:
    """Pooled confusion matrices (repeats, K, K) of ``draws`` (repeats, clips)."""
    classes = clips.shape[1]
    return (draws @ clips.reshape(len(clips), -1)).reshape(-1, classes, classes)


def _per_class(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1, (R, K) each, of confusion matrices (R, K, K); 0 where the denominator is."""
    hits = np.diagonal(counts, axis1=1, axis2=2)
    predicted, true = counts.sum(axis=1), counts.sum(axis=2)
    return _ratio(hits, predicted, 0), _ratio(hits, true, 0), _ratio(2 * hits, predicted + true, 0)


def _ratio(above: npt.NDArray[np.generic], below: npt.NDArray[np.generic], otherwise: float) -> Floats:
    """``above`` over ``below``, float64; ``otherwise`` where ``below`` is 0."""
    out: Floats = np.full(np.shape(below), otherwise, dtype=np.float64)
    np.divide(above, below, out=out, where=np.asarray(below != 0))
    return out
