"""What stages 2 and 3 share around ``transformers.Trainer``: settings, selection, resuming, and what is to be seen.

The epoch is selected on the validation split, by a `common.measures.Measure` over all of its labelled rows at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import numpy.typing as npt
import transformers
from transformers import TrainerCallback, TrainingArguments

from common import processes
from common.artefacts import not_written
from common.device import memory_ran_out
from common.errors import MavenError, TrainingError
from common.history import STAGES, History, by_epoch
from common.measures import Measure, measure_for
from common.models import quiet
from common.reasons import reason_of
from common.recipe import Training
from common.training.arguments import check_batches, course, optimiser, training_arguments
from common.training.checkpoints import last_checkpoint
from common.training.finite import Numbered
from common.training.progress import Progress
from common.training.shown import Board, Curves, Shown
from common.training.trainer import SharedTrainer

__all__ = ["Fitted", "Shown", "fit", "last_checkpoint"]


@dataclass(frozen=True)
class Fitted:
    """A trained model with its best epoch's weights, and one row of figures per epoch."""

    model: Any
    history: History
    best: dict[str, float]
    measure: Measure

    def in_words(self) -> str:
        """The best epoch."""
        score = self.best[self.measure.key]
        return f"best validation {self.measure.title} {score:.4f} at epoch {self.best['epoch']}"


def fit(
    model: Any,
    train: Any,
    validation: Any,
    settings: Training,
    *,
    collate: Callable[[Any], dict[str, Any]],
    checkpoints: Path,
    seed: int,
    device: str,
    say: Callable[[str], None],
    ignore: tuple[str, ...] = (),
    draws: npt.NDArray[np.float64] | None = None,
    shown: Shown | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Fitted:
    """Train ``model`` and give it back with the weights of its best epoch.

    Parameters
    ----------
    model : PreTrainedModel
        Its forward takes the batch's entries by name and returns ``loss`` and ``prediction``.
    train, validation : map-style data sets
    collate : callable
        Makes a batch of items, a dictionary of tensors; ``labels`` as in `common.labels`.
    checkpoints : Path
        Folder of this training's checkpoints; a killed training goes on from the last whole one in it.
    ignore : names of the forward's outputs that scoring doesn't need
    draws : (N,) float64, optional
        How likely each training item is to be drawn, with replacement, N in an epoch; all once where not given.
    shown : where TensorBoard's log and the run's curves are written; nowhere where not given
    callbacks : what else looks on, after all others

    Raises
    ------
    TrainingError
        If the loss or a gradient stops being a number, or memory runs out.
    UsageError
        If more processes train than a batch has items.
    """
    check_batches(settings)
    transformers.set_seed(seed)
    quiet()
    measure = measure_for(categorical=settings.categorical)
    arguments = training_arguments(settings, measure, checkpoints, seed, device)
    data = {"train_dataset": Numbered(train), "eval_dataset": validation, "data_collator": collate}
    trainer = _trainer(model, settings, measure, arguments, draws, **data)
    watchers = _watchers(settings, measure, trainer, say, shown) if processes.first() else []
    for callback in callbacks:
        trainer.add_callback(callback)
    resume = processes.from_first(lambda: last_checkpoint(checkpoints, say))
    if resume is not None:
        say(f"  goes on from {resume.name}")
    with contextlib.ExitStack() as ended:  # by its end, an error or Ctrl-C: what is to be seen is brought up to date
        for watcher in watchers:
            ended.callback(watcher.close)
        _train(trainer, settings, checkpoints, resume, ignore)
    processes.wait_for_all()  # the checkpoints go when all have read the best one
    history = by_epoch(trainer.state.log_history)
    return Fitted(trainer.model, history, max(history, key=lambda row: row[measure.key]), measure)


def _trainer(
    model: Any,
    settings: Training,
    measure: Measure,
    arguments: TrainingArguments,
    draws: npt.NDArray[np.float64] | None,
    **data: Any,
) -> SharedTrainer:
    arguments.ddp_find_unused_parameters = getattr(model, "leaves_out_weights", False)
    trainer = SharedTrainer(
        draws,
        model=model,
        args=arguments,
        compute_metrics=measure.figures,
        callbacks=course(settings),
        optimizer_cls_and_kwargs=optimiser(settings),
        **data,
    )
    trainer.remove_callback(transformers.PrinterCallback)  # `Progress` says it
    return trainer


def _train(
    trainer: SharedTrainer, settings: Training, checkpoints: Path, resume: Path | None, ignore: Sequence[str]
) -> None:
    """Train to the end, from the checkpoint ``resume`` on; errors as in `fit`."""
    try:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None, ignore_keys_for_eval=list(ignore))
    except UnpicklingError as error:
        raise TrainingError(
            f"{resume} holds more than numbers, and isn't read ({reason_of(error)}).",
            "Delete it, unless you know where it came from: training then begins anew.",
        ) from error
    except Exception as error:
        failure = _too_large(settings, error) if memory_ran_out(error) else not_written(error, checkpoints)
        if failure is None:
            raise
        raise failure from error


def _watchers(
    settings: Training, measure: Measure, trainer: SharedTrainer, say: Callable[[str], None], shown: Shown | None
) -> list[Progress | Board | Curves]:
    """Add to the trainer what only looks on; each has a ``close``."""
    progress = Progress(
        say,
        settings.epochs,
        measure,
        title=STAGES[shown.stage] if shown else "",
        patience_epochs=settings.early_stop_epochs,
        loss_now=trainer.loss_so_far,
    )
    watchers = [progress, *((Board(shown, measure), Curves(shown)) if shown else ())]
    for watcher in watchers:
        trainer.add_callback(watcher)
    return watchers


def _too_large(settings: Training, error: Exception) -> MavenError:
    """What to say where memory doesn't suffice for a batch."""
    half, twice = max(1, settings.batch_size // 2), settings.accumulate * 2
    reason = reason_of(error) or "no memory"
    return TrainingError(
        f"Memory doesn't suffice for training with batch_size {settings.batch_size} ({reason}).",
        f"Set training.batch_size={half} and training.accumulate={twice} of this stage: the same steps in smaller parts"
        "; or shorter windows. The last checkpoint is kept.",
    )
