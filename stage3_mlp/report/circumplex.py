"""What the report's pictures share: the axes of the circumplex, and stretches of long clips."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from common.canvas import FAINT, INK, Floats, counted

Columns = npt.NDArray[np.float64]


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
