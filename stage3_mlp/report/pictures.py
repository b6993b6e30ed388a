"""The pictures of the reports: distributions on the circumplex, timelines, training curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from common.canvas import FAINT, PREDICTED, TRUE, Picture, canvas, counted, finished, line, styled
from common.curves import Curve as Curve
from common.curves import training_curves as training_curves
from common.polar import reach, to_polar
from common.schema import Modality
from common.timeline import frame_edges_s
from stage3_mlp.predictions import ClipPrediction
from stage3_mlp.report.circumplex import circumplex, outside, stretches

Floats = npt.NDArray[np.floating]
#: A name, one of `_LOOKS`, and its values: (N, 2) valence and arousal, finite, N >= 1.
Cloud = tuple[str, Floats]

#: Frames up to which a timeline is drawn frame by frame, and the stretches a longer one is drawn in.
MAX_POINTS = 1200
MAX_STRETCHES = 300
#: Columns of the bars under a timeline.
BAR_COLUMNS = 600
#: Along each axis of the density.
CELLS = 40
#: Of the polar histogram: 10 degrees each, drawn as an arc of so many points.
SECTORS = 36
ARC_POINTS = 8

#: How a distribution is drawn: colour, and stroke of its line, or "" for an area.
_LOOKS = {
    "annotated": (TRUE, ""),
    "predicted": (PREDICTED, "-"),
    "training": (FAINT, ""),
    "validation": (TRUE, "--"),
    "test": (PREDICTED, "-"),
}
#: Of words that stand in the ground: fainter than the ink, and still to be read.
_SOFT = "#5a626b"
#: In the corners of a circumplex, where each quadrant's feelings are, after Russell (1980).
_FEELINGS = {
    (0.99, 0.99): "excited\nhappy",
    (0.01, 0.99): "afraid\nangry",
    (0.01, 0.01): "sad\nbored",
    (0.99, 0.01): "content\ncalm",
}
#: What a row of features stands for, in the words of a page.
SOURCES: dict[Modality, str] = {"visual": "face", "audio": "sound", "text": "words"}

_DENSITY = LinearSegmentedColormap.from_list("density", ["#a5cfe8", "#4a9ccd", PREDICTED, "#08263d"])
_PRESENCE = LinearSegmentedColormap.from_list("presence", ["#8a909700", FAINT])

#: Of the labels around the polar histogram, from angle 0 on, so that they stay clear of the circle.
_SIDES: tuple[Literal["left", "center", "right"], ...] = (
    *("left", "left", "center", "right"),
    *("right", "right", "center", "left"),
)


@styled
def circumplex_density(clouds: Sequence[Cloud]) -> list[Picture]:
    """How often each place of the circumplex occurs: one picture per cloud, all on one scale."""
    edge = reach(np.concatenate([points for _, points in clouds]))
    edges = np.linspace(-edge, edge, CELLS + 1)
    shares = [_share_per_cell(points, edge) for _, points in clouds]
    norm = _decades(np.concatenate([share[share > 0] for share in shares]))
    pictures = []
    for (name, points), share in zip(clouds, shares, strict=True):
        figure = canvas(400, 420)
        axes = figure.add_subplot()
        circumplex(axes, edge)
        cells = axes.pcolormesh(edges, edges, np.ma.masked_equal(share, 0), cmap=_DENSITY, norm=norm)
        axes.set_title(name, loc="left")
        for (right, up), words in _FEELINGS.items():
            axes.text(
                right,
                up,
                words,
                transform=axes.transAxes,
                ha="right" if right > 0.5 else "left",
                va="top" if up > 0.5 else "bottom",
                fontsize=7.5,
                color=_SOFT,
            )
        bar = figure.colorbar(
            cells, ax=axes, label="frames per cell, %", format="%g", location="bottom", aspect=35, shrink=0.75
        )
        bar.outline.set_visible(False)
        bar.minorticks_off()
        alt = f"Density of {counted(len(points), f'{name} value')} over valence and arousal, with the unit circle."
        pictures.append(finished(figure, alt, outside(points, edge, name)))
    return pictures


@styled
def angle_distribution(clouds: Sequence[Cloud]) -> Picture:
    """Polar histogram of theta. Points at exactly (0, 0) have no angle: they are left out, and the note says so."""
    figure = canvas(400, 420)
    axes = figure.add_subplot(projection="polar")
    edges = np.linspace(-np.pi, np.pi, SECTORS + 1)
    angles = np.linspace(edges[:-1], edges[1:], ARC_POINTS, axis=1).ravel()
    still = []
    for name, points in clouds:
        intensity, theta = to_polar(*points.T)
        moved = theta[intensity > 0]
        share = np.repeat(100 * np.histogram(moved, edges)[0] / max(len(moved), 1), ARC_POINTS)
        colour, stroke = _LOOKS[name]
        if stroke:
            axes.plot(np.append(angles, angles[0]), np.append(share, share[0]), stroke, color=colour, label=name)
        else:
            axes.fill(angles, share, color=colour, alpha=0.4, linewidth=0, label=name)
        if left_out := len(theta) - len(moved):
            still.append(f"Without an angle and left out: {counted(left_out, f'{name} value')} at exactly (0, 0).")
    names = ["valence\n+", "45°", "arousal +", "135°", "valence\n−", "−135°", "arousal −", "−45°"]
    axes.set_xticks(np.arange(8) * np.pi / 4, names)
    axes.tick_params(axis="x", pad=3)
    for label, side in zip(axes.get_xticklabels(), _SIDES, strict=True):
        label.set_horizontalalignment(side)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.set(ylim=(0, None), rlabel_position=22)
    for label in axes.get_yticklabels():
        label.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    figure.legend(loc="outside lower center", ncol=3)
    alt = f"Polar histogram of the angle theta in steps of 10 degrees: {_names(clouds)}."
    return finished(figure, alt, " ".join(still))


@styled
def intensity_distribution(clouds: Sequence[Cloud]) -> Picture:
    """Histogram of the intensity I, the distance from (0, 0)."""
    figure = canvas(400, 420)
    axes = figure.add_subplot()
    intensities = [to_polar(*points.T)[0] for _, points in clouds]
    edges = np.linspace(0, max(1.45, *(float(values.max()) for values in intensities)), 30)
    for (name, _), values in zip(clouds, intensities, strict=True):
        share = 100 * np.histogram(values, edges)[0] / len(values)
        colour, stroke = _LOOKS[name]
        look = {"linestyle": stroke} if stroke else {"alpha": 0.4, "fill": True}
        axes.stairs(share, edges, color=colour, linewidth=1.3, label=name, **look)
    axes.axvline(1, color=FAINT, linestyle=":", linewidth=1)
    axes.text(1, 1, " unit circle", transform=axes.get_xaxis_transform(), va="top", fontsize=8)
    axes.set(xlabel="intensity I", ylabel="share of frames, %", xlim=(0, edges[-1]), ylim=(0, None))
    axes.grid(axis="y")
    figure.legend(loc="outside lower center", ncol=3)
    return finished(figure, f"Histogram of the intensity: {_names(clouds)}.")


@styled
def clip_timeline(prediction: ClipPrediction, width_px: int, height_px: int) -> Picture:
    """Valence and arousal over time, labels under predictions, and thin bars where face, sound and words are there."""
    figure = canvas(width_px, height_px)
    rows = figure.subplots(3, 1, sharex=True, height_ratios=[4, 4, 1.5])
    edges = frame_edges_s(prediction.time_s)
    frames = len(prediction.time_s)
    step = -(-frames // MAX_STRETCHES) if frames > MAX_POINTS else 1
    middle_s = stretches(prediction.time_s, step)[0]
    drawn = np.concatenate([prediction.values, prediction.labels])
    edge = 1.05 * max(1, float(np.abs(drawn[np.isfinite(drawn)]).max(initial=0)))
    for axes, column, name in zip(rows[:2], (0, 1), ("valence", "arousal"), strict=True):
        for values, colour, label in (
            (prediction.labels[:, column], TRUE, "annotated"),
            (prediction.values[:, column], PREDICTED, "predicted"),
        ):
            if not np.isfinite(values).any():
                continue
            mean, lowest, highest = stretches(values, step)
            line(axes, middle_s, mean, colour, label)
            if step > 1:
                axes.fill_between(middle_s, lowest, highest, color=colour, alpha=0.25, linewidth=0)
        axes.axhline(0, color=FAINT, linewidth=0.6)
        axes.set(ylabel=name, ylim=(-edge, edge))
        axes.grid(axis="y")
        axes.tick_params(bottom=False)
    _presence_bars(rows[2], prediction, edges)
    rows[2].set(xlabel="time, s", xlim=(edges[0], edges[-1]))
    figure.legend(*rows[0].get_legend_handles_labels(), loc="outside upper right", ncol=2)
    thinning = f"{frames:,} frames: the line is the mean of {step} at a time, the band goes from lowest to highest."
    against = " against the labels" if np.isfinite(prediction.labels).any() else ""
    alt = f"Predicted valence and arousal over {edges[-1] - edges[0]:.1f} seconds{against}."
    return finished(figure, alt, thinning if step > 1 else "")


def _names(clouds: Sequence[Cloud]) -> str:
    return " and ".join(name for name, _ in clouds)


def _share_per_cell(points: Floats, edge: float) -> npt.NDArray[np.float64]:
    """Percent of all points (N, 2) in each cell, (arousal, valence)."""
    valence, arousal = np.asarray(points, dtype=np.float64).T
    counts = np.histogram2d(arousal, valence, bins=CELLS, range=[[-edge, edge], [-edge, edge]])[0]
    return 100 * counts / len(points)


def _decades(shares: Floats) -> LogNorm:
    """A logarithmic scale of whole decades, at least one, around all shares in percent."""
    high = np.ceil(np.log10(shares.max(initial=0.01)))
    low = np.floor(np.log10(shares.min(initial=100)))
    return LogNorm(10.0 ** min(low, high - 1), 10.0**high)


def _presence_bars(axes: Axes, prediction: ClipPrediction, edges_s: Floats) -> None:
    """A bar per modality, as strong as the share of each column's time in which it is there."""
    columns = np.linspace(edges_s[0], edges_s[-1], BAR_COLUMNS + 1)
    for row, modality in enumerate(SOURCES):
        covered = np.append(0, np.cumsum(prediction.present[modality] * np.diff(edges_s)))
        share = np.diff(np.interp(columns, edges_s, covered)) / np.diff(columns)
        axes.pcolormesh(columns, [row - 0.3, row + 0.3], share[None], cmap=_PRESENCE, vmin=0, vmax=1)
    axes.set(yticks=range(3), yticklabels=list(SOURCES.values()), ylim=(2.5, -0.5))
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
