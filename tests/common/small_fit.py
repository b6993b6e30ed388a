"""The smallest model of classes, trained in a second: what the tests around the Trainer run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel, TrainerCallback
from transformers.utils import ModelOutput

from common import training
from common.recipe import Training


class Linear(PreTrainedModel):
    """One layer, which remembers what it was shown in training."""

    config_class = PreTrainedConfig

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.layer = nn.Linear(3, 3)
        self.shown: list[int] = []
        self.post_init()

    def forward(self, features: Tensor, labels: Tensor | None = None) -> ModelOutput:
        logits = self.layer(features)
        assert labels is not None
        if self.training:
            self.shown += labels.tolist()
        return ModelOutput(loss=nn.functional.cross_entropy(logits, labels), prediction=logits)


def items(labels: list[int]) -> list[dict[str, Any]]:
    return [{"features": np.eye(3, dtype=np.float32)[label], "labels": label} for label in labels]


def collate(batch: list[dict[str, Any]]) -> dict[str, Tensor]:
    return {name: torch.as_tensor(np.array([item[name] for item in batch])) for name in batch[0]}


def fitted(
    folder: Path,
    labels: list[int],
    draws: Any = None,
    device: str = "cpu",
    say: Callable[[str], None] = lambda text: None,
    shown: training.Shown | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    **settings: Any,
) -> training.Fitted:
    """Train on rows with ``labels``; checkpoints in ``folder``, other settings as in a recipe."""
    chosen = Training(**{"loss": "focal", "batch_size": 10, "learning_rate": 0.1, **settings})
    torch.manual_seed(0)
    return training.fit(
        Linear(PreTrainedConfig()),
        items(labels),
        items([0, 1, 2]),
        chosen,
        collate=collate,
        checkpoints=folder,
        seed=0,
        device=device,
        say=say,
        draws=draws,
        shown=shown,
        callbacks=callbacks,
    )
