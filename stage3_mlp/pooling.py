"""Temporal average pooling over a centred window (eq. 26)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from common.errors import DataError, RecipeError

#: Width of the centred window in frames, or the whole clip.
PoolFrames = int | Literal["clip"]

#: Columns summed at a time: bounds the float64 sums of an hour of video to a few megabytes.
COLUMNS = 64


def pool(
    features: npt.NDArray[np.floating],
    window_frames: PoolFrames,
    valid: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float32]:
    """Mean of the frames around each frame, so that every frame has its own pooled row (eq. 26).

    Eq. 26 averages a whole clip into one row: ``window_frames="clip"``, and every frame gets that row. A window of 1
    leaves the features as they are. At the edges, the mean is over the frames that exist.

    Parameters
    ----------
    features : (T, d) float
    window_frames : odd number of frames >= 1, or "clip"
    valid : (T,) bool, optional
        Frames that count; what the others hold doesn't matter.

    Returns
    -------
    (T, d) float32. NaN where not one frame of the window is valid. Sums are in float64.

    Raises
    ------
    RecipeError
        If ``window_frames`` is even, or less than 1.
    DataError
        If the shapes don't fit.
    """
    if window_frames != "clip" and (window_frames < 1 or window_frames % 2 == 0):
        raise RecipeError(
            f"A pooling window of {window_frames} frames has no centre frame.",
            "Set stage3.head.pool_frames to an odd number, or to clip.",
        )
    if features.ndim != 2 or (valid is not None and valid.shape != features.shape[:1]):
        shape = None if valid is None else valid.shape
        raise DataError(
            f"Features of shape {features.shape} can't be pooled with a mask of shape {shape}.",
            "They are (T, d) and (T,).",
        )
    frames = len(features)
    counts = np.ones(frames, np.bool_) if valid is None else valid
    if window_frames == 1:
        return np.where(counts[:, None], features, np.nan).astype(np.float32)
    half = frames if window_frames == "clip" else window_frames // 2
    centre = np.arange(frames)
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half + 1, frames)
    number = _running_sum(counts[:, None])
    number = number[high] - number[low]  # (T, 1)
    pooled = np.full(features.shape, np.nan, np.float32)
    for start in range(0, features.shape[1], COLUMNS):
        columns = slice(start, start + COLUMNS)
        sums = _running_sum(np.where(counts[:, None], features[:, columns], 0))
        np.divide(sums[high] - sums[low], number, out=pooled[:, columns], where=number > 0, casting="same_kind")
    return pooled


def _running_sum(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Sum of the first 0, 1, ..., T rows: (T, d) -> (T + 1, d) float64."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, dtype=np.float64, out=sums[1:])
    return sums
