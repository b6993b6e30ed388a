"""A track as the overlay draws it: which rows belong to a moment, and which of them make a line."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stage3_mlp.views.overlay.panel_layout import Colour
from stage3_mlp.views.overlay.panel_text import printable
from stage3_mlp.views.view import Track

Points = npt.NDArray[np.float64]

#: A row is of a decoded frame if their times differ by no more; frames of one video are at least 0.1 ms apart.
SAME_FRAME_S = 1e-3

#: Rows further apart aren't joined by a line.
GAP_S = 1.0


class Curve:
    """Valence and arousal over time, with gaps.

    Attributes
    ----------
    points : (T, 2) float64, NaN in both numbers where there is nothing to draw
    """

    def __init__(self, time_s: Points, points: npt.ArrayLike) -> None:
        self._time_s = time_s
        self.points: Points = np.array(points, dtype=np.float64)
        there = np.logical_and.reduce(np.isfinite(self.points), axis=1)
        self.points[~there] = np.nan
        breaks = np.append(True, ~there[:-1] | (np.diff(time_s) > GAP_S))
        #: The number of the unbroken run that a row is in, -1 where there is nothing.
        self._runs = np.where(there, np.cumsum(breaks & there), -1)

    def lines(self, from_s: float, to_s: float) -> Iterator[tuple[Points, Points]]:
        """Times (N,) and points (N, 2) of each unbroken run within a span of time, N >= 1."""
        first = int(np.searchsorted(self._time_s, from_s))
        stop = int(np.searchsorted(self._time_s, to_s + SAME_FRAME_S, side="right"))
        there = first + np.flatnonzero(self._runs[first:stop] >= 0)
        if len(there):
            for part in np.split(there, np.flatnonzero(np.diff(self._runs[there])) + 1):
                yield self._time_s[part], self.points[part]


class DrawnTrack:
    """One person's prediction, ready to be asked about moments.

    Attributes
    ----------
    name, mark : what the legend calls it, and its short sign there and at the face
    values, labels : Curve
        Values are left out where there is nothing behind the prediction.
    behind : (T,) bool
        Is there anything behind the prediction?
    box : (T, 4) float32, as in `Track`
    """

    def __init__(self, track: Track, colour: Colour, label_colour: Colour, mark: str) -> None:
        prediction = track.prediction
        self.name = printable(prediction.clip)
        self.mark = mark
        self.colour = colour
        self.label_colour = label_colour
        self.box = track.box
        self.behind = prediction.anything
        self._time_s = prediction.time_s
        self.values = Curve(self._time_s, np.where(self.behind[:, None], prediction.values, np.nan))
        self.labels = Curve(self._time_s, prediction.labels)

    @property
    def labelled(self) -> bool:
        return bool(np.isfinite(self.labels.points).any())

    def row(self, time_s: float) -> int | None:
        """The row of the frame shown at this time; None where the track has none."""
        right = int(np.searchsorted(self._time_s, time_s))
        near = [row for row in (right - 1, right) if 0 <= row < len(self._time_s)]
        row = min(near, key=lambda row: abs(float(self._time_s[row]) - time_s), default=None)
        return row if row is not None and abs(float(self._time_s[row]) - time_s) <= SAME_FRAME_S else None
