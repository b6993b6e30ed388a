"""The panel of the overlay: circumplex with a trailing dot, valence and arousal as running lines, legend.

What doesn't move is drawn once, by the ``ground`` functions and methods; per frame only dots, lines and figures are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import cv2
import numpy as np

from stage3_mlp.views.colours import LABELS
from stage3_mlp.views.overlay.panel_layout import MAX_NAMED, Colour, Layout, Pixels, Rect
from stage3_mlp.views.overlay.panel_text import draw_text, fitted, text_width
from stage3_mlp.views.overlay.panel_track import DrawnTrack, Points

#: As the pages have them, in light mode.
GROUND: Final[Colour] = (0xF7, 0xF7, 0xF5)
CARD: Final[Colour] = (255, 255, 255)
INK: Final[Colour] = (0x1C, 0x21, 0x26)
SOFT: Final[Colour] = (0x5A, 0x62, 0x6B)
LINE: Final[Colour] = (0xDC, 0xDF, 0xE3)

#: How far back the dot's trail and the running lines reach.
TRAIL_S = 3.0
RUNNING_S = 10.0
#: Length of a dash of the labels' lines, and of the space after it.
DASH_S = 0.25
#: The trail fades in so many steps.
_STEPS = 12
#: A figure per track beside the name of its axis, as long as there is room for no more tracks than these.
MAX_FIGURES = 4

#: Contrast that small text needs.
LEGIBLE = 4.5

#: OpenCV draws at 1/16 of a pixel.
_BITS = 4


def colour(code: str) -> Colour:
    """``#rrggbb`` as numbers."""
    red, green, blue = bytes.fromhex(code[1:])
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """Of two colours, from 1 to 21, as the Web Content Accessibility Guidelines define it."""
    channels = np.array([one, other]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    dark, light = sorted((linear @ (0.2126, 0.7152, 0.0722)).tolist())
    return float((light + 0.05) / (dark + 0.05))


@cache
def legible(shade: Colour) -> Colour:
    """The colour, or a darker one of its kind, that small figures can be read in on the panel."""
    while contrast(shade, GROUND) < LEGIBLE:
        red, green, blue = (round(0.95 * part) for part in shade)
        shade = red, green, blue
    return shade


def legend_rows(tracks: Sequence[DrawnTrack]) -> int:
    """Rows of `legend_ground`: none where there is one track without labels."""
    named = min(len(tracks), MAX_NAMED) + (len(tracks) > MAX_NAMED) if len(tracks) > 1 else 0
    return named + any(track.labelled for track in tracks)


def legend_ground(canvas: Pixels, place: Layout, tracks: Sequence[DrawnTrack]) -> None:
    """Each track's colour, mark and name, and how labels are drawn."""
    rect, row, size = place.legend, place.px(19), place.px(12)
    x, y = rect.x + place.px(22), rect.y
    room = rect.width - place.px(22)
    if len(tracks) > 1:
        for track in tracks[:MAX_NAMED]:
            cut = Rect(rect.x, y, rect.width, row).of(canvas)
            draw_chip(cut, (0, (row - place.px(15)) // 2), track, place)
            draw_text(cut, fitted(track.name, size, room), (x - rect.x, place.px(14)), size, INK)
            y += row
        if len(tracks) > MAX_NAMED:
            draw_text(canvas, f"and {len(tracks) - MAX_NAMED} more", (x, y + place.px(14)), size, SOFT)
            y += row
    if any(track.labelled for track in tracks):
        shade = colour(LABELS) if len(tracks) == 1 else SOFT
        _ring(canvas, np.array([rect.x + place.px(7.5), y + place.px(9.5)]), place.px(5), shade)
        draw_text(canvas, "labels: hollow dot, dashed lines", (x, y + place.px(14)), size, INK)


def draw_chip(image: Pixels, at: tuple[int, int], track: DrawnTrack, place: Layout) -> None:
    """A track's mark on its colour, from the upper left corner ``at`` on."""
    (x, y), size = at, place.px(11)
    ink = CARD if contrast(track.colour, CARD) >= contrast(track.colour, INK) else INK
    width = max(place.px(15), round(text_width(track.mark, size, bold=True)) + place.px(6))
    cv2.rectangle(image, (x, y), (x + width - 1, y + place.px(15) - 1), track.colour, cv2.FILLED)
    draw_text(image, track.mark, (x + width / 2, y + place.px(11.5)), size, ink, bold=True, align=0.5)


class Circumplex:
    """Valence to the right and arousal upwards, from ``-edge`` to ``edge``."""

    def __init__(self, place: Layout, edge: float) -> None:
        self._rect, self._place, self._edge = place.circumplex, place, edge

    def at(self, points: Points) -> Points:
        """Pixels (..., 2) of the canvas for valence and arousal (..., 2); what lies outside is put on the border."""
        half = self._rect.width / 2
        inside = np.clip(points, -self._edge, self._edge) / self._edge * (half - 1)
        return np.stack([self._rect.x + half + inside[..., 0], self._rect.y + half - inside[..., 1]], axis=-1)

    def ground(self, canvas: Pixels) -> None:
        rect, size, edge = self._rect, self._place.px(10), self._place.px(4)
        _card(canvas, rect)
        for axis in np.eye(2):
            _line(canvas, self.at(np.stack([-self._edge * axis, self._edge * axis])), LINE, 1)
        middle = self.at(np.zeros(2))
        radius = self.at(np.array([1.0, 0.0]))[0] - middle[0]
        cv2.circle(canvas, _fixed(middle), round(float(radius) * 2**_BITS), SOFT, 1, cv2.LINE_AA, _BITS)
        for side, word in ((-1, "negative"), (1, "positive")):
            x = middle[0] + side * (radius - edge)
            draw_text(canvas, word, (x, middle[1] - 0.5 * size), size, SOFT, align=float(side > 0))
        for up, word in ((1, "high arousal"), (-1, "low arousal")):
            y = middle[1] - up * radius + (edge + size if up > 0 else -edge)
            draw_text(canvas, word, (middle[0], y), size, SOFT, align=0.5)

    def draw(self, canvas: Pixels, tracks: Sequence[DrawnTrack], time_s: float) -> None:
        """The trails, then the labels, then the dots."""
        place, rows = self._place, [track.row(time_s) for track in tracks]
        for track in tracks:
            for times, points in track.values.lines(time_s - TRAIL_S, time_s):
                self._trail(canvas, track.colour, (time_s - times) / TRAIL_S, self.at(points))
        for track, row in zip(tracks, rows, strict=True):
            if row is not None and np.isfinite(track.labels.points[row, 0]):
                _ring(canvas, self.at(track.labels.points[row]), place.px(6), track.label_colour)
        for track, row in zip(tracks, rows, strict=True):
            if row is not None and np.isfinite(track.values.points[row, 0]):
                _dot(canvas, self.at(track.values.points[row]), place.px(6), track.colour)

    def _trail(self, canvas: Pixels, shade: Colour, age: Points, pixels: Points) -> None:
        """A line that is the paler, the older it is; ``age`` in [0, 1]."""
        step = np.minimum((_STEPS * age[1:]).astype(int), _STEPS - 1)
        bounds = np.flatnonzero(np.diff(step)) + 1
        for part in np.split(np.arange(len(step)), bounds):
            if len(part):
                strength = 1 - (step[part[0]] + 0.5) / _STEPS
                faded = np.asarray(CARD) + (np.asarray(shade) - CARD) * strength
                _line(canvas, pixels[part[0] : part[-1] + 2], tuple(faded.tolist()), self._place.px(2))


class Strip:
    """One of valence and arousal over the last seconds, and its value now."""

    def __init__(self, place: Layout, axis: int, edge: float) -> None:
        self._place, self._axis, self._edge = place, axis, edge
        self._name = ("valence", "arousal")[axis]
        whole, head, left = place.strips[axis], place.px(21), place.px(22)
        self._head = Rect(whole.x, whole.y, whole.width, head)
        self._plot = Rect(whole.x + left, whole.y + head, whole.width - left, whole.height - head)

    def at(self, times_s: Points, values: Points, now_s: float) -> Points:
        """Pixels (N, 2) of the canvas: the right border is now, its left 10 s ago."""
        rect = self._plot
        room = rect.width - self._place.px(8)
        inside = np.clip(values, -self._edge, self._edge) / self._edge * (rect.height / 2 - 1)
        x = rect.x + room * (1 - (now_s - np.asarray(times_s)) / RUNNING_S)
        return np.stack([x, rect.y + rect.height / 2 - inside], axis=-1)

    def ground(self, canvas: Pixels) -> None:
        size, rect = self._place.px(10), self._plot
        _card(canvas, rect)
        for value, sign in ((1.0, "+1"), (0.0, "0"), (-1.0, "−1")):
            (_, y), _ = self.at(np.zeros(2), np.full(2, value), 0.0)
            _line(canvas, np.array([[rect.x + 1, y], [rect.x + rect.width - 2, y]]), LINE, 1)
            draw_text(canvas, sign, (rect.x - self._place.px(4), y + 0.36 * size), size, SOFT, align=1.0)
        size = self._place.px(12)
        draw_text(canvas, self._name, (self._head.x, self._head.y + self._place.px(13)), size, INK, bold=True)
        if self._axis == 1:
            below, size = rect.y + rect.height + self._place.px(11), self._place.px(10)
            draw_text(canvas, f"{RUNNING_S:.0f} s ago", (rect.x, below), size, SOFT)
            draw_text(canvas, "now", (rect.x + rect.width, below), size, SOFT, align=1.0)

    def draw(self, canvas: Pixels, tracks: Sequence[DrawnTrack], time_s: float) -> None:
        """The lines, labels first, and the figures."""
        inside = Rect(self._plot.x + 1, 0, self._plot.width - 2, canvas.shape[0]).of(canvas)
        for track in tracks:
            for times, points in track.labels.lines(time_s - RUNNING_S, time_s):
                pixels = self.at(times, points[:, self._axis], time_s) - (self._plot.x + 1, 0)
                even = (times[:-1] // DASH_S).astype(int) % 2 == 0
                for part in np.split(np.arange(len(even)), np.flatnonzero(np.diff(even)) + 1):
                    if len(part) and even[part[0]]:
                        _line(inside, pixels[part[0] : part[-1] + 2], track.label_colour, 1)
        for track in tracks:
            for times, points in track.values.lines(time_s - RUNNING_S, time_s):
                pixels = self.at(times, points[:, self._axis], time_s) - (self._plot.x + 1, 0)
                _line(inside, pixels, track.colour, self._place.px(1.6))
        self._figures(canvas, tracks, time_s)

    def _figures(self, canvas: Pixels, tracks: Sequence[DrawnTrack], time_s: float) -> None:
        """What is true now, from the right; of several tracks those that are there now."""
        size, y = self._place.px(13), self._head.y + self._place.px(14)
        x = float(self._head.x + self._head.width)
        here = [(track, row) for track in tracks if (row := track.row(time_s)) is not None]
        for track, row in reversed(here[:MAX_FIGURES]):
            value, label = (curve.points[row, self._axis] for curve in (track.values, track.labels))
            text = f"{value:+.2f}".replace("-", "−") if np.isfinite(value) else "–"
            draw_text(canvas, text, (x, y), size, legible(track.colour), bold=True, align=1.0)
            x -= self._place.px(56)
            if len(tracks) == 1 and np.isfinite(label):
                text = f"label {label:+.2f}".replace("-", "−")
                draw_text(canvas, text, (x, y), self._place.px(12), legible(track.label_colour), align=1.0)


def _card(canvas: Pixels, rect: Rect) -> None:
    rect.of(canvas)[:] = LINE
    Rect(rect.x + 1, rect.y + 1, rect.width - 2, rect.height - 2).of(canvas)[:] = CARD


def _fixed(point: Points) -> tuple[int, int]:
    x, y = np.round(point * 2**_BITS).astype(int).tolist()
    return x, y


def _line(canvas: Pixels, pixels: Points, shade: Sequence[float], width_px: int) -> None:
    """Through pixels (N, 2), N >= 1; a single one is a short stroke, as it would not be seen otherwise."""
    if len(pixels) == 1:
        pixels = pixels + np.array([[-1.0, 0.0], [1.0, 0.0]])
    fixed = np.round(pixels * 2**_BITS).astype(np.int32)[:, None]
    cv2.polylines(canvas, [fixed], False, tuple(shade), width_px, cv2.LINE_AA, _BITS)


def _ring(canvas: Pixels, at: Points, radius_px: int, shade: Colour) -> None:
    cv2.circle(canvas, _fixed(at), radius_px * 2**_BITS, CARD, cv2.FILLED, cv2.LINE_AA, _BITS)
    cv2.circle(canvas, _fixed(at), radius_px * 2**_BITS, shade, 2, cv2.LINE_AA, _BITS)


def _dot(canvas: Pixels, at: Points, radius_px: int, shade: Colour) -> None:
    cv2.circle(canvas, _fixed(at), (radius_px + 1) * 2**_BITS, CARD, cv2.FILLED, cv2.LINE_AA, _BITS)
    cv2.circle(canvas, _fixed(at), radius_px * 2**_BITS, shade, cv2.FILLED, cv2.LINE_AA, _BITS)
