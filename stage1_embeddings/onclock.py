"""Features moved to the frame clock, a stretch of frames at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from common.rows import Array, Rows
from common.schema import FEATURE_DTYPE
from common.timeline import frame_edges_s, hops_within, stretch


class _OnFrames:
    """(T, D) half-precision rows, NaN where the mask doesn't hold."""

    def __init__(self, width: int, mask: npt.NDArray[np.bool_]) -> None:
        self.mask = mask
        self._width = width

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.mask), self._width)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(FEATURE_DTYPE)

    def read(self, start: int, stop: int) -> Array:
        rows = np.full((stop - start, self._width), np.nan, dtype=FEATURE_DTYPE)
        mask = self.mask[start:stop]
        if mask.any():
            rows[mask] = self._values(start, stop)[mask]
        return rows

    def _values(self, start: int, stop: int) -> Array:
        raise NotImplementedError


class Absent(_OnFrames):
    """A modality that a clip doesn't have."""

    def __init__(self, frames: int, width: int) -> None:
        super().__init__(width, np.zeros(frames, dtype=np.bool_))


class HopsOnFrames(_OnFrames):
    """Audio features at their own rate, as `common.timeline.hops_to_frames` places them.

    Parameters
    ----------
    hops : Rows (N, D), N >= 1
    centres_s : (N,) seconds on the clock of ``time_s``
    time_s : (T,) seconds
    mask : (T,) bool, where there is sound
    """

    def __init__(
        self, hops: Rows, centres_s: npt.NDArray[np.floating], time_s: Array, mask: npt.NDArray[np.bool_]
    ) -> None:
        super().__init__(hops.shape[1], mask)
        self._hops, self._centres_s, self._edges = hops, centres_s, frame_edges_s(time_s)

    def _values(self, start: int, stop: int) -> Array:
        edges = self._edges[start : stop + 1]
        # One hop more on either side: it may be the nearest of a frame that has none of its own.
        low = max(0, min(int(np.searchsorted(self._centres_s, edges[0])), len(self._centres_s)) - 1)
        high = min(int(np.searchsorted(self._centres_s, edges[-1])) + 1, len(self._centres_s))
        return hops_within(self._hops.read(low, high), self._centres_s[low:high], edges)


class WordsOnFrames(_OnFrames):
    """Each frame has the features of the word under its middle.

    Parameters
    ----------
    words : (W, D) float
    at : (T,) int, which word; -1 where none is
    """

    def __init__(self, words: Array, at: npt.NDArray[np.int64]) -> None:
        super().__init__(words.shape[1], at >= 0)
        self._words, self._at = words, at

    def _values(self, start: int, stop: int) -> Array:
        values: Array = self._words[self._at[start:stop]]
        return values


class TokensStretched(_OnFrames):
    """Eq. 12 as printed: S tokens stretched over all frames of a clip."""

    def __init__(self, tokens: Array, frames: int) -> None:
        super().__init__(tokens.shape[1], np.ones(frames, dtype=np.bool_))
        self._tokens = tokens

    def _values(self, start: int, stop: int) -> Array:
        return stretch(self._tokens, len(self.mask), start, stop)
