"""What the still pictures share: colours, canvas, lines, and the way to PNG bytes.

Pictures are dark ink on a transparent ground, so that a page can invert them for dark mode. Predicted is blue,
true is orange: a pair that colour-blind people can tell apart. Of names from outside only those of classes are drawn.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Floats = npt.NDArray[np.floating]

PREDICTED = "#0072B2"
TRUE = "#D55E00"
INK = "#1c2126"
FAINT = "#8a9097"

#: Device pixels per CSS pixel: sharp on dense screens.
SCALE = 2

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
    agg: Any = FigureCanvasAgg(figure)  # figure.savefig would draw everything twice
    agg.print_png(buffer, metadata={"Software": None})
    width, height = figure.get_size_inches() * 100
    return Picture(buffer.getvalue(), round(float(width)), round(float(height)), alt, note)


def line(axes: Axes, x: Floats, y: Floats, colour: str, label: str, stroke: str = "-") -> None:
    """A line whose lonely points, between gaps, are drawn as dots: a line would not show them."""
    axes.plot(x, y, stroke, color=colour, label=label)
    there = np.pad(np.isfinite(y), 1)
    lonely = there[1:-1] & ~there[:-2] & ~there[2:]
    if lonely.any():
        axes.plot(x[lonely], y[lonely], "o", color=colour, markersize=4, clip_on=False)


def counted(number: int, word: str) -> str:
    """``1 frame``, ``1,200 frames``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
