"""Train the polar head on the frozen, exported features of stage 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.artefacts import is_current, remove_checkpoints, save_model
from common.errors import DataError
from common.manifest import CachedClip, Manifest, check_splits, read_manifest
from common.recipe import Recipe, fingerprint
from common.schema import REFINED
from common.windows import CachedArrays
from stage3_mlp.pooling import PoolFrames, pool
from stage3_mlp.predictions import clip_labels, predict_clip

HEAD = "head"
FUSED = "fused"
MADE_BY = "make train-mlp"

#: Raise when the same settings would train another head.
CODE_VERSION = 2

Floats = npt.NDArray[np.float32]


class LabelledFrames:
    """All annotated frames of some clips, pooled over their neighbours (eq. 26), in memory.

    A map-style data set that hands out whole batches: ``features`` (N, d_beit) and ``labels`` (N, 2) float32.
    """

    def __init__(self, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], pool_frames: PoolFrames) -> None:
        features, labels = [], []
        for clip in clips:
            arrays = CachedArrays(cache / manifest.folder / f"{clip.id}.h5", clip.content)
            target = clip_labels(arrays, clip.frames)
            annotated = np.isfinite(target).all(axis=1)
            features.append(pool(np.asarray(arrays[REFINED]), pool_frames)[annotated].astype(np.float32))
            labels.append(target[annotated])
        self.features: Floats = np.concatenate(features)
        self.labels: Floats = np.concatenate(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, rows: list[int]) -> dict[str, Floats]:
        return {"features": self.features[rows], "labels": self.labels[rows]}

    def __getitem__(self, row: int) -> dict[str, Floats]:
        return self.__getitems__([row])


def as_tensors(batch: dict[str, Floats]) -> dict[str, Any]:
    """A batch of `LabelledFrames` as tensors."""
    import torch

    return {name: torch.from_numpy(values) for name, values in batch.items()}


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
    manifest = read_manifest(run / FUSED)
    clips = [(c.id, c.split, c.content) for c in manifest.of("train", "validation") if c.labelled]
    key = fingerprint("head", CODE_VERSION, recipe.stage3.shaping(), recipe.seed, clips)
    folder = run / HEAD
    if is_current(folder, key):
        say(f"Stage 3: {folder} is trained with these settings on these features; nothing to do, no model loaded.")
        return folder
    check_splits(manifest)
    checkpoints = run / "checkpoints" / f"{HEAD}-{key}"
    fitted = _fit(recipe, cache, manifest, checkpoints, device, say)
    smoothing = _smoothing(recipe, cache, manifest, fitted.model)
    save_model(folder, fitted.model, {**_record(recipe, manifest, key, fitted), "smoothing": smoothing})
    remove_checkpoints(checkpoints.parent, HEAD)
    say(f"Stage 3: best validation CCC {fitted.best['eval_ccc_mean']:.4f} at epoch {fitted.best['epoch']}; {folder}")
    return folder


def _fit(
    recipe: Recipe, cache: Path, manifest: Manifest, checkpoints: Path, device: str, say: Callable[[str], None]
) -> Any:
    import transformers

    from common.training import fit
    from stage3_mlp.head import PolarHead, PolarHeadConfig

    settings, training = recipe.stage3.head, recipe.stage3.training
    data = {}
    for split in ("train", "validation"):
        clips = [clip for clip in manifest.of(split) if clip.labelled]
        if not clips:
            raise DataError(f"{manifest.data} has no labelled {split} clip.", "Training needs both splits.")
        data[split] = LabelledFrames(cache, manifest, clips, settings.pool_frames)
    say(f"Stage 3: training on {len(data['train'])} frames, selecting on {len(data['validation'])}")
    transformers.set_seed(recipe.seed)
    config = PolarHeadConfig(
        d_beit=data["train"].features.shape[1],
        d1=settings.d1,
        d2=settings.d2,
        angle=settings.angle,
        dropout=settings.dropout,
        loss=training.loss,
        ccc_weight=training.ccc_weight,
    )
    head = PolarHead(config)
    rows = data["train"].features
    head.set_statistics(rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64))
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
    )


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
        "remarks": manifest.remarks,
        "best": fitted.best,
        "history": fitted.history,
    }
