"""Train the head, polar or of classes, on the frozen, exported features of stage 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.alone import alone
from common.artefacts import is_current, remove_checkpoints, save_model
from common.errors import DataError
from common.history import CHECKPOINTS
from common.labels import (
    annotated,
    balanced_draws,
    class_counts,
    class_remarks,
    loss_settings,
    read_labels,
)
from common.manifest import CachedClip, Manifest, read_manifest
from common.processes import first, from_first
from common.recipe import Recipe, fingerprint
from common.schema import REFINED
from common.splits import check_labels, check_splits
from common.versions import HEAD_CODE_VERSION
from common.windows import CachedArrays
from stage3_mlp.pooling import COLUMNS, PoolFrames, pool
from stage3_mlp.predictions import predict_clip

HEAD = "head"
FUSED = "fused"
MADE_BY = "make train-mlp"

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]


class LabelledFrames:
    """All annotated frames of some clips, pooled over their neighbours (eq. 26), in memory.

    A map-style data set that hands out whole batches: ``features`` (N, d_beit) float32 and ``labels``, (N, 2) float32
    or (N,) int64.
    """

    def __init__(self, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], pool_frames: PoolFrames) -> None:
        features, labels = [], []
        self._clips = [clip.id for clip in clips]
        for clip in clips:
            arrays = CachedArrays(cache / manifest.folder / f"{clip.id}.h5", clip.content, clip.frames)
            target = read_labels(arrays, slice(None), clip.frames, categorical=bool(manifest.classes))
            there = annotated(target)
            features.append(pool(np.asarray(arrays[REFINED]), pool_frames)[there].astype(np.float32))
            labels.append(target[there])
        self.features: Floats = np.concatenate(features)
        self.labels: Array = np.concatenate(labels)
        self._ends = np.cumsum([len(some) for some in labels])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, rows: list[int]) -> dict[str, Array]:
        return {"features": self.features[rows], "labels": self.labels[rows]}

    def __getitem__(self, row: int) -> dict[str, Array]:
        return self.__getitems__([row])

    def named(self, row: int) -> str:
        """The clip that a row is of."""
        return self._clips[int(np.searchsorted(self._ends, row, side="right"))]


def as_tensors(batch: dict[str, Array]) -> dict[str, Any]:
    """A batch of `LabelledFrames` as tensors."""
    import torch

    return {name: torch.from_numpy(values) for name, values in batch.items()}


def statistics(rows: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and population standard deviation of each column of (N, D): (D,) float64 each.

    Some columns at a time: deviations of a whole training set in float64 would be twice as large as the set.
    """
    mean, std = np.empty(rows.shape[1]), np.empty(rows.shape[1])
    for start in range(0, rows.shape[1], COLUMNS):
        columns = slice(start, start + COLUMNS)
        values = rows[:, columns].astype(np.float64)
        mean[columns], std[columns] = values.mean(axis=0), values.std(axis=0)
    return mean, std


def train(recipe: Recipe, cache: Path, run: Path, device: str, say: Callable[[str], None]) -> Path:
    """Train stage 3 for a run, unless the head of these settings and features is there already.

    Returns
    -------
    Path
        ``run/head``: safetensors, configuration, ``record.json`` with the history.

    Raises
    ------
    DataError
        If the training or validation split has no annotated frame.
    """
    with alone(run / HEAD, say):
        return _train(recipe, cache, run, device, say)


def _train(recipe: Recipe, cache: Path, run: Path, device: str, say: Callable[[str], None]) -> Path:
    manifest = read_manifest(run / FUSED)
    key = head_fingerprint(recipe, manifest)
    folder = run / HEAD
    if from_first(lambda: is_current(folder, key, say)):
        say(f"Stage 3: {folder} is trained with these settings on these features; nothing to do, no model loaded.")
        if first():
            remove_checkpoints(run / CHECKPOINTS, HEAD)
        return folder
    check_labels(manifest, categorical=recipe.categorical)
    check_splits(manifest)
    data = _data(recipe, cache, manifest)
    say(f"Stage 3: training on {len(data['train'])} {manifest.rows}, selecting on {len(data['validation'])}")
    counts = class_counts([data["train"].labels] if recipe.categorical else [], len(manifest.classes))
    remarks = class_remarks(recipe.stage3.training, counts, manifest.classes, "stage3")
    for remark in remarks:
        say(f"Note: {remark}")
    checkpoints = run / CHECKPOINTS / f"{HEAD}-{key}"
    fitted = _fit(recipe, data, counts, run, checkpoints, device, say)
    if first():
        record = {**_record(recipe, manifest, key, fitted), "remarks": [*manifest.remarks, *remarks]}
        if recipe.categorical:
            record["counts"] = counts.tolist()
        else:
            record["smoothing"] = _smoothing(recipe, cache, manifest, fitted.model)
        save_model(folder, fitted.model, record)
        remove_checkpoints(checkpoints.parent, HEAD)
    say(f"Stage 3: {fitted.in_words()}; {folder}")
    return folder


def head_fingerprint(recipe: Recipe, manifest: Manifest) -> str:
    """Over stage 3's settings, the seed, the classes, and the labelled refined clips of training and validation."""
    clips = [(c.id, c.split, c.content) for c in manifest.of("train", "validation") if c.labelled]
    return fingerprint("head", HEAD_CODE_VERSION, recipe.stage3.shaping(), recipe.seed, manifest.classes, clips)


def _data(recipe: Recipe, cache: Path, manifest: Manifest) -> dict[str, LabelledFrames]:
    """The rows of training and validation; eq. 26 pools frames, not utterances."""
    data = {}
    for split in ("train", "validation"):
        clips = [clip for clip in manifest.of(split) if clip.labelled]
        if not clips:
            raise DataError(f"{manifest.data} has no labelled {split} clip.", "Training needs both splits.")
        pool_frames = 1 if recipe.categorical else recipe.stage3.head.pool_frames
        data[split] = LabelledFrames(cache, manifest, clips, pool_frames)
    return data


def _fit(
    recipe: Recipe,
    data: dict[str, LabelledFrames],
    counts: npt.NDArray[np.int64],
    run: Path,
    checkpoints: Path,
    device: str,
    say: Callable[[str], None],
) -> Any:
    import transformers

    from common.training import Shown, fit

    training = recipe.stage3.training
    transformers.set_seed(recipe.seed)
    rows = data["train"].features
    head = _build(recipe, rows.shape[1], counts)
    head.set_statistics(*from_first(lambda: statistics(rows)))
    balanced = training.sampling == "balanced"
    return fit(
        head,
        data["train"],
        data["validation"],
        training,
        collate=as_tensors,
        checkpoints=checkpoints,
        seed=recipe.seed,
        device=device,
        say=say,
        ignore=("intensity", "theta"),
        draws=balanced_draws(data["train"].labels[:, None], counts) if balanced else None,
        shown=Shown(run, HEAD, recipe.model_dump(mode="json")),
    )


def _build(recipe: Recipe, width: int, counts: npt.NDArray[np.int64]) -> Any:
    """An untrained head on features of ``width`` columns."""
    training = recipe.stage3.training
    if recipe.categorical:
        from stage3_mlp.classifier import ClassifierConfig, ClassifierHead

        chosen = recipe.stage3.classifier.model_dump()
        return ClassifierHead(ClassifierConfig(d_beit=width, **chosen, **loss_settings(training, counts)))
    from stage3_mlp.head import PolarHead, PolarHeadConfig

    settings = recipe.stage3.head.model_dump(exclude={"pool_frames"})
    return PolarHead(PolarHeadConfig(d_beit=width, **settings, loss=training.loss, ccc_weight=training.ccc_weight))


def _smoothing(recipe: Recipe, cache: Path, manifest: Manifest, head: Any) -> dict[str, Any]:
    """What the predictions will be smoothed by, chosen on the validation split, and what else was tried."""
    from stage3_mlp.smoothing import choose

    head.eval()
    clips = [clip for clip in manifest.of("validation") if clip.labelled]
    pool_frames = recipe.stage3.head.pool_frames
    chosen, tried = choose(
        recipe.stage3.smoothing, [predict_clip(head, cache, manifest, clip, pool_frames) for clip in clips]
    )
    return {"chosen": asdict(chosen), "tried": tried}


def _record(recipe: Recipe, manifest: Manifest, key: str, fitted: Any) -> dict[str, Any]:
    return {
        "stage": 3,
        "fingerprint": key,
        "recipe": recipe.model_dump(mode="json"),
        "seed": recipe.seed,
        "data": manifest.data,
        "fused": manifest.folder,
        "rows": manifest.rows,
        "classes": manifest.classes,
        "best": fitted.best,
        "history": fitted.history,
    }
