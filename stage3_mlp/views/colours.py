"""Colours of face tracks, in the page and in the overlay: Okabe and Ito's, told apart by colour-blind people."""

from __future__ import annotations

from typing import Final

#: Of the first track, the second, and so on; after the last, the first again. Orange is left to labels.
TRACKS: Final = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a6d00")
#: What is annotated.
LABELS: Final = "#D55E00"


def track_colour(index: int) -> str:
    """``#rrggbb`` of the track with this index, from 0."""
    return TRACKS[index % len(TRACKS)]
