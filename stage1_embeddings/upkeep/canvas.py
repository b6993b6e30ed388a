"""The ground that a clip's picture is drawn on: rows that share one axis of time, their names, their curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ticker import FuncFormatter, MaxNLocator

from common.schema import Modality
from stage1_embeddings.upkeep.clipview import ClipView

INK, QUIET, FAINT, PALE = "#1c2126", "#596068", "#8a9097", "#e9ebee"
FIRST, SECOND = "#0072B2", "#D55E00"
COLOURS: dict[Modality, str] = {"visual": FIRST, "audio": "#2a8f77", "text": "#7a4a9b"}

#: Of the picture, in units of 1/100 inch; it is drawn with twice as many pixels.
WIDTH, LEFT, RIGHT, TOP, BOTTOM, GAP = 1200, 74, 18, 62, 62, 14
FACE = 70
HEIGHTS = {"faces": FACE + 4, "sound": 66, "words": 54, "there": 54, "place": 92, "labels": 96}
#: More room above these, for the names of their curves.
NAMED = {"place": 14, "labels": 14}
#: A row that has nothing to show.
EMPTY = 26

#: Fonts that have what DejaVu Sans lacks, where one of them is installed.
_MORE_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Noto Sans Devanagari", "Arial Unicode MS")

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Canvas:
    figure: Figure
    rows: dict[str, Axes]
    fonts: list[str]


def style() -> tuple[list[str], Any]:
    """Names of the fonts, and matplotlib's settings."""
    fonts = ["DejaVu Sans", *(name for name in _MORE_FONTS if name in {font.name for font in fontManager.ttflist})]
    look: Any = {
        "font.family": fonts,
        "font.size": 9,
        "text.parse_math": False,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "text.color": INK,
        **dict.fromkeys(("axes.spines.right", "axes.spines.top"), False),
        **dict.fromkeys(("xtick.color", "ytick.color"), FAINT),
        **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor"), INK),
    }
    return fonts, look


def canvas(view: ClipView, fonts: list[str]) -> Canvas:
    """An empty figure whose rows share one axis of time."""
    heights = {name: height + NAMED.get(name, 0) for name, height in HEIGHTS.items()}
    if view.labels is None:
        del heights["labels"]
    heights |= {name: EMPTY for name, there in (("words", view.words), ("place", has_place(view))) if not there}
    height = TOP + BOTTOM + sum(heights.values()) + GAP * (len(heights) - 1)
    figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=200, facecolor="white")
    rows: dict[str, Axes] = {}
    bottom = height - TOP
    low, high = float(view.edges_s[0]), float(view.edges_s[-1])
    for name, row in heights.items():
        bottom -= row
        room = row - NAMED.get(name, 0) if row > EMPTY else row
        place = (LEFT / WIDTH, bottom / height, (WIDTH - LEFT - RIGHT) / WIDTH, room / height)
        axes = figure.add_axes(place)
        axes.set_xlim(low, high)
        axes.tick_params(bottom=False, labelbottom=False)
        rows[name] = axes
        bottom -= GAP
    _time_axis(list(rows.values())[-1], high - low)
    return Canvas(figure, rows, fonts)


def _time_axis(axes: Axes, seconds: float) -> None:
    axes.tick_params(bottom=True, labelbottom=True)
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 3, 5, 6, 10] if seconds > 120 else [1, 2, 5, 10]))
    if seconds > 120:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _clock(value)))
    axes.set_xlabel("time, min:s" if seconds > 120 else "time, s")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def curve(axes: Axes, view: ClipView, values: Floats, name: str, colour: str, stroke: str) -> None:
    """A line with holes where there is nothing; of a long clip the mean of each column, in its range."""
    columns = 2 * (WIDTH - LEFT - RIGHT)
    step = -(-len(values) // columns)
    middle_s = (view.edges_s[:-1] + view.edges_s[1:]) / 2
    if step == 1:
        axes.plot(middle_s, values, stroke, color=colour, linewidth=1.1, label=name)
        there = np.pad(np.isfinite(values), 1)
        lonely = there[1:-1] & ~there[:-2] & ~there[2:]
        axes.plot(middle_s[lonely], values[lonely], "o", color=colour, markersize=4)
        return
    starts = np.arange(0, len(values), step)
    count = np.add.reduceat(np.isfinite(values), starts, dtype=np.int64)
    total = np.add.reduceat(np.nan_to_num(np.asarray(values, dtype=np.float64)), starts)
    mean = np.divide(total, count, out=np.full(len(starts), np.nan), where=count > 0)
    axes.plot(middle_s[starts], mean, stroke, color=colour, linewidth=1.1, label=name)
    low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    axes.fill_between(middle_s[starts], low, high, color=colour, alpha=0.2, linewidth=0)


def said(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words[:150], transform=axes.transAxes, ha="center", va="center", fontsize=8.5, color=QUIET)


def bare(axes: Axes, name: str, ticks: bool = False) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(left=False)
    if not ticks:
        axes.set_yticks([])
    if name:
        axes.text(-8 / (WIDTH - LEFT - RIGHT), 0.5, name, transform=axes.transAxes, ha="right", va="center")


def framed(axes: Axes, name: str) -> None:
    axes.set_ylabel(name)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_label_coords(-46 / (WIDTH - LEFT - RIGHT), 0.5)
    axes.grid(axis="y", color=FAINT, alpha=0.35, linewidth=0.6)
    handles, names = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles, names, loc="lower right", bbox_to_anchor=(1, 1.03), ncol=3, frameon=False, fontsize=7.5,
            borderpad=0, borderaxespad=0, handlelength=1.4, columnspacing=1.2,
        )  # fmt: skip


def has_place(view: ClipView) -> bool:
    return bool(np.isfinite(view.box).any())
