"""The pictures of a comparison: the differences of all pairs with their intervals, and two runs clip by clip.

Runs are drawn as their letters: their names come from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from common.canvas import FAINT, INK, PREDICTED, TRUE, Picture, canvas, counted, finished, styled

#: A row of a forest plot, and what is around the rows, in CSS pixels.
ROW_PX, AROUND_PX = 30, 90
#: Between ticks, times a power of ten.
_STEPS = (1, 2, 2.5, 5, 10)

Floats = npt.NDArray[np.float64]


@styled
def forest(marks: Sequence[str], differences: Sequence[dict[str, Any]], title: str, width_px: int) -> Picture:
    """A row per pair of runs: the difference, its 95 % interval (thick), and the widened one (thin).

    Parameters
    ----------
    marks : letters of the runs
    differences : as in compare.json, one at least
    title : of the figure
    """
    figure = canvas(width_px, AROUND_PX + ROW_PX * len(differences))
    axes = figure.add_subplot()
    several = len(differences) > 1
    for row, one in enumerate(differences):
        clear = one["better"] is not None
        colour = PREDICTED if clear else INK
        if several:
            axes.plot(one["widened"], [row, row], color=colour, linewidth=1, marker="|", markersize=7)
        axes.plot(one["interval"], [row, row], color=colour, linewidth=3.5, solid_capstyle="butt")
        axes.plot(one["difference"], row, "o", color=colour, markerfacecolor=colour if clear else "white", markersize=7)
    axes.axvline(0, color=FAINT, linewidth=1, zorder=0)
    axes.set_yticks(range(len(differences)), [f"{marks[one['one']]} − {marks[one['other']]}" for one in differences])
    axes.set(xlabel=f"difference of the {title}", ylim=(len(differences) - 0.4, -0.6))
    axes.xaxis.set_major_locator(MaxNLocator(4 if width_px < 500 else 8, steps=_STEPS))
    axes.margins(x=0.04)
    axes.grid(axis="x")
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    clear_ones = sum(one["better"] is not None for one in differences)
    alt = f"{counted(len(differences), 'difference')} of the {title} with intervals; {clear_ones} clear of 0."
    return finished(figure, alt)


@styled
def clip_by_clip(marks: tuple[str, str], points: Floats, ends: tuple[int, int], title: str) -> Picture:
    """Each clip's figure under one run (upwards) against another (to the right); above the line, the first is ahead.

    Parameters
    ----------
    marks : letters of the two runs
    points : (N, 2) float64, finite, N >= 1: the figure of each clip under the first and under the second run
    ends : the clips where the first run does best and worst against the second
    """
    figure = canvas(400, 440)
    axes = figure.add_subplot()
    low, high = float(points.min()), float(points.max())
    around = 0.06 * (high - low) or 0.05
    edges = (low - around, high + around)
    axes.plot(edges, edges, color=FAINT, linewidth=1, zorder=0)
    places, times = np.unique(points, axis=0, return_counts=True)
    axes.scatter(places[:, 1], places[:, 0], s=36 * np.sqrt(times), color=PREDICTED, alpha=0.65, linewidths=0)
    looks = (("^", "best"), ("v", "worst"))
    for place, (marker, name) in zip(ends, looks, strict=True):
        first, second = points[place]
        axes.plot(
            second, first, marker, color=TRUE, markersize=9, markeredgecolor="white", label=f"{name} for {marks[0]}"
        )
    axes.set(xlabel=f"{title}, {marks[1]}", ylabel=f"{title}, {marks[0]}", xlim=edges, ylim=edges)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=_STEPS))
    axes.set_aspect("equal")
    axes.grid()
    figure.legend(loc="outside lower center", ncol=2)
    ahead = int((points[:, 0] > points[:, 1]).sum())
    alt = f"The {title} of {counted(len(points), 'clip')} under two runs: {marks[0]} is ahead of {marks[1]} on {ahead}."
    return finished(figure, alt, "The larger a dot, the more clips lie there." if times.max() > 1 else "")
