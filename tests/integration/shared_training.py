"""Small trainings of all kinds, to be run by one process and by several: torchrun ... shared_training.py FOLDER.

Each process leaves FOLDER/<rank>.json: of each training the items of each step, the loss of each step, the figures of
each epoch, and a few of the final weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common import processes
from common.recipe import Training
from common.schema import MODALITIES
from common.training import OurTrainer, fit
from stage2_beit.config import FusionConfig, TextGuidedConfig
from stage2_beit.model import FusionModel
from stage2_beit.text_guided import TextGuidedModel
from stage3_mlp.classifier import ClassifierConfig, ClassifierHead
from stage3_mlp.head import PolarHead, PolarHeadConfig
from stage3_mlp.train import as_tensors

T, K = 5, 3
DIMS = {"visual": 6, "audio": 5, "text": 4}
SIX_PATHS = {"d_k": 4, "heads": 1, "d_proj": 8, "beit_heads": 2, "beit_layers": 1, "mlp_ratio": 2.0, "dropout": 0.0}
GUIDED = {"width": 8, "heads": 2, "branch": 4, "narrow_branch": 3, "dropout": 0.0}
CLASSES = {"classes": K, "class_weights": [0.5, 1.0, 2.0]}
RATE = {"learning_rate": 0.01, "epochs": 3, "early_stop_epochs": None}

#: Model, further settings of the training. The last batch of an epoch has fewer items than the others; where 4 are
#: dealt out in batches of 3, fewer than there are processes.
TRAININGS: dict[str, tuple[str, dict[str, Any]]] = {
    "mse": ("six paths", {"loss": "mse", "batch_size": 5, "accumulate": 2}),
    "ccc": ("six paths", {"loss": "ccc", "batch_size": 4}),
    "mse+ccc": ("six paths", {"loss": "mse+ccc", "batch_size": 12, "gradient_checkpointing": True}),
    "guided": ("text guided", {"loss": "focal", "batch_size": 4, "label_smoothing": 0.1, "sampling": "balanced"}),
    "classes": ("classifier", {"loss": "cross-entropy", "batch_size": 4, "sampling": "balanced"}),
    "head": ("polar head", {"loss": "mse+ccc", "batch_size": 6}),
}
ITEMS = 13


class Windows:
    """Windows of made-up features, of which some are absent, some not labelled, and the first few have no text."""

    def __init__(self, items: int, seed: int, *, classes: bool) -> None:
        rng = np.random.default_rng(seed)
        self.classes = classes
        self.rows = []
        for item in range(items):
            row: dict[str, Any] = {m: rng.normal(size=(T, DIMS[m])).astype(np.float32) for m in MODALITIES}
            row |= {f"present_{m}": rng.random(T) > 0.3 for m in MODALITIES}
            row["present_audio"][:] &= item % 3 > 0
            row["frame_mask"] = np.arange(T) < (T - item % 2)
            row["labels"] = self._labels(rng, item)
            self.rows.append(row)

    def _labels(self, rng: np.random.Generator, item: int) -> Any:
        absent = rng.random(T) < (0.9 if item % 4 == 0 else 0.2)
        if self.classes:
            return np.where(absent, -1, rng.choice(K, T, p=[0.7, 0.2, 0.1]))
        values = rng.uniform(-1, 1, (T, 2)).astype(np.float32)
        values[absent] = np.nan
        return values

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> dict[str, Any]:
        return {**self.rows[item], "item": item}


class Rows:
    """Labelled rows for a head, which are fetched as a whole batch."""

    def __init__(self, items: int, seed: int, *, classes: bool) -> None:
        rng = np.random.default_rng(seed)
        self.features = rng.normal(size=(items, 6)).astype(np.float32)
        self.labels = rng.integers(0, K, items) if classes else rng.uniform(-1, 1, (items, 2)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, rows: list[int]) -> dict[str, Any]:
        return {"features": self.features[rows], "labels": self.labels[rows], "item": np.array(rows)}


def stacked(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.stack([np.asarray(item[name]) for item in items])) for name in items[0]}


class Watched:
    """Takes the items' numbers out of each batch, and the loss of each step."""

    def __init__(self, collate: Any) -> None:
        self.collate = collate
        self.items: list[list[int]] = []
        self.losses: list[float] = []

    def __call__(self, items: Any) -> dict[str, Tensor]:
        batch = self.collate(items)
        self.items.append(batch.pop("item").tolist())
        return batch


def model_of(kind: str, loss: str, smoothing: float) -> Any:
    dims = {f"{modality}_dim": width for modality, width in DIMS.items()}
    given = {"loss": loss, "label_smoothing": smoothing}
    if kind == "six paths":
        return FusionModel(FusionConfig(**dims, **SIX_PATHS, loss=loss, ccc_weight=0.5))
    if kind == "text guided":
        return TextGuidedModel(TextGuidedConfig(**dims, **GUIDED, **CLASSES, **given))
    if kind == "classifier":
        return ClassifierHead(ClassifierConfig(d_beit=6, hidden=8, dropout=0.0, **CLASSES, **given))
    return PolarHead(PolarHeadConfig(d_beit=6, d1=8, d2=4, dropout=0.0, loss=loss, ccc_weight=0.5))


def trained(name: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """What a training came to, in this process."""
    kind, settings = TRAININGS[name]
    chosen = Training(**{**RATE, **settings, **changes})
    data = Windows if kind in ("six paths", "text guided") else Rows
    watched = Watched(stacked if data is Windows else as_tensors)
    torch.manual_seed(3)
    step = OurTrainer.training_step

    def watch(*arguments: Any) -> Tensor:
        loss = step(*arguments)
        watched.losses.append(float(loss))
        return loss

    OurTrainer.training_step = watch
    try:
        found = fit(
            model_of(kind, chosen.loss, chosen.label_smoothing),
            data(ITEMS, 1, classes=chosen.categorical),
            data(ITEMS, 2, classes=chosen.categorical),
            chosen,
            collate=watched,
            checkpoints=folder / name,
            seed=7,
            device="cpu",
            say=lambda text: None,
            ignore=("refined", "attentions", "intensity", "theta"),
            draws=np.linspace(1, 3, ITEMS) if chosen.sampling == "balanced" else None,
        )
    finally:
        OurTrainer.training_step = step
    weights = torch.cat([values.double().flatten() for values in found.model.state_dict().values()])
    history = [{key: value for key, value in row.items() if "second" not in key and "time" not in key} for row in found.history]
    return {"items": watched.items, "losses": watched.losses, "history": history, "weights": weights.tolist()}


def main(folder: Path) -> None:
    with processes.together("cpu"):
        results = {name: trained(name, folder) for name in TRAININGS}
    (folder / f"{processes.index()}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
