"""What the report's pictures share: colours, canvas, lines, and the way to PNG bytes.

All pictures are dark ink on a transparent ground, so that a page can invert them for dark mode. Predicted is blue,
true is orange: a pair that colour-blind people can tell apart. Of names from outside only those of classes are drawn.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle

Floats = npt.NDArray[np.floating]
Columns = npt.NDArray[np.float64]

PREDICTED = "#0072B2"
TRUE = "#D55E00"
INK = "#1c2126"
FAINT = "#8a9097"

#: Device pixels per CSS pixel: sharp on dense screens.
SCALE = 2
#: Least and greatest edge of a circumplex; labels reach 1 on each axis, predictions may reach any value.
REACH = (1.05, 1.55)

#: Decorates what draws: matplotlib's settings during the call.
styled = matplotlib.rc_context(
    {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "lines.linewidth": 1.2,
        "legend.frameon": False,
        "text.parse_math": False,
        "axes.titlesize": 9,
        "grid.alpha": 0.35,
        "grid.linewidth": 0.6,
        **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
        **dict.fromkeys(("axes.spines.right", "axes.spines.top"), False),
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), FAINT),
    }
)


@dataclass(frozen=True)
class Picture:
    """A PNG, its size in CSS pixels, what it shows in a sentence, and what a reader must know about it (or "")."""

    png: bytes
    width_px: int
    height_px: int
    alt: str
    note: str = ""

    @property
    def uri(self) -> str:
        """The picture as a ``data:`` address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def canvas(width_px: int = 400, height_px: int = 380) -> Figure:
    """An empty figure of so many CSS pixels."""
    return Figure(figsize=(width_px / 100, height_px / 100), dpi=100 * SCALE, layout="constrained")


def finished(figure: Figure, alt: str, note: str = "") -> Picture:
    """Draw a figure. The same data give the same bytes."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    width, height = figure.get_size_inches() * 100
    return Picture(buffer.getvalue(), round(float(width)), round(float(height)), alt, note)


def stretches(values: Floats, step: int) -> tuple[Columns, Columns, Columns]:
    """Mean, lowest and highest of every ``step`` rows, the last perhaps of fewer.

    Parameters
    ----------
    values : (T,) or (T, 2) float, T >= 1
        What isn't finite counts as not there; a stretch of nothing else is NaN.

    Returns
    -------
    mean, low, high : each (ceil(T / step),) or (ceil(T / step), 2) float64
    """
    rows = np.where(np.isfinite(values), np.asarray(values, dtype=np.float64), np.nan)
    starts = np.arange(0, len(rows), step)
    there = np.add.reduceat(~np.isnan(rows), starts, axis=0, dtype=np.int64)
    total = np.add.reduceat(np.nan_to_num(rows), starts, axis=0)
    mean = np.divide(total, there, out=np.full(total.shape, np.nan), where=there > 0)
    return mean, np.fmin.reduceat(rows, starts, axis=0), np.fmax.reduceat(rows, starts, axis=0)


def line(axes: Axes, x: Floats, y: Floats, colour: str, label: str, stroke: str = "-") -> None:
    """A line whose lonely points, between gaps, are drawn as dots: a line would not show them."""
    axes.plot(x, y, stroke, color=colour, label=label)
    there = np.pad(np.isfinite(y), 1)
    lonely = there[1:-1] & ~there[:-2] & ~there[2:]
    if lonely.any():
        axes.plot(x[lonely], y[lonely], "o", color=colour, markersize=4, clip_on=False)


def reach(points: Floats) -> float:
    """Where a picture of points (N, 2) ends on both axes: behind the unit circle, and behind most points."""
    return float(np.clip(np.abs(points).max() + 0.05, *REACH))


def circumplex(axes: Axes, edge: float) -> None:
    """Axes of the circumplex from ``-edge`` to ``edge``, with its unit circle."""
    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=INK, linewidth=0.8, zorder=3))
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.axvline(0, color=FAINT, linewidth=0.6)
    ticks = np.linspace(-1, 1, 5)
    axes.set(xlabel="valence", ylabel="arousal", xlim=(-edge, edge), ylim=(-edge, edge), xticks=ticks, yticks=ticks)
    axes.set_aspect("equal")


def outside(points: Floats, edge: float, name: str) -> str:
    """A sentence on the points (N, 2) that lie beyond the edge of a picture, or ""."""
    beyond = int((np.abs(points) > edge).any(axis=1).sum())
    return f"Outside of the picture: {beyond:,} of {counted(len(points), f'{name} value')}." if beyond else ""


def counted(number: int, word: str) -> str:
    """``1 frame``, ``1,200 frames``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
