"""The copy of a video that a browser plays beside its prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Media:
    """An mp4 of H.264 and AAC, and how its time and its pixels relate to those of the source.

    Attributes
    ----------
    path : of the mp4
    start_s : float, seconds
        Where the mp4's own time 0 lies on the clock of the frames: ``time_s = currentTime + start_s``.
    width_px, height_px : int, > 0
        Size of the mp4's picture.
    source_width_px : int, > 0
        Width of the upright source, in whose pixels faces are given: ``width_px / source_width_px`` scales them.
    """

    path: Path
    start_s: float
    width_px: int
    height_px: int
    source_width_px: int
