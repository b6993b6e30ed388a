"""Where things lie in the overlay: the picture, the words under it, and the panel beside or below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
#: Red, green, blue, 0 to 255.
Colour = tuple[int, int, int]

#: The picture's size in the overlay: at most the one, and enlarged up to the other, so that a face can be seen.
MOST_PX = (1280, 720)
ENLARGED_PX = (640, 360)

#: Pictures wider than this, and those higher than wide, have the panel below.
WIDE = 2.4

#: Tracks with a row of their own in the legend.
MAX_NAMED = 6

#: Pixels at unit 1, which is the smallest that can be read: text of 12 px.
_PAD, _ROW, _BAND = 14, 19, 42
_BESIDE_WIDTH, _BELOW_WIDTH = 320, 480
_CIRCUMPLEX, _STRIP = 190, 76
_BELOW_HEIGHT = 210
_LARGEST_UNIT = 1.5


@dataclass(frozen=True)
class Rect:
    """A part of a picture, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, image: Pixels) -> Pixels:
        """That part, as a view."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True)
class Layout:
    """Places in a canvas of even size, in its pixels.

    Attributes
    ----------
    unit : float
        What sizes of text and strokes are multiplied by, in [1, 1.5].
    picture : the video's own picture
    band : where the words go; None without any
    panel : all that is neither of the two nor the ground around them
    legend, circumplex, strips : within the panel; the strips are valence and arousal over time
    """

    width: int
    height: int
    unit: float
    picture: Rect
    band: Rect | None
    panel: Rect
    legend: Rect
    circumplex: Rect
    strips: tuple[Rect, Rect]

    def px(self, size: float) -> int:
        """A size at unit 1 in pixels."""
        return round(size * self.unit)


def layout(width_px: int, height_px: int, *, legend_rows: int, words: bool) -> Layout:
    """Lay out the overlay of a video of this size: the panel beside it, or below what is high or very wide."""
    scale = min(most / size for most, size in zip(MOST_PX, (width_px, height_px), strict=True))
    enlarged = min(large / size for large, size in zip(ENLARGED_PX, (width_px, height_px), strict=True))
    scale = min(scale, max(1.0, enlarged))
    size = max(2, round(width_px * scale)), max(2, round(height_px * scale))
    beside = height_px <= width_px <= WIDE * height_px
    return (_beside if beside else _below)(*size, legend_rows, words)


def _beside(width: int, height: int, legend_rows: int, words: bool) -> Layout:
    unit = min(max(height / 440, 1.0), _LARGEST_UNIT)
    pad, row, band_height = (round(unit * size) for size in (_PAD, _ROW, _BAND if words else 0))
    panel_width = _even(unit * _BESIDE_WIDTH)
    legend_height = legend_rows * row + (pad if legend_rows else 0)
    strip = round(unit * _STRIP)
    # Two thirds of a row below the strips are for what stands under their time axis.
    fixed = legend_height + 4 * pad + round(0.7 * row)
    full = _even(max(height + band_height, fixed + 2 * strip + unit * _CIRCUMPLEX))
    inner = panel_width - 2 * pad
    side = min(inner, full - fixed - 2 * strip, round(0.47 * full))
    strip = (full - fixed - side) // 2
    stage = _even(width)
    left, top = stage + pad, pad + legend_height
    above = (full - band_height - height) // 2
    lowest = full - pad - round(0.7 * row) - strip
    return Layout(
        stage + panel_width,
        full,
        unit,
        Rect((stage - width) // 2, above, width, height),
        Rect(0, above + height, stage, band_height) if words else None,
        Rect(stage, 0, panel_width, full),
        Rect(left, pad, inner, legend_height),
        Rect(left + (inner - side) // 2, top, side, side),
        (Rect(left, lowest - pad - strip, inner, strip), Rect(left, lowest, inner, strip)),
    )


def _below(width: int, height: int, legend_rows: int, words: bool) -> Layout:
    unit = min(max(width / 640, 1.0), _LARGEST_UNIT)
    pad, row, band_height = (round(unit * size) for size in (_PAD, _ROW, _BAND if words else 0))
    full_width = _even(max(width, unit * _BELOW_WIDTH))
    legend_height = legend_rows * row + (pad if legend_rows else 0)
    side, under = round(unit * _BELOW_HEIGHT), round(0.7 * row)
    top = height + band_height
    full = _even(top + legend_height + side + 2 * pad + under)
    inner = top + pad + legend_height
    left = 2 * pad + side + pad
    strip = (side - pad) // 2
    across = full_width - left - pad
    return Layout(
        full_width,
        full,
        unit,
        Rect((full_width - width) // 2, 0, width, height),
        Rect(0, height, full_width, band_height) if words else None,
        Rect(0, top, full_width, full - top),
        Rect(pad, top + pad, full_width - 2 * pad, legend_height),
        Rect(pad, inner, side, side),
        (Rect(left, inner, across, strip), Rect(left, inner + strip + pad, across, strip)),
    )


def _even(size: float) -> int:
    """The next even number: the colours of H.264 are stored for two pixels each way."""
    return 2 * -(-round(size) // 2)
