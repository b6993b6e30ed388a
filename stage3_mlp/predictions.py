"""Predictions of a clip, frame by frame, and how they are written down."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.files import written_whole
from common.labels import read_labels
from common.manifest import CachedClip, Manifest
from common.polar import canonical_polar
from common.schema import MODALITIES, REFINED, TIME, Modality, present
from common.windows import CachedArrays
from stage3_mlp.pooling import PoolFrames, pool

Floats = npt.NDArray[np.float32]

COLUMNS = (
    "clip",
    "frame",
    "time_s",
    "valence",
    "arousal",
    "intensity",
    "theta",
    "label_valence",
    "label_arousal",
    "present_visual",
    "present_audio",
    "present_text",
)

#: Frames that go through the head at once.
_BATCH = 65_536


@dataclass(frozen=True)
class ClipPrediction:
    """One clip's predictions on its frame clock.

    Attributes
    ----------
    time_s : (T,) float64, seconds
    values : (T, 2) float32, valence and arousal; not clipped to [-1, 1]
    intensity : (T,) float32, >= 0
    theta : (T,) float32, radians in (-pi, pi]
    labels : (T, 2) float32, NaN where not annotated
    present : modality to (T,) bool
    unsmoothed : (T, 2) float32 or None, ``values`` as they were before smoothing
    """

    clip: str
    time_s: npt.NDArray[np.float64]
    values: Floats
    intensity: Floats
    theta: Floats
    labels: Floats
    present: dict[Modality, npt.NDArray[np.bool_]]
    unsmoothed: Floats | None = None

    @property
    def anything(self) -> npt.NDArray[np.bool_]:
        """(T,) bool: is there a face, sound or a word behind the frame?"""
        return np.logical_or.reduce([self.present[modality] for modality in MODALITIES])


def predict_clip(
    head: Any, cache: Path, manifest: Manifest, clip: CachedClip, pool_frames: PoolFrames
) -> ClipPrediction:
    """Pool a clip's F_refined (eq. 26) and run the head over it (eq. 27-31).

    Parameters
    ----------
    head : PolarHead, in evaluation mode
    manifest : of the fused features
    """
    import torch

    arrays = CachedArrays(cache / manifest.folder / f"{clip.id}.h5", clip.content, clip.frames)
    pooled = pool(np.asarray(arrays[REFINED]), pool_frames)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pooled), _BATCH):
            rows = torch.from_numpy(pooled[start : start + _BATCH].astype(np.float32)).to(head.device)
            output = head(rows)
            columns = (output.prediction, output.intensity[:, None], output.theta[:, None])
            parts.append(torch.cat(columns, dim=1).float().cpu().numpy())
    values = np.concatenate(parts)
    intensity, theta = canonical_polar(values[:, 2], values[:, 3])
    return ClipPrediction(
        clip.id,
        np.asarray(arrays[TIME], dtype=np.float64),
        values[:, :2],
        intensity.astype(np.float32),
        theta.astype(np.float32),
        read_labels(arrays, slice(None), len(pooled), categorical=False),
        {modality: np.asarray(arrays[present(modality)]) for modality in MODALITIES},
    )


def write_predictions(path: Path, predictions: Iterable[ClipPrediction]) -> int:
    """Write one row per frame at full precision, whole or not at all; say how many rows.

    ``frame`` counts from 0; an absent label is an empty cell, and so is a prediction with nothing behind it: no face,
    no sound, no word. The last three columns say what was there, 1 or 0.
    """
    rows = 0
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(COLUMNS)
        for prediction in predictions:
            file.writelines(f"{line}\r\n" for line in _lines(prediction))
            rows += len(prediction.time_s)
    return rows


def _lines(prediction: ClipPrediction) -> list[str]:
    """A clip's rows, as `csv.writer` would write them."""
    import pyarrow as pa

    from stage3_mlp.decimals import lines, shortest

    seen = prediction.anything
    figures = [*prediction.values.T, prediction.intensity, prediction.theta]
    columns = [*(np.where(seen, column, np.float32("nan")) for column in figures), *prediction.labels.T]
    present = (prediction.present[modality].astype(np.int8) for modality in MODALITIES)
    quoted = io.StringIO()
    csv.writer(quoted, lineterminator="").writerow([prediction.clip])
    return lines(
        quoted.getvalue(),
        pa.array(np.arange(len(seen))).cast(pa.string()),
        shortest(prediction.time_s),
        *(shortest(np.asarray(column, np.float32)) for column in columns),
        *(pa.array(mask).cast(pa.string()) for mask in present),
    )
