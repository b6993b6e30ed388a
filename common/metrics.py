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
Interval = tuple[float, float]

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
    clips = [clip for clip in _valid_clips(pairs) if len(clip)]
    pooled: Floats = np.concatenate(clips) if clips else np.empty((0, 2, 2))
    figures = {
        f"{measure.__name__}_{axis}": measure(pooled[:, 0, column], pooled[:, 1, column])
        for measure in (ccc, pearson, rmse, sign_agreement)
        for column, axis in enumerate(AXES)
    }
    mean = (figures["ccc_valence"] + figures["ccc_arousal"]) / 2
    return Score(ccc_mean=mean, frames=len(pooled), clips=len(clips), **figures)


def bootstrap_over_clips(
    pairs: Sequence[Pair], repeats: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile intervals of the pooled score, by drawing whole clips with replacement.

    The frames of a clip belong together, so a clip is drawn or not as a whole. Each clip is reduced once to its
    sufficient statistics; a repeat then costs O(clips), whatever their length.

    Parameters
    ----------
    pairs : as in ``score``; clips without a valid frame take no part
    repeats : draws, at least 1
    seed : of the draws; the same seed gives the same intervals
    level : coverage of the interval, in (0, 1)

    Returns
    -------
    dict from ``ccc_valence``, ``ccc_arousal``, ``ccc_mean``, ``rmse_valence``, ``rmse_arousal`` to (low, high).
        NaN where fewer than two clips have valid frames: one clip says nothing about other clips. Draws for which a
        figure isn't defined are left out of its interval.

    Raises
    ------
    DataError
        As in ``score``; or if ``repeats`` or ``level`` is out of range.
    """
    if repeats < 1 or not 0 < level < 1:
        raise DataError(
            f"A bootstrap of {repeats} repeats at level {level} has no meaning.",
            "Use at least 1 repeat and a level between 0 and 1.",
        )
    clips = [clip for clip in _valid_clips(pairs) if len(clip)]
    names = [f"{figure}_{axis}" for figure in ("ccc", "rmse") for axis in AXES]
    if len(clips) < 2:
        return {name: (float("nan"), float("nan")) for name in [*names, "ccc_mean"]}
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=repeats)  # (repeats, clips)
    figures: dict[str, Floats] = {}
    for column, axis in enumerate(AXES):
        statistics, shift = _sufficient_statistics([clip[:, :, column] for clip in clips])
        figures[f"ccc_{axis}"], figures[f"rmse_{axis}"] = _from_statistics(draws @ statistics, shift)
    figures["ccc_mean"] = (figures["ccc_valence"] + figures["ccc_arousal"]) / 2
    return {name: _interval(values, level) for name, values in figures.items()}


def _sufficient_statistics(clips: list[Floats]) -> tuple[Floats, float]:
    """Per clip n, sums, sums of squares and cross product, (clips, 6), of values shifted to the pooled means.

    Without the shift, the variance of nearly constant values is the difference of two large numbers. Also returns
    what the shift takes from mean_p - mean_t. ``clips`` are (T, 2): prediction, target.
    """
    first = clips[0][0]  # exact for constant values, where a mean may be one rounding off
    frames = sum(len(clip) for clip in clips)
    shift = first + sum((clip - first).sum(axis=0) for clip in clips) / frames
    rows = []
    for clip in clips:
        p, t = (clip - shift).T
        rows.append([len(clip), p.sum(), t.sum(), p @ p, t @ t, p @ t])
    return np.array(rows), float(shift[0] - shift[1])


def _from_statistics(sums: Floats, shift: float) -> tuple[Floats, Floats]:
    """CCC and RMSE of each row of pooled statistics (repeats, 6)."""
    n, sum_p, sum_t, sum_pp, sum_tt, sum_pt = sums.T
    mean_p, mean_t = sum_p / n, sum_t / n
    variance_p = np.maximum(sum_pp / n - mean_p**2, 0)
    variance_t = np.maximum(sum_tt / n - mean_t**2, 0)
    covariance = sum_pt / n - mean_p * mean_t
    offset = (mean_p - mean_t + shift) ** 2
    spread = variance_p + variance_t
    defined = (n >= 2) & (spread > 0)
    concordance = np.full(len(n), np.nan)
    np.divide(2 * covariance, spread + offset, out=concordance, where=defined)
    return concordance, np.sqrt(np.maximum(spread - 2 * covariance, 0) + offset)


def _interval(values: Floats, level: float) -> Interval:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


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


def _valid_clips(pairs: Sequence[Pair]) -> list[Floats]:
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
