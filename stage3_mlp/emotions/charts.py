"""The pictures of a categorical run, one function each; `pictures` puts them together and writes them down.

Class names come from a data set: they are drawn as text alone, shortened, and by number where the font lacks a sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from common.canvas import FAINT, INK, PREDICTED, TRUE, Picture, canvas, counted, finished, styled
from common.schema import NO_EMOTION
from stage3_mlp.emotions.predictions import Classes, EmotionPrediction

#: Letters of a class's name that are drawn.
NAME_LETTERS = 14
#: A cell of a matrix, a row of bars, in CSS pixels; and what is around them.
CELL_PX, BAR_ROW_PX, AROUND_PX = 36, 38, 110
#: Points of a scatter, at most.
POINTS = 3000

#: After Okabe and Ito, but none so light that it fades on white or, inverted, on black; a marker each besides.
_COLOURS = (PREDICTED, TRUE, "#009E73", "#C4679A", INK, "#BE8A00", "#6A48B0", "#7F4F24")
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
#: A step at one half leaves out the shades on which neither dark nor white numbers can be read, inverted or not.
_SHADES = LinearSegmentedColormap.from_list(
    "shades", [(0, "#f1f6fa"), (0.5, "#9ecae8"), (0.5, "#1c7ab5"), (1, "#0b2f47")]
)
_SPLITS = {"train": ("training", FAINT), "validation": ("validation", TRUE), "test": ("test", PREDICTED)}
#: Of a class: name, what it is called in a picture, colour.
_MEASURES = (("precision", "precision", "#56B4E9"), ("recall", "recall", TRUE), ("f1", "F1", INK))


def drawn_names(classes: Sequence[str]) -> list[str]:
    """Names as pictures show them: on one line, at most `NAME_LETTERS`; ``class 3`` where the font lacks a sign."""
    font = get_font(findfont("DejaVu Sans"))
    names = []
    for number, name in enumerate(classes, start=1):
        line = " ".join(name.split())
        short = line if len(line) <= NAME_LETTERS else line[: NAME_LETTERS - 1] + "…"
        whole = line and all(font.get_char_index(ord(sign)) for sign in short)
        names.append(short if whole else f"class {number}")
    return names


def cell_colours(share: float) -> tuple[str, str]:
    """Ground and ink of a cell that holds this share of its row, in [0, 1]."""
    return to_hex(_SHADES(float(share))), "white" if share >= 0.5 else INK


@styled
def confusion_matrix(confusion: npt.ArrayLike, classes: Sequence[str], *, normalised: bool) -> Picture:
    """The confusion matrix (K, K), rows true, columns predicted: counts, or each row in percent of its sum.

    The shade is the share of the row in both, so that a frequent class doesn't hide the others.
    """
    counts = np.asarray(confusion, dtype=np.int64)
    rows = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, rows, out=np.zeros(counts.shape), where=rows > 0)
    side = max(400, CELL_PX * len(classes) + AROUND_PX)
    figure = canvas(side, side)
    axes = figure.add_subplot()
    axes.imshow(share, cmap=_SHADES, vmin=0, vmax=1)
    digits = len(f"{counts.max(initial=0)}") if not normalised else 3
    size_pt = min(9.5, (side - AROUND_PX - 30) / len(classes) / digits)  # a digit is 0.9 px wide for each point
    for (row, column), of_row in np.ndenumerate(share):
        text = f"{counts[row, column]}" if not normalised else f"{100 * of_row:.0f}" if rows[row] else "–"
        axes.text(column, row, text, ha="center", va="center", size=size_pt, color=cell_colours(of_row)[1])
        if row == column:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.1))
    names = drawn_names(classes)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true", title="percent of the true class" if normalised else "utterances")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    what = "percent of each true class" if normalised else "utterances"
    right = int(np.trace(counts))
    alt = f"Confusion matrix in {what}: {right:,} of {counted(int(counts.sum()), 'utterance')} are on the diagonal."
    return finished(figure, alt)


@styled
def per_class_bars(rows: Sequence[Mapping[str, Any]]) -> Picture:
    """Precision, recall and F1 of each class, as in ``metrics["per_class"]``."""
    groups = {name: [row[name] for row in rows] for name, _, _ in _MEASURES}
    names = drawn_names([row["class"] for row in rows])
    names = [f"{name} ({row['support']:,})" for name, row in zip(names, rows, strict=True)]
    figure = canvas(400, AROUND_PX + BAR_ROW_PX * len(rows))
    axes = figure.add_subplot()
    _bars(axes, names, [(label, colour, groups[name]) for name, label, colour in _MEASURES])
    axes.set(xlim=(0, 1), xlabel="in brackets: true utterances")
    figure.legend(loc="outside upper right", ncol=3)
    low, high = min(groups["f1"]), max(groups["f1"])
    return finished(figure, f"Bars of precision, recall and F1 of each class; F1 goes from {low:.3f} to {high:.3f}.")


@styled
def class_distribution(counts: Mapping[str, npt.ArrayLike], classes: Sequence[str]) -> Picture:
    """How frequent each class is in each split: ``counts`` are (K,) per split; shares, as splits differ in size."""
    bars, sizes = [], []
    for split, each in counts.items():
        name, colour = _SPLITS.get(split, (split, INK))
        total = int(np.sum(each))
        bars.append((name, colour, 100 * np.asarray(each, dtype=np.float64) / max(1, total)))
        sizes.append(f"{name} {total:,}")
    figure = canvas(400, AROUND_PX + BAR_ROW_PX * len(classes))
    axes = figure.add_subplot()
    _bars(axes, drawn_names(classes), bars)
    axes.set(xlim=(0, None), xlabel="share of the split's labelled utterances, %")
    figure.legend(loc="outside upper right", ncol=3)
    note = f"Labelled utterances: {', '.join(sizes)}."
    return finished(figure, "Bars of how frequent each class is in each split.", note)


@styled
def fused_plane(predictions: Sequence[EmotionPrediction], classes: Sequence[str], seed: int) -> list[Picture]:
    """F_refined on its two principal components, coloured by true class and by predicted class.

    Of the labelled rows with something behind them, at most `POINTS`, drawn without replacement; the components are
    those of the drawn rows. No picture where there are fewer than three such rows, or they don't vary.
    """
    from sklearn.decomposition import PCA

    shown = [p.anything & (p.labels != NO_EMOTION) for p in predictions]
    rows = np.concatenate([p.fused[mask] for p, mask in zip(predictions, shown, strict=True)]).astype(np.float64)
    true = np.concatenate([p.labels[mask] for p, mask in zip(predictions, shown, strict=True)])
    predicted = np.concatenate([p.predicted[mask] for p, mask in zip(predictions, shown, strict=True)])
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:POINTS])
    points = rows[chosen]
    if len(points) < 3 or points.shape[1] < 2 or not np.ptp(points, axis=0).any():
        return []
    model = PCA(2, random_state=seed)
    plane = model.fit_transform(points)
    labels = [
        f"component {i} ({100 * s:.1f} % of the variance)" for i, s in enumerate(model.explained_variance_ratio_, 1)
    ]
    note = f"{POINTS:,} of {len(rows):,} utterances, drawn by the seed." if len(rows) > POINTS else ""
    pictures = []
    for name, colouring in (("true", true[chosen]), ("predicted", predicted[chosen])):
        figure = canvas(400, 440)
        axes = figure.add_subplot()
        _scatter(axes, plane, colouring, drawn_names(classes))
        axes.set(xlabel=labels[0], ylabel=labels[1], title=f"by {name} class")
        axes.grid()
        figure.legend(
            loc="outside lower center", ncol=4, fontsize=8, markerscale=1.4, handletextpad=0.1, columnspacing=1.0
        )
        alt = f"{counted(len(plane), 'utterance')} on the two principal components of F_refined, by {name} class."
        pictures.append(finished(figure, alt, note))
    return pictures


@styled
def nothing(sentence: str) -> Picture:
    """A picture of a sentence, in place of one for which there are no figures."""
    figure = canvas(400, 60)
    figure.text(0.5, 0.5, sentence, ha="center", va="center")
    return finished(figure, sentence)


def _scatter(axes: Axes, plane: npt.NDArray[np.float64], colouring: Classes, names: Sequence[str]) -> None:
    """The less frequent a class, the higher it lies, so that none is hidden; those that don't occur are left out."""
    counts = np.bincount(colouring, minlength=len(names))
    height = np.argsort(np.argsort(-counts, kind="stable"))
    size = 13 if len(plane) <= 1000 else 8
    for number, name in enumerate(names):
        if counts[number]:
            here = plane[colouring == number]
            axes.scatter(
                here[:, 0],
                here[:, 1],
                s=size,
                color=_COLOURS[number % len(_COLOURS)],
                marker=_MARKERS[number % len(_MARKERS)],
                alpha=0.75,
                linewidths=0,
                zorder=2 + height[number] / 100,
                label=name,
            )


def _bars(axes: Axes, names: Sequence[str], groups: Sequence[tuple[str, str, npt.ArrayLike]]) -> None:
    """Horizontal bars beside each other: a row per name, in it a bar per group (label, colour, values)."""
    height = 0.8 / max(1, len(groups))
    rows = np.arange(len(names))
    for number, (label, colour, values) in enumerate(groups):
        axes.barh(rows - 0.4 + height * (number + 0.5), values, 0.9 * height, color=colour, label=label)
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.tick_params(left=False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
