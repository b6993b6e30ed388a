"""Small trainings of all kinds, to be run by one process and by several.

``python -m common.launch 2 tests.integration.shared_training FOLDER``: each process leaves what `trained` returns in
FOLDER/<rank>.json, and together they train the run FOLDER/runs/two by the stages' own commands.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import TrainerCallback

from common import processes
from common.recipe import Training
from common.schema import MODALITIES
from common.training import fit
from common.training.trainer import SharedTrainer
from stage2_beit.config import FusionConfig, TextGuidedConfig
from stage2_beit.model import FusionModel
from stage2_beit.text_guided import TextGuidedModel
from stage3_mlp.classifier import ClassifierConfig, ClassifierHead
from stage3_mlp.head import PolarHead, PolarHeadConfig
from stage3_mlp.train import as_tensors
from tests.integration.chain import Chain

T, K = 5, 3
DIMS = {"visual": 6, "audio": 5, "text": 4}
SIX_PATHS = {"d_k": 4, "heads": 1, "d_proj": 8, "beit_heads": 2, "beit_layers": 1, "mlp_ratio": 2.0}
GUIDED = {"width": 8, "heads": 2, "branch": 4, "narrow_branch": 3, "dropout": 0.0}
CLASSES = {"classes": K, "class_weights": [0.5, 1.0, 2.0]}
RATE = {"learning_rate": 0.01, "epochs": 2, "early_stop_epochs": None}

#: Model, further settings of the training. The last batch of an epoch has fewer items than the others, in most of
#: them one: fewer than there are processes.
TRAININGS: dict[str, tuple[str, dict[str, Any]]] = {
    "mse": ("six paths", {"loss": "mse", "batch_size": 5, "accumulate": 2}),
    "ccc": ("six paths", {"loss": "ccc", "batch_size": 4}),
    "mse+ccc": ("six paths", {"loss": "mse+ccc", "batch_size": 12, "gradient_checkpointing": True}),
    "guided": ("text guided", {"loss": "focal", "batch_size": 4, "label_smoothing": 0.1, "sampling": "balanced"}),
    "classes": ("classifier", {"loss": "cross-entropy", "batch_size": 4, "sampling": "balanced"}),
    "head": ("polar head", {"loss": "mse+ccc", "batch_size": 6}),
}
ITEMS = 13
#: Items of validation are numbered from here.
VALIDATION = 100

#: For the chain: batches that two share.
BATCHES = (
    "stage2.training.batch_size=5",
    "stage3.training.batch_size=64",
    "stage2.fusion.dropout=0",
    "stage2.fusion.modality_dropout=0",
    "stage3.head.dropout=0",
)


class Windows:
    """Windows of made-up features, of which some are absent, some not labelled, and the first few have no text."""

    def __init__(self, first: int, *, classes: bool) -> None:
        rng = np.random.default_rng(first)
        self.first = first
        self.classes = classes
        self.rows = []
        for item in range(ITEMS):
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
        return {**self.rows[item], "item": self.first + item}


class Rows:
    """Labelled rows for a head, which are fetched as a whole batch."""

    def __init__(self, first: int, *, classes: bool) -> None:
        rng = np.random.default_rng(first)
        self.first = first
        self.features = rng.normal(size=(ITEMS, 6)).astype(np.float32)
        self.labels = rng.integers(0, K, ITEMS) if classes else rng.uniform(-1, 1, (ITEMS, 2)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, rows: list[int]) -> dict[str, Any]:
        return {"features": self.features[rows], "labels": self.labels[rows], "item": self.first + np.array(rows)}


def stacked(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.stack([np.asarray(item[name]) for item in items])) for name in items[0]}


class Watched:
    """Makes batches without their items' numbers, which it keeps as they come."""

    def __init__(self, collate: Any) -> None:
        self.collate = collate
        self.items: list[list[int]] = []

    def __call__(self, items: Any) -> dict[str, Tensor]:
        batch = self.collate(items)
        self.items.append(batch.pop("item").tolist())
        return batch


def model_of(kind: str, loss: str, smoothing: float, dropout: float) -> Any:
    dims = {f"{modality}_dim": width for modality, width in DIMS.items()}
    given = {"loss": loss, "label_smoothing": smoothing}
    if kind == "six paths":
        return FusionModel(FusionConfig(**dims, **SIX_PATHS, dropout=dropout, loss=loss, ccc_weight=0.5))
    if kind == "text guided":
        return TextGuidedModel(TextGuidedConfig(**dims, **GUIDED, **CLASSES, **given))
    if kind == "classifier":
        return ClassifierHead(ClassifierConfig(d_beit=6, hidden=8, dropout=0.0, **CLASSES, **given))
    return PolarHead(PolarHeadConfig(d_beit=6, d1=8, d2=4, dropout=0.0, loss=loss, ccc_weight=0.5))


class Gradients(TrainerCallback):
    """Keeps the gradients of each step; ends the training after some steps, if asked to."""

    def __init__(self, stop_after: int | None) -> None:
        self.found: list[list[float]] = []
        self.stop_after = stop_after

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        self.found.append(torch.cat([weights.grad.flatten() for weights in model.parameters()]).tolist())
        if len(self.found) == self.stop_after:
            raise Stopped


class Stopped(Exception):
    pass


def trained(name: str, folder: Path, stop_after: int | None = None, **changes: Any) -> dict[str, Any]:
    """What a training came to, in this process."""
    kind, settings = TRAININGS[name]
    dropout = changes.pop("dropout", 0.0)
    chosen = Training(**{**RATE, **settings, **changes})
    data = Windows if kind in ("six paths", "text guided") else Rows
    watched, gradients, losses = Watched(stacked if data is Windows else as_tensors), Gradients(stop_after), []
    torch.manual_seed(3)
    step = SharedTrainer.training_step

    def watch(*arguments: Any) -> Tensor:
        losses.append(float(step(*arguments)))
        return torch.tensor(losses[-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedTrainer, "training_step", watch)
        found = fit(
            model_of(kind, chosen.loss, chosen.label_smoothing, dropout),
            data(0, classes=chosen.categorical),
            data(VALIDATION, classes=chosen.categorical),
            chosen,
            collate=watched,
            checkpoints=folder / name,
            seed=7,
            device="cpu",
            say=lambda text: None,
            ignore=("refined", "attentions", "intensity", "theta"),
            draws=np.linspace(1, 3, ITEMS) if chosen.sampling == "balanced" else None,
            callbacks=[gradients],
        )
    weights = torch.cat([values.double().flatten() for values in found.model.state_dict().values()])
    history = [{key: value for key, value in row.items() if "_per_" not in key} for row in found.history]
    return {
        "items": [numbers for numbers in watched.items if numbers[0] < VALIDATION],
        "validated": [numbers for numbers in watched.items if numbers[0] >= VALIDATION],
        "losses": losses,
        "gradients": gradients.found,
        "history": [{key: value for key, value in row.items() if key != "eval_runtime"} for row in history],
        "weights": weights.tolist(),
    }


def stopped(folder: Path) -> None:
    """A training with dropout that ends in its second epoch: the first one's checkpoint is left."""
    with contextlib.suppress(Stopped):
        trained("ccc", folder, stop_after=6, dropout=0.2)


def main(folder: Path) -> None:
    with processes.together("cpu"):
        results = {name: trained(name, folder / "all") for name in TRAININGS}
        results["undisturbed"] = trained("ccc", folder / "undisturbed", dropout=0.2)
        stopped(folder / "resumed")
        results["resumed"] = trained("ccc", folder / "resumed", dropout=0.2)
        stopped(folder / "left")
        (folder / f"{processes.index()}.json").write_text(json.dumps(results))
        chain = Chain(folder / "corpus", folder / "cache", folder / "runs" / "two")
        for command in (chain.train_beit, chain.export, chain.train_mlp, chain.train_mlp):
            result = command() if command == chain.export else command(*BATCHES)
            sys.stdout.write(result.output)
            assert result.exit_code == 0, result.output


if __name__ == "__main__":
    main(Path(sys.argv[1]))
