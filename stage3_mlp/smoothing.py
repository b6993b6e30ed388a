"""Smoothing of a clip's predictions; the kind and the width are chosen on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from common.errors import CacheError
from common.metrics import score
from common.polar import to_polar
from common.recipe import Smoothing
from common.timeline import odd_frames
from stage3_mlp.pooling import pool
from stage3_mlp.predictions import ClipPrediction

Floats = npt.NDArray[np.float32]
Kind = Literal["none", "box", "savitzky-golay"]

#: Degree of the polynomial that Savitzky-Golay fits.
DEGREE = 2


@dataclass(frozen=True)
class Smoother:
    """One filter. ``width_s`` is in seconds, of each clip's own clock; ``none`` leaves predictions as they are."""

    kind: Kind = "none"
    width_s: float = 0.0

    def __str__(self) -> str:
        return "none" if self.kind == "none" else f"{self.kind}, {self.width_s:g} s"

    def over(self, prediction: ClipPrediction) -> ClipPrediction:
        """The clip with smoothed ``values``, in both forms; what they were is kept in ``unsmoothed``.

        Frames with nothing behind them give nothing to others.
        """
        if self.kind == "none":
            return prediction
        frames = odd_frames(self.width_s, prediction.time_s)
        values = smooth(prediction.values, prediction.anything, self.kind, frames)
        intensity, theta = to_polar(values[:, 0], values[:, 1])
        return replace(
            prediction,
            values=values,
            intensity=intensity.astype(np.float32),
            theta=theta.astype(np.float32),
            unsmoothed=prediction.values,
        )


def smooth(values: Floats, valid: npt.NDArray[np.bool_], kind: Kind, frames: int) -> Floats:
    """Filter (T, 2) float32 over a centred window of an odd number of ``frames``.

    ``box`` is the mean of the valid frames in the window. ``savitzky-golay`` fits a parabola to it (SciPy's
    ``savgol_filter``); frames that aren't valid are bridged by straight lines first, and in a clip shorter than the
    window, the window is as long as the clip allows. Where no frame of a window is valid, values stay.
    """
    if kind == "none" or not valid.any():
        return values
    if kind == "box":
        mean = pool(values, frames, valid)
        return np.where(np.isfinite(mean), mean, values)
    from scipy.signal import savgol_filter

    longest = len(values) - (1 - len(values) % 2)
    window = min(frames, longest)
    if window <= DEGREE + 1:
        return values
    at = np.arange(len(values))
    bridged = np.stack([np.interp(at, at[valid], column[valid]) for column in values.T.astype(np.float64)], axis=1)
    return np.asarray(savgol_filter(bridged, window, DEGREE, axis=0), dtype=np.float32)


def choose(settings: Smoothing, validation: Sequence[ClipPrediction]) -> tuple[Smoother, list[dict[str, Any]]]:
    """The smoother that the recipe asks for, as it does best on the validation split.

    Parameters
    ----------
    validation : unsmoothed predictions of the labelled validation clips

    Returns
    -------
    smoother
        With the best mean CCC, pooled; none where nothing is better than none.
    table
        What was tried: ``kind``, ``width_s``, ``ccc_mean``.
    """
    tried = [Smoother()]
    if settings.kind in ("box", "savitzky-golay"):
        tried = [Smoother(settings.kind, width_s) for width_s in settings.widths_s]
    elif settings.kind == "best":
        tried += [Smoother(kind, s) for kind in ("box", "savitzky-golay") for s in settings.widths_s]
    scores = [score([(p.values, p.labels) for p in map(one.over, validation)]).ccc_mean for one in tried]
    best = tried[int(np.nanargmax(scores))]
    return best, [{**asdict(one), "ccc_mean": figure} for one, figure in zip(tried, scores, strict=True)]


def smoother_of(record: dict[str, Any]) -> Smoother:
    """The smoother that a head's record holds.

    Raises
    ------
    CacheError
        If it holds none.
    """
    try:
        return Smoother(**record["smoothing"]["chosen"])
    except (KeyError, TypeError) as error:
        raise CacheError(
            "The record of this head doesn't say how its predictions are smoothed.",
            "It is of an earlier version: run `make train-mlp` with its recipe again.",
        ) from error
