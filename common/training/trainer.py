"""transformers' Trainer with what it lacks: draws by likelihood, numbers looked at, processes that share a training."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import transformers
from torch.utils.data import WeightedRandomSampler
from transformers import EvalPrediction, Trainer
from transformers.trainer_utils import EvalLoopOutput

from common import processes
from common.training.finite import ITEM, Finite
from common.training.parts import Batches, Parts, PartsLoader, WholeBatches, as_alone


class SharedTrainer(Trainer):
    """The Trainer, drawing its training items by given likelihoods where there are some.

    Several processes share each batch, and see the whole validation split: what the Trainer and accelerate do of
    themselves repeats items until all processes have equally many, and takes means of means.

    Parameters
    ----------
    draws : (N,) float64 or None
        How likely each training item is to be drawn; all come once where None.
    arguments : the Trainer's
    """

    def __init__(self, draws: npt.NDArray[np.float64] | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._draws = draws
        self._finite = Finite(arguments["train_dataset"], gradients=not self.args.fp16)
        self.add_callback(self._finite)
        if not processes.first():  # dropout of its own; the order of items is the first process's
            transformers.set_seed(self.args.seed + processes.index())

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        items = inputs.pop(ITEM, None)
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._finite.loss(loss, items, self.state.global_step + 1)
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        self._finite.gradient(norm, self.state.global_step + 1)
        return norm

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self._draws is None:
            return super()._get_train_sampler(train_dataset)
        # From torch's default generator, whose state a checkpoint keeps.
        return WeightedRandomSampler(self._draws.tolist(), len(self._draws), replacement=True)

    def loss_so_far(self) -> float:
        """The mean training loss since the last log: of the epoch in hand, as the log will have it at its end."""
        steps = self.state.global_step - self._globalstep_last_logged
        return float(self._tr_loss.item()) / steps if steps else math.nan

    def get_train_dataloader(self) -> Any:
        """Batches of the recipe's size; with others, this process's part of each."""
        if not processes.grouped():
            return super().get_train_dataloader()
        return self._loader(self.train_dataset, Parts(as_alone(self._get_train_sampler()), self.args.train_batch_size))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The validation split in batches; with others, those that are this process's turn."""
        if not processes.grouped():
            return super().get_eval_dataloader(eval_dataset)
        return self._loader(self.eval_dataset, WholeBatches(len(self.eval_dataset), self.args.eval_batch_size))

    def _loader(self, data: Any, sampler: Any) -> PartsLoader:
        return PartsLoader(
            Batches(data, self.data_collator),
            sampler=sampler,
            batch_size=None,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """The figures of the whole validation split: with others, from the predictions of all in the split's order."""
        if not processes.grouped():
            return super().evaluation_loop(
                dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix=metric_key_prefix
            )
        self.model.eval()
        mine = []
        for inputs in dataloader:
            loss, predicted, labels = self.prediction_step(self.model, inputs, False, ignore_keys)
            mine.append(tuple(values.cpu().numpy() for values in (loss, predicted, labels)))
        losses, predicted, labels = zip(*in_turn(processes.from_all(mine)), strict=True)
        figures = self.compute_metrics(EvalPrediction(np.concatenate(predicted), np.concatenate(labels)))
        each = np.concatenate([np.full(len(some), loss) for loss, some in zip(losses, labels, strict=True)])
        figures["loss"] = each.mean().item()
        figures = {f"{metric_key_prefix}_{name}": value for name, value in figures.items()}
        # Processors of different kinds round differently, and all have to choose the same epoch.
        return EvalLoopOutput(None, None, processes.from_first(lambda: figures), len(self.eval_dataset))

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        processes.wait_for_all()  # the state is written after this, and says that the checkpoint is whole

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """As the Trainer; of a checkpoint of one process, or of several, the first goes on with the first one's."""
        alone, as_first = "rng_state.pth", "rng_state_0.pth"
        own, other = (as_first, alone) if processes.grouped() else (alone, as_first)
        if checkpoint is None or (Path(checkpoint) / own).exists() or not (Path(checkpoint) / other).exists():
            super()._load_rng_state(checkpoint)
        elif processes.first():
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy(Path(checkpoint) / other, Path(folder) / own)
                super()._load_rng_state(folder)


def in_turn(of_each: list[list[Any]]) -> list[Any]:
    """What was dealt out in turn, put together again."""
    return [of_each[place % len(of_each)][place // len(of_each)] for place in range(sum(map(len, of_each)))]
