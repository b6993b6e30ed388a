"""All pictures of a categorical run: for the page, and as PNG files on a white ground, which any viewer shows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import numpy.typing as npt

from common.canvas import Picture
from common.curves import CLASS_SCORES, training_curves
from common.files import written_whole
from common.manifest import LEAKS, Protocol
from stage3_mlp.emotions.charts import class_distribution, confusion_matrix, fused_plane, nothing, per_class_bars
from stage3_mlp.emotions.predictions import EmotionPrediction

History = Sequence[dict[str, float]]

#: The files of `write_pictures`.
PICTURES = (
    "confusion_matrix.png",
    "confusion_matrix_normalised.png",
    "per_class_metrics.png",
    "training_curves.png",
    "class_distribution.png",
    "pca.png",
)


@dataclass(frozen=True)
class Pictures:
    """What is drawn of a run; ``pca`` and a stage's curves are empty where there is nothing to draw."""

    confusion: Picture
    normalised: Picture
    per_class: Picture
    distribution: Picture
    pca: list[Picture]
    curves: dict[str, list[Picture]]


def draw(
    metrics: dict[str, Any],
    predictions: Sequence[EmotionPrediction],
    classes: Sequence[str],
    histories: Mapping[str, History],
    distribution: Mapping[str, npt.ArrayLike],
) -> Pictures:
    """Draw a run; parameters as in ``report.write_emotion_report``."""
    return Pictures(
        confusion_matrix(metrics["confusion"], classes, normalised=False),
        confusion_matrix(metrics["confusion"], classes, normalised=True),
        per_class_bars(metrics["per_class"]),
        class_distribution(distribution, classes),
        fused_plane(predictions, classes, metrics["seed"]),
        {stage: training_curves(rows, "validation scores", CLASS_SCORES, stage) for stage, rows in histories.items()},
    )


def write_pictures(folder: Path, pictures: Pictures, protocol: Protocol = "honest") -> None:
    """Write `PICTURES` into ``folder``, each file whole; where there was nothing to draw, a picture that says so.

    Those of the published protocol say at their foot that it leaks.
    """
    foot = [[nothing(LEAKS)]] if protocol == "published" else []
    rows = (
        [[pictures.confusion]],
        [[pictures.normalised]],
        [[pictures.per_class]],
        [curves for curves in pictures.curves.values() if curves],
        [[pictures.distribution]],
        [pictures.pca] if pictures.pca else [],
    )
    for name, drawn in zip(PICTURES, rows, strict=True):
        with written_whole(folder / name) as partial:
            partial.write_bytes(sheet([*(drawn or [[nothing("nothing to draw")]]), *foot]))


def sheet(rows: Sequence[Sequence[Picture]]) -> bytes:
    """A PNG of pictures in rows, on white."""
    drawn = [[_on_white(picture) for picture in row] for row in rows]
    bands = [
        np.concatenate([_grown(each, height=max(len(one) for one in row)) for each in row], axis=1) for row in drawn
    ]
    width = max(band.shape[1] for band in bands)
    buffer = io.BytesIO()
    page = np.concatenate([_grown(band, width=width) for band in bands])
    matplotlib.image.imsave(buffer, page, format="png")
    return buffer.getvalue()


def _on_white(picture: Picture) -> npt.NDArray[np.uint8]:
    """(height, width, 3) of a picture with a transparent ground."""
    pixels = np.asarray(matplotlib.image.imread(io.BytesIO(picture.png), format="png"), dtype=np.float64)
    alpha = pixels[:, :, 3:]
    return np.asarray(np.rint(255 * (pixels[:, :, :3] * alpha + 1 - alpha)), dtype=np.uint8)


def _grown(pixels: npt.NDArray[np.uint8], height: int = 0, width: int = 0) -> npt.NDArray[np.uint8]:
    """With white below and to the right, up to this size."""
    below, right = max(0, height - pixels.shape[0]), max(0, width - pixels.shape[1])
    return np.pad(pixels, ((0, below), (0, right), (0, 0)), constant_values=255)
