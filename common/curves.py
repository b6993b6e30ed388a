"""Training over its epochs, drawn: for the reports, and as the one picture of a run that grows while it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from common.canvas import FAINT, INK, PREDICTED, TRUE, Picture, canvas, counted, finished, line, styled

#: Of training: key in the history, label, colour, stroke.
Curve = tuple[str, str, str, str]
Columns = npt.NDArray[np.float64]
Rows = Sequence[Mapping[str, float]]

#: Of the validation split: the last one selects the epoch.
CONCORDANCES: Final[tuple[Curve, ...]] = (
    ("eval_ccc_valence", "valence", PREDICTED, "--"),
    ("eval_ccc_arousal", "arousal", TRUE, "-."),
    ("eval_ccc_mean", "mean", INK, "-"),
)
CLASS_SCORES: Final[tuple[Curve, ...]] = (
    ("eval_accuracy", "accuracy", PREDICTED, "--"),
    ("eval_macro_f1", "macro F1", TRUE, "-."),
    ("eval_weighted_f1", "weighted F1", INK, "-"),
)
_LOSSES: Final[tuple[Curve, ...]] = (
    ("loss", "training", PREDICTED, "-"),
    ("eval_loss", "validation", TRUE, "-"),
)
_RATE: Final[tuple[Curve, ...]] = (("learning_rate", "learning rate", INK, "-"),)

#: Of the run's picture: a panel, its margins (left, right, top, bottom), and the line above a stage, in CSS pixels.
_PANEL_PX = (400, 300)
_MARGINS_PX = (62, 16, 26, 44)
_TITLE_PX = 30


@styled
def training_curves(
    history: Rows,
    score: str = "validation CCC",
    scores: Sequence[Curve] = CONCORDANCES,
    title: str = "",
) -> list[Picture]:
    """Loss and the scores of the validation split over the epochs; a picture without a single figure is left out."""
    epochs = _column(history, "epoch")
    note = "Dotted: the learning rate was lowered." if len(_lowered(history)) else ""
    pictures = []
    for name, curves in (("loss", _LOSSES), (score, scores)):
        figure = canvas(400, 300)
        axes = figure.add_subplot()
        if not _draw(axes, history, name, curves):
            continue
        axes.set_title(title)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncol=3)
        pictures.append(finished(figure, f"{name[0].upper()}{name[1:]} over {counted(len(epochs), 'epoch')}.", note))
    return pictures


@styled
def run_curves(histories: Mapping[str, Rows]) -> bytes:
    """A run's trainings as a PNG on a white ground: for each stage a row with loss, validation scores, learning rate.

    Parameters
    ----------
    histories : by stage, as `common.history.history_so_far` gives them; at least one, each with at least one epoch
    """
    width, height = _PANEL_PX[0] * 3, (_PANEL_PX[1] + _TITLE_PX) * len(histories)
    figure = canvas(width, height)
    figure.set_layout_engine("none")  # places are reckoned here: finding them takes longer than drawing
    figure.set_facecolor("white")
    left, right, top, bottom = _MARGINS_PX
    size = ((_PANEL_PX[0] - left - right) / width, (_PANEL_PX[1] - top - bottom) / height)
    for row, (stage, history) in enumerate(histories.items()):
        begin = row * (_PANEL_PX[1] + _TITLE_PX)
        scores = _scores_of(history)
        heading = f"{stage}: {_in_words(history, scores)}"
        figure.text(left / width, 1 - (begin + 18) / height, heading, fontsize=10, va="center")
        panels = (("loss", _LOSSES), (_title(scores), scores), ("learning rate", _RATE))
        for column, (name, curves) in enumerate(panels):
            corner = ((column * _PANEL_PX[0] + left) / width, 1 - (begin + _TITLE_PX + _PANEL_PX[1] - bottom) / height)
            axes = figure.add_axes((*corner, *size))
            if not _draw(axes, history, name, curves):
                axes.remove()
            elif curves is _RATE:
                axes.lines[0].set_drawstyle("steps-post")  # it holds for the epoch, and changes between two
                _powers_of_ten(axes)
            else:
                axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncol=3, borderaxespad=0.2, handlelength=1.8)
    return finished(figure, "").png


def _draw(axes: Axes, history: Rows, name: str, curves: Sequence[Curve]) -> bool:
    """Lines over the epochs, with dotted ones where the learning rate was lowered; False where there is no figure."""
    epochs = _column(history, "epoch")
    for key, label, colour, stroke in curves:
        values = _column(history, key)
        if np.isfinite(values).any():
            line(axes, epochs, values, colour, label, stroke)
    if not axes.lines:
        return False
    for epoch in _lowered(history):
        axes.axvline(epoch, color=FAINT, linestyle=":", linewidth=1)
    axes.set(xlabel="epoch", ylabel=name, xlim=(epochs.min() - 0.5, epochs.max() + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.grid(axis="y")
    return True


def _powers_of_ten(axes: Axes) -> None:
    """A logarithmic scale that shows at least one whole decade."""
    low, high = axes.dataLim.intervaly
    if not low > 0:  # a rate that has come down to 0
        return
    axes.set_yscale("log")
    axes.set_ylim(min(low / 2, high / 11), high * 2)
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.0e}"))


def _scores_of(history: Rows) -> tuple[Curve, ...]:
    key = CLASS_SCORES[-1][0]
    return CLASS_SCORES if any(key in row for row in history) else CONCORDANCES


def _title(scores: Sequence[Curve]) -> str:
    return "validation CCC" if scores is CONCORDANCES else "validation scores"


def _in_words(history: Rows, scores: Sequence[Curve]) -> str:
    """``12 epochs, best validation CCC 0.3088 at epoch 10``."""
    words = counted(len(history), "epoch")
    selecting = _column(history, scores[-1][0])
    if not np.isfinite(selecting).any():
        return words
    best = int(np.nanargmax(selecting))
    name = "CCC" if scores is CONCORDANCES else scores[-1][1]
    return f"{words}, best validation {name} {selecting[best]:.4f} at epoch {history[best]['epoch']:g}"


def _lowered(history: Rows) -> Columns:
    """The epochs from which the learning rate was lower than before."""
    rate = _column(history, "learning_rate")
    return _column(history, "epoch")[1:][np.diff(rate) < 0]


def _column(history: Rows, name: str) -> Columns:
    """A figure of all epochs; NaN where there is none, and for what isn't finite."""
    values = np.array([row.get(name) for row in history], dtype=np.float64)  # None becomes NaN
    return np.where(np.isfinite(values), values, np.nan)
