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
import torch
import transformers
from transformers import EarlyStoppingCallback, TrainerCallback, TrainingArguments

from common import processes
from common.artefacts import not_written
from common.device import memory_ran_out, torch_device
from common.errors import MavenError, TrainingError, UsageError
from common.history import STAGES, History, by_epoch
from common.measures import Measure, measure_for
from common.models import quiet
from common.reasons import reason_of
from common.recipe import Training
from common.training.checkpoints import Seal, last_checkpoint
from common.training.finite import Numbered
from common.training.progress import Progress
from common.training.shown import Board, Curves, Shown
from common.training.trainer import SharedTrainer

__all__ = ["Fitted", "Shown", "fit", "last_checkpoint"]

_OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


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
    _check_batches(settings)
    transformers.set_seed(seed)
    quiet()
    measure = measure_for(categorical=settings.categorical)
    arguments = _arguments(settings, measure, checkpoints, seed, device)
    arguments.ddp_find_unused_parameters = getattr(model, "leaves_out_weights", False)
    trainer = SharedTrainer(
        draws,
        model=model,
        args=arguments,
        train_dataset=Numbered(train),
        eval_dataset=validation,
        data_collator=collate,
        compute_metrics=measure.figures,
        callbacks=_callbacks(settings),
        optimizer_cls_and_kwargs=(_OPTIMISERS[settings.optimiser], {"lr": settings.learning_rate}),
    )
    trainer.remove_callback(transformers.PrinterCallback)  # `Progress` says it
    watchers = _watchers(settings, measure, trainer, say, shown) if processes.first() else []
    for callback in callbacks:
        trainer.add_callback(callback)
    resume = processes.from_first(lambda: last_checkpoint(checkpoints, say))
    if resume is not None:
        say(f"  goes on from {resume.name}")
    with contextlib.ExitStack() as ended:  # by its end, an error or Ctrl-C: what is to be seen is brought up to date
        for watcher in watchers:
            ended.callback(watcher.close)
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
    processes.wait_for_all()  # the checkpoints go when all have read the best one
    history = by_epoch(trainer.state.log_history)
    return Fitted(trainer.model, history, max(history, key=lambda row: row[measure.key]), measure)


def _callbacks(settings: Training) -> list[TrainerCallback]:
    """What changes the course of a training, or ends it."""
    callbacks: list[TrainerCallback] = [Seal()]
    if settings.warmup_steps:
        callbacks.append(_WarmUp(settings.warmup_steps))
    if settings.early_stop_epochs is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=settings.early_stop_epochs))
    return callbacks


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


def _check_device(settings: Training, device: torch.device) -> None:
    """Refuse half precision on a processor that ignores it, and a GPU that the Trainer wouldn't take."""
    if device.type == "cpu" and settings.precision == "float16":
        raise UsageError("precision: float16 has no effect on a CPU.", "Set float32 or bfloat16, or DEVICE=cuda.")
    if device.type == "cuda" and device.index and not processes.several():
        raise UsageError(
            f"DEVICE={device}: training takes the first GPU that it sees.",
            f"Set CUDA_VISIBLE_DEVICES={device.index} and DEVICE=cuda.",
        )


def _check_batches(settings: Training) -> None:
    if processes.count() > settings.batch_size:
        raise UsageError(
            f"{processes.count()} processes share batches of {settings.batch_size}: some would have nothing to do.",
            "Start fewer, or set a larger batch_size: it is that of all processes together.",
        )


def _arguments(settings: Training, measure: Measure, folder: Path, seed: int, device: str) -> TrainingArguments:
    plateau, place = settings.plateau, torch_device(device)
    on_gpu = place.type == "cuda"
    _check_device(settings, place)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip_norm or 0.0,
        lr_scheduler_type="reduce_lr_on_plateau" if plateau else "constant",
        lr_scheduler_kwargs={"mode": "max", **plateau.model_dump()} if plateau else {},
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        restore_callback_states_from_checkpoint=True,  # early stopping goes on counting after a kill
        metric_for_best_model=measure.name,
        greater_is_better=True,
        label_names=["labels"],
        remove_unused_columns=False,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen
        dataloader_num_workers=settings.workers,
        dataloader_persistent_workers=False,  # persistent ones draw less from torch's generator: other numbers
        dataloader_pin_memory=on_gpu,
        accelerator_config={"non_blocking": on_gpu},  # copies of batches go on beside the step
        activation_checkpointing=settings.gradient_checkpointing,
        bf16=settings.precision == "bfloat16",
        fp16=settings.precision == "float16",
        seed=seed,
        use_cpu=place.type == "cpu",
        disable_tqdm=True,
        report_to="none",
    )
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # or each step would have as many batches as there are GPUs
    return arguments


class _WarmUp(TrainerCallback):
    """The learning rate rises in equal steps to what it would be; ReduceLROnPlateau knows no warm-up of its own."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step < self.steps:
            for group in rest["optimizer"].param_groups:
                group["lr"] = args.learning_rate * (state.global_step + 1) / self.steps
