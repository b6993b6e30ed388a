"""What predictions are worth: the figures of metrics.json, and what they are to be held against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.bootstrap import bootstrap_over_clips
from common.labels import read_labels
from common.manifest import CachedClip, Manifest
from common.metrics import AXES, Score, score
from common.windows import CachedArrays
from stage3_mlp.predictions import ClipPrediction

#: Pooled CCC (valence, arousal, mean) on Aff-Wild2 as published, shown beside scores on Aff-Wild2 only.
PUBLISHED = (
    ("ResNet-50 baseline, validation, as published", 0.24, 0.20, 0.22),
    ("MAVEN, as published", 0.3068, 0.3054, 0.3061),
)


def figures(predictions: Sequence[ClipPrediction], seed: int) -> dict[str, Any]:
    """Pooled and per-clip figures, 95 % intervals over clips, and the CCC without smoothing where there was some.

    Parameters
    ----------
    predictions : of labelled clips
    seed : of the bootstrap's draws
    """
    pairs = [(prediction.values, prediction.labels) for prediction in predictions]
    pooled = score(pairs)
    intervals = bootstrap_over_clips(pairs, seed=seed)
    return {
        "ccc": _concordances(pooled),
        "intervals": {name: list(interval) for name, interval in intervals.items()},
        **{
            name: {axis: getattr(pooled, f"{name}_{axis}") for axis in AXES}
            for name in ("rmse", "pearson", "sign_agreement")
        },
        "ccc_unsmoothed": _unsmoothed(predictions),
        "frames": pooled.frames,
        "clips": pooled.clips,
        "per_clip": [_row(p.clip, score([pair])) for p, pair in zip(predictions, pairs, strict=True)],
    }


def references(cache: Path, manifest: Manifest, predictions: Sequence[ClipPrediction]) -> list[dict[str, Any]]:
    """What a score is to be held against: constants, whose CCC is 0 by definition, and published figures.

    Parameters
    ----------
    manifest : of the fused features; its labelled training clips give the mean
    """
    constants = [("always (0, 0)", np.zeros(2))]
    train = [clip for clip in manifest.of("train") if clip.labelled]
    if train:
        constants.append(("the training mean", training_mean(cache, manifest, train)))
    rows = []
    for name, value in constants:
        found = score([(np.broadcast_to(value, p.labels.shape), p.labels) for p in predictions])
        rows.append({"name": name, **_concordances(found), "rmse": [found.rmse_valence, found.rmse_arousal]})
    if manifest.data_kind == "affwild2":
        rows += [dict(zip(("name", *AXES, "mean"), row, strict=True)) for row in PUBLISHED]
    return rows


def training_mean(cache: Path, manifest: Manifest, clips: Sequence[CachedClip]) -> npt.NDArray[np.float64]:
    """(2,) valence and arousal, over all annotated frames of ``clips``."""
    total, frames = np.zeros(2), 0
    for clip in clips:
        arrays = CachedArrays(cache / manifest.folder / f"{clip.id}.h5", clip.content, clip.frames)
        labels = read_labels(arrays, slice(None), clip.frames, categorical=False)
        labels = labels[np.isfinite(labels).all(axis=1)]
        total += labels.sum(axis=0, dtype=np.float64)
        frames += len(labels)
    return total / max(1, frames)


def _concordances(found: Score) -> dict[str, float]:
    return {"valence": found.ccc_valence, "arousal": found.ccc_arousal, "mean": found.ccc_mean}


def _unsmoothed(predictions: Sequence[ClipPrediction]) -> dict[str, float] | None:
    if all(prediction.unsmoothed is None for prediction in predictions):
        return None
    before = [(p.values if p.unsmoothed is None else p.unsmoothed, p.labels) for p in predictions]
    return _concordances(score(before))


def _row(clip: str, found: Score) -> dict[str, Any]:
    return {
        "clip": clip,
        "frames": found.frames,
        "ccc_valence": found.ccc_valence,
        "ccc_arousal": found.ccc_arousal,
        "ccc_mean": found.ccc_mean,
    }
