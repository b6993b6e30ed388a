"""Temporal average pooling over a centred window (eq. 26)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from common.errors import DataError, RecipeError

#: Width of the centred window in frames, or the whole clip.
PoolFrames = int | Literal["clip"]

#: Columns summed at a time: bounds the float64 sums of an hour of video to tens of megabytes.
COLUMNS = 32


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
    if window_frames == 1:
        rows = features.astype(np.float32)
        return rows if valid is None else np.where(valid[:, None], rows, np.float32("nan"))
    half = frames if window_frames == "clip" else min(window_frames // 2, frames)
    counts = np.ones(frames) if valid is None else valid.astype(np.float64)
    number = _window_sums(counts[:, None], half)  # (T, 1)
    pooled = np.empty(features.shape, np.float32)
    with np.errstate(invalid="ignore"):  # 0 / 0 where no frame is valid
        for start in range(0, features.shape[1], COLUMNS):
            columns = slice(start, start + COLUMNS)
            values = features[:, columns] if valid is None else np.where(valid[:, None], features[:, columns], 0)
            np.divide(_window_sums(values, half), number, out=pooled[:, columns], casting="same_kind")
    pooled[number[:, 0] == 0] = np.nan
    return pooled


def _window_sums(values: npt.NDArray[np.generic], half: int) -> npt.NDArray[np.float64]:
    """Sum of each row and of up to ``half`` rows before and after it: (T, d) -> (T, d) float64."""
    frames = len(values)
    sums = np.zeros((frames + 2 * half + 1, values.shape[1]))  # of the first 0, 1, ... T rows, its ends repeated
    running = sums[half + 1 : half + 1 + frames]
    running[:] = values
    np.cumsum(running, axis=0, out=running)
    sums[half + 1 + frames :] = running[-1:]
    return sums[2 * half + 1 :] - sums[:frames]
