"""Labels of cached clips: valence and arousal, or emotion classes. NaN, or -1, where not annotated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from common.schema import AROUSAL, EMOTION, NO_EMOTION, VALENCE

if TYPE_CHECKING:
    from common.recipe import Training

Array = npt.NDArray[Any]


def read_labels(arrays: Any, rows: slice, count: int, *, categorical: bool) -> Array:
    """Labels of some rows of a clip.

    Parameters
    ----------
    arrays : mapping of dataset names to arrays, as `common.windows.CachedArrays`
    rows : the rows; ``count`` is how many they are
    categorical : emotion classes, or else valence and arousal

    Returns
    -------
    (count,) int64, the index of the class, -1 where not annotated; or (count, 2) float32 in [-1, 1], NaN where not
    annotated
    """
    if categorical:
        if EMOTION not in arrays:
            return np.full(count, NO_EMOTION, dtype=np.int64)
        return np.asarray(arrays[EMOTION][rows], dtype=np.int64)
    if VALENCE not in arrays:
        return np.full((count, 2), np.nan, dtype=np.float32)
    return np.stack([arrays[VALENCE][rows], arrays[AROUSAL][rows]], axis=1)


def annotated(labels: Array) -> npt.NDArray[np.bool_]:
    """(T,) bool: has the row a label, of valence and arousal both?"""
    there = labels != NO_EMOTION if labels.ndim == 1 else np.isfinite(labels).all(axis=1)
    return np.asarray(there, dtype=np.bool_)


def no_label(labels: Array) -> float | int:
    """What stands for "not annotated" among such labels."""
    return NO_EMOTION if labels.ndim == 1 else float("nan")


def class_counts(labels: Iterable[Array], classes: int) -> npt.NDArray[np.int64]:
    """(K,) how often each class occurs among arrays of class labels; those that are -1 are left out."""
    counts = np.zeros(classes, dtype=np.int64)
    for some in labels:
        counts += np.bincount(some[some != NO_EMOTION], minlength=classes)
    return counts


def class_weights(counts: npt.NDArray[np.int64], exponent: float) -> npt.NDArray[np.float64]:
    """(K,) weights of the classes in a loss: (N / (K n_c)) to a power; 0 for a class without a row.

    With an exponent of 1 each class weighs alike, as scikit-learn's ``balanced``; with 0 each row.
    """
    there = counts > 0
    weights = np.zeros(len(counts))
    weights[there] = (counts.sum() / (there.sum() * counts[there])) ** exponent
    return weights


def class_remarks(training: Training, counts: npt.NDArray[np.int64], classes: Sequence[str], stage: str) -> list[str]:
    """What must be said of a training on classes: a correction that is made twice, classes that never occur."""
    remarks = []
    if training.sampling == "balanced" and training.class_weights:
        remarks.append(
            f"{stage}.training has sampling: balanced and class_weights: {training.class_weights:g}: rare classes are "
            "favoured twice."
        )
    if missing := [name for name, count in zip(classes, counts, strict=True) if not count]:
        remarks.append(f"No training row is labelled {' or '.join(missing)}: that can't be learnt.")
    return remarks


def balanced_draws(labels: Iterable[Array], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How likely each item is to be drawn so that classes come equally often: the mean of 1 / n_c over its labels.

    With one label an item, each class is equally likely; a dialogue of several labels can only come near that.

    Parameters
    ----------
    labels : per item (T,) int64
    counts : (K,) of the training split

    Returns
    -------
    (N,) float64; 0 for an item without a label
    """
    rarity = np.divide(1.0, counts, out=np.zeros(len(counts)), where=counts > 0)
    return np.array([rarity[some[some != NO_EMOTION]].sum() / max(1, len(some)) for some in labels])


def loss_settings(training: Training, counts: npt.NDArray[np.int64]) -> dict[str, Any]:
    """What a model's configuration says of a loss of classes.

    Parameters
    ----------
    counts : (K,) training rows of each class; K is 0 for valence and arousal
    """
    return {
        "classes": len(counts),
        "loss": training.loss,
        "focal_gamma": training.focal_gamma,
        "label_smoothing": training.label_smoothing,
        "class_weights": class_weights(counts, training.class_weights).tolist() if training.class_weights else None,
    }
