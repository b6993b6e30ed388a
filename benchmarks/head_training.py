"""One epoch of a head through `common.training.fit`, and as a bare loop over the same batches: both on one machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from common.errors import MavenError
from common.recipe import Recipe, Training
from stage3_mlp.train import LabelledFrames, as_tensors, statistics


@dataclass(frozen=True)
class HeadTraining:
    """What both ways are given.

    Attributes
    ----------
    recipe : its stage 3 is trained, for one epoch
    train, validation : labelled frames in memory
    device : as torch names it
    batch : frames in a step
    """

    recipe: Recipe
    train: LabelledFrames
    validation: LabelledFrames
    device: str
    batch: int = 256

    @property
    def settings(self) -> Training:
        given = {"epochs": 1, "early_stop_epochs": None, "batch_size": self.batch}
        return self.recipe.stage3.training.model_copy(update=given)

    def head(self, dropout: float | None = None) -> Any:
        """A fresh head, the same each time."""
        import torch

        from stage3_mlp.head import PolarHead, PolarHeadConfig

        torch.manual_seed(0)
        chosen = self.recipe.stage3.head.model_dump(exclude={"pool_frames"})
        chosen |= {} if dropout is None else {"dropout": dropout}
        mean, std = self._statistics
        head = PolarHead(PolarHeadConfig(d_beit=len(mean), **chosen, loss=self.settings.loss))
        head.set_statistics(mean, std)
        return head

    @cached_property
    def _statistics(self) -> Any:
        return statistics(self.train.features)

    def fitted(self, head: Any, settings: Training) -> Any:
        """As `stage3_mlp train` does it: transformers' Trainer, validation and a checkpoint at the end."""
        from common.training import fit

        with tempfile.TemporaryDirectory() as folder:
            return fit(
                head,
                self.train,
                self.validation,
                settings,
                collate=as_tensors,
                checkpoints=Path(folder) / "head",
                seed=0,
                device=self.device,
                say=lambda text: None,
                ignore=("intensity", "theta"),
            ).model

    def looped(self, head: Any, settings: Training) -> Any:
        """Forward, backward, clip, step over tensors that lie on the device; no validation, nothing written."""
        import torch

        from common.device import torch_device

        place = torch_device(self.device)
        features, labels = (torch.from_numpy(rows).to(place) for rows in (self.train.features, self.train.labels))
        head = head.to(place).train()
        optimiser = torch.optim.AdamW(head.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        for rows in torch.randperm(len(features)).to(place).split(settings.batch_size):
            head(features=features[rows], labels=labels[rows]).loss.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), settings.clip_norm or float("inf"))
            optimiser.step()
            optimiser.zero_grad()
        head.fc1.weight.detach().cpu()  # a GPU is done when it can be read
        return head

    def ways(self) -> dict[str, Callable[[], Any]]:
        return {
            "fit": lambda: self.fitted(self.head(), self.settings),
            "bare loop": lambda: self.looped(self.head(), self.settings),
        }

    def check(self) -> None:
        """One step over all frames at once, whose order is then no matter, must leave the same weights.

        Raises
        ------
        MavenError
            If it doesn't.
        """
        settings = self.settings.model_copy(update={"batch_size": len(self.train)})
        ours, theirs = self.fitted(self.head(0.0), settings), self.looped(self.head(0.0), settings)
        for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            apart = float((one.detach().cpu() - other.detach().cpu()).abs().mean())
            if apart > 1e-3 * settings.learning_rate:  # Adam's first step is one rate, up or down; roundings may tip it
                raise MavenError(f"After one step {name} is {apart:g} apart.", "The two loops must compute the same.")
