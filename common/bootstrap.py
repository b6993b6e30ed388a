"""How sure a score is: intervals and paired comparisons by drawing whole clips with replacement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from common.errors import DataError
from common.metrics import AXES, Pair, valid_clips

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

#: Draws for the intervals of one score; a comparison takes more.
REPEATS: Final = 1000


def bootstrap_over_clips(
    pairs: Sequence[Pair], repeats: int = REPEATS, seed: int = 0, level: float = 0.95
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
    check_range(repeats, level)
    clips = [clip for clip in valid_clips(pairs) if len(clip)]
    if len(clips) < 2:
        names = [f"{figure}_{axis}" for figure in ("ccc", "rmse") for axis in AXES]
        return {name: (float("nan"), float("nan")) for name in [*names, "ccc_mean"]}
    draws = draw(len(clips), repeats, np.random.default_rng(seed))
    return {name: interval(values, level) for name, values in _figures(clips, draws).items()}


def mean_ccc_draws(groups: Sequence[Sequence[Sequence[Pair]]], repeats: int = REPEATS, seed: int = 0) -> Floats:
    """Draws of the mean CCC of several models, paired: in each draw, all are scored on the same clips.

    Parameters
    ----------
    groups : per model, per training seed, per clip (prediction (T, 2), target (T, 2))
        The clips and their targets are the same everywhere. Where a model has several seeds, they are drawn with
        replacement as well, and its figure is their mean.

    Returns
    -------
    (models, repeats) float64; NaN where a draw's CCC isn't defined, or where fewer than two clips have valid frames

    Raises
    ------
    DataError
        If targets differ between models or seeds; otherwise as in ``common.metrics.score``.
    """
    check_range(repeats, 0.5)
    models = [[valid_clips(pairs) for pairs in runs] for runs in groups]
    first = models[0][0]
    for clips in (clips for runs in models for clips in runs):
        same = len(clips) == len(first) and all(
            np.array_equal(one[:, 1], two[:, 1]) for one, two in zip(clips, first, strict=True)
        )
        if not same:
            raise DataError(
                "The runs were scored on different clips, or against different labels.",
                "Compare runs of one data set, scored on the same split.",
            )
    kept = [index for index, clip in enumerate(first) if len(clip)]
    if len(kept) < 2:
        return np.full((len(models), repeats), np.nan)

    def figure(clips: list[Floats], draws: Floats) -> Floats:
        return _figures([clips[i] for i in kept], draws)["ccc_mean"]

    return paired_draws(models, figure, len(kept), repeats, seed)


def paired_draws(
    models: Sequence[Sequence[Any]], figure: Callable[[Any, Floats], Floats], number: int, repeats: int, seed: int
) -> Floats:
    """Draws of a figure of several models on the same clips; seeds of a model are drawn as well, and averaged.

    Parameters
    ----------
    models : per model, per training seed, what ``figure`` takes
    figure : of a run and draws (repeats, number), (repeats,) float64
    number : clips to draw from

    Returns
    -------
    (models, repeats) float64
    """
    rng = np.random.default_rng(seed)
    draws = draw(number, repeats, rng)
    rows = []
    for runs in models:
        figures = np.stack([figure(run, draws) for run in runs])  # (seeds, repeats)
        drawn = draw(len(runs), repeats, rng).T if len(runs) > 1 else np.ones((1, repeats))
        rows.append((figures * drawn).sum(axis=0) / len(runs))
    return np.stack(rows)


def interval(values: Floats, level: float = 0.95) -> Interval:
    """Percentile interval of draws; those that are NaN are left out. NaN where all are."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def check_range(repeats: int, level: float) -> None:
    if repeats < 1 or not 0 < level < 1:
        raise DataError(
            f"A bootstrap of {repeats} repeats at level {level} has no meaning.",
            "Use at least 1 repeat and a level between 0 and 1.",
        )


def draw(number: int, repeats: int, rng: np.random.Generator) -> Floats:
    """How often each of ``number`` things is drawn: (repeats, number)."""
    return rng.multinomial(number, np.full(number, 1 / number), size=repeats).astype(np.float64)


def _figures(clips: list[Floats], draws: Floats) -> dict[str, Floats]:
    """CCC and RMSE of the pooled clips for each row of ``draws`` (repeats, clips)."""
    figures: dict[str, Floats] = {}
    for column, axis in enumerate(AXES):
        statistics, shift = _sufficient_statistics([clip[:, :, column] for clip in clips])
        figures[f"ccc_{axis}"], figures[f"rmse_{axis}"] = _from_statistics(draws @ statistics, shift)
    figures["ccc_mean"] = (figures["ccc_valence"] + figures["ccc_arousal"]) / 2
    return figures


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
