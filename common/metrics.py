"""How good are predictions of valence and arousal: CCC and its companions, in float64, pooled over all frames.

A frame counts where its label is there: NaN labels are left out, never replaced. A prediction must be there wherever
a label is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import DataError

Floats = npt.NDArray[np.float64]
Pair = tuple[npt.ArrayLike, npt.ArrayLike]

AXES = ("valence", "arousal")


@dataclass(frozen=True)
class Score:
    """The score of a split: every figure over all valid frames of all clips at once.

    CCC, Pearson's r and sign agreement have no unit; the errors are on the scale of the labels ([-1, 1]). A figure
    that isn't defined is NaN.
    """

    ccc_valence: float
    ccc_arousal: float
    #: P of the ABAW challenges: the mean of the two.
    ccc_mean: float
    pearson_valence: float
    pearson_arousal: float
    rmse_valence: float
    rmse_arousal: float
    sign_agreement_valence: float
    sign_agreement_arousal: float
    #: Frames with both labels, and clips with at least one such frame.
    frames: int
    clips: int


def ccc(prediction: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Concordance correlation coefficient, 2 cov / (var_p + var_t + (mean_p - mean_t)^2) (section 4.3).

    Population moments (divided by N), as the ABAW challenges use them.

    Parameters
    ----------
    prediction, target : (N,) real
        NaN targets are left out.

    Returns
    -------
    float in [-1, 1]; NaN with fewer than two valid targets, or where neither prediction nor target varies.

    Raises
    ------
    DataError
        If the shapes differ, or a valid target has no finite prediction.
    """
    p, t = _valid(prediction, target)
    if len(p) < 2 or (_constant(p) and _constant(t)):
        return float("nan")
    if _constant(p) or _constant(t):
        return 0.0  # not -1e-17, which is written as -0.000
    dp, dt = p - p.mean(), t - t.mean()
    denominator = np.mean(dp**2) + np.mean(dt**2) + (p.mean() - t.mean()) ** 2
    return float(2 * np.mean(dp * dt) / denominator)


def pearson(prediction: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Pearson's correlation over the valid targets, in [-1, 1]; parameters and errors as in ``ccc``.

    NaN with fewer than two valid targets, or where either side doesn't vary.
    """
    p, t = _valid(prediction, target)
    if len(p) < 2 or _constant(p) or _constant(t):
        return float("nan")
    dp, dt = p - p.mean(), t - t.mean()
    return float(np.mean(dp * dt) / np.sqrt(np.mean(dp**2) * np.mean(dt**2)))


def rmse(prediction: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Root of the mean squared error over the valid targets, >= 0; NaN without one. Errors as in ``ccc``."""
    p, t = _valid(prediction, target)
    return float(np.sqrt(np.mean((p - t) ** 2))) if len(p) else float("nan")


def sign_agreement(prediction: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Share of valid targets whose sign the prediction has, in [0, 1]; 0 agrees with 0 alone. NaN without a target."""
    p, t = _valid(prediction, target)
    return float(np.mean(np.sign(p) == np.sign(t))) if len(p) else float("nan")


def score(pairs: Sequence[Pair]) -> Score:
    """Score a split: all frames of all clips pooled, then each figure once.

    The mean of per-clip CCCs is another figure, and not the challenge's.

    Parameters
    ----------
    pairs : per clip (prediction (T, 2), target (T, 2))
        Valence and arousal. A frame counts where both targets are there.

    Raises
    ------
    DataError
        If a clip's shapes are wrong, or a valid target has no finite prediction.
    """
    clips = [clip for clip in valid_clips(pairs) if len(clip)]
    pooled: Floats = np.concatenate(clips) if clips else np.empty((0, 2, 2))
    figures = {
        f"{measure.__name__}_{axis}": measure(pooled[:, 0, column], pooled[:, 1, column])
        for measure in (ccc, pearson, rmse, sign_agreement)
        for column, axis in enumerate(AXES)
    }
    mean = (figures["ccc_valence"] + figures["ccc_arousal"]) / 2
    return Score(ccc_mean=mean, frames=len(pooled), clips=len(clips), **figures)


def _constant(values: Floats) -> bool:
    return bool(values.min() == values.max())


def _valid(prediction: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    p, t = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    if p.ndim != 1 or p.shape != t.shape:
        raise DataError(
            f"Predictions of shape {p.shape} don't fit targets of shape {t.shape}.",
            "Both are one value per frame, shape (N,).",
        )
    valid = ~np.isnan(t)
    return _finite(p[valid], "prediction"), _finite(t[valid], "target")


def valid_clips(pairs: Sequence[Pair]) -> list[Floats]:
    """Per clip the frames with both labels, (T_valid, 2, 2): prediction and target, then valence and arousal."""
    clips = []
    for number, (prediction, target) in enumerate(pairs, start=1):
        p, t = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
        if p.ndim != 2 or p.shape[1] != 2 or p.shape != t.shape:
            raise DataError(
                f"Clip {number} has predictions of shape {p.shape} and targets of shape {t.shape}.",
                "Both are (T, 2): valence and arousal of each frame.",
            )
        valid = ~np.isnan(t).any(axis=1)
        where = f"of clip {number}"
        clips.append(np.stack([_finite(p[valid], f"prediction {where}"), _finite(t[valid], f"target {where}")], axis=1))
    return clips


def _finite(values: Floats, what: str) -> Floats:
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).reshape(len(values), -1).any(axis=1).sum())
        raise DataError(
            f"At {bad} of {len(values)} annotated frames the {what} is NaN or infinite.",
            "Each annotated frame needs a finite value; look for where it was lost before the score.",
        )
    return values
