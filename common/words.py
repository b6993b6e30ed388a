"""A word of a transcript and when it is said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word and when it is said, in seconds on the video's presentation clock; ``start_s <= end_s``."""

    text: str
    start_s: float
    end_s: float
