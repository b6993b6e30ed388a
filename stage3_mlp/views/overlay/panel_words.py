"""The words of a video as lines of subtitles, the one being spoken marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.words import Word
from stage3_mlp.views.overlay.panel_layout import Colour, Pixels
from stage3_mlp.views.overlay.panel_text import draw_text, fitted, printable, text_width

STAGE: Colour = (0x14, 0x17, 0x1A)
SPOKEN: Colour = (255, 255, 255)
BESIDE: Colour = (0x9A, 0xA3, 0xAB)

#: Silence after which a new line begins, and for how long the last words stay.
PAUSE_S = 1.5
#: A word is marked for at least this long: some recognisers give words no length.
LEAST_WORD_S = 0.1


@dataclass(frozen=True)
class _Line:
    """Words beside each other: what, from which x on, how wide, when."""

    words: tuple[str, ...]
    x_px: tuple[float, ...]
    widths_px: tuple[float, ...]
    start_s: tuple[float, ...]
    end_s: tuple[float, ...]


class Subtitles:
    """Lines of words, drawn in a band.

    Parameters
    ----------
    words : in order of time; what has no time, or nothing to be seen, is left out
    width_px, height_px : of the band
    size_px : of the text
    """

    def __init__(self, words: Sequence[Word], width_px: int, height_px: int, size_px: int) -> None:
        self._size_px = size_px
        self._band = np.full((height_px, width_px, 3), STAGE, np.uint8)
        self._shown: tuple[int, int] = (-1, -1)
        timed = [word for word in words if math.isfinite(word.start_s) and math.isfinite(word.end_s)]
        self._lines = _lines(timed, width_px - 2 * size_px, size_px, width_px)
        self._starts = np.array([line.start_s[0] for line in self._lines], np.float64)

    def at(self, time_s: float) -> Pixels:
        """(height, width, 3) uint8: the band at this moment; the same array at each call."""
        shown = self._choose(time_s)
        if shown != self._shown:
            self._band[:] = STAGE
            self._shown = shown
            if shown[0] >= 0:
                self._draw(self._lines[shown[0]], shown[1])
        return self._band

    def _choose(self, time_s: float) -> tuple[int, int]:
        """The line of this moment and its word being spoken; -1 for none."""
        index = int(np.searchsorted(self._starts, time_s, side="right")) - 1
        if index < 0 or time_s >= max(self._lines[index].end_s) + PAUSE_S:
            return -1, -1
        line = self._lines[index]
        spans = enumerate(zip(line.start_s, line.end_s, strict=True))
        return index, max((word for word, (start_s, end_s) in spans if start_s <= time_s < end_s), default=-1)

    def _draw(self, line: _Line, spoken: int) -> None:
        height = self._band.shape[0]
        baseline = round(height / 2 + 0.3 * self._size_px)
        for index, (word, x) in enumerate(zip(line.words, line.x_px, strict=True)):
            draw_text(self._band, word, (x, baseline), self._size_px, SPOKEN if index == spoken else BESIDE)
        if spoken >= 0:
            first, width = round(line.x_px[spoken]), round(line.widths_px[spoken])
            under = baseline + round(0.35 * self._size_px)
            self._band[under : under + max(2, self._size_px // 8), first : first + width] = SPOKEN


def _lines(words: Sequence[Word], room_px: float, size_px: int, width_px: int) -> list[_Line]:
    """Words that fit beside each other and follow each other without a long pause."""
    space = text_width(" ", size_px)
    lines: list[list[tuple[str, float, Word]]] = []
    used, last_s = 0.0, -math.inf
    for word in words:
        text = fitted(printable(word.text), size_px, room_px)
        if not text:
            continue
        width = text_width(text, size_px)
        if not lines or used + space + width > room_px or word.start_s > last_s + PAUSE_S:
            lines.append([])
            used = -space
        lines[-1].append((text, width, word))
        used += space + width
        last_s = max(last_s, word.end_s)
    return [_placed(line, space, width_px) for line in lines]


def _placed(line: list[tuple[str, float, Word]], space: float, width_px: int) -> _Line:
    widths = [width for _, width, _ in line]
    x = (width_px - sum(widths) - space * (len(line) - 1)) / 2
    places = [x + sum(widths[:index]) + space * index for index in range(len(line))]
    return _Line(
        tuple(text for text, _, _ in line),
        tuple(places),
        tuple(widths),
        tuple(word.start_s for _, _, word in line),
        tuple(max(word.end_s, word.start_s + LEAST_WORD_S) for _, _, word in line),
    )
