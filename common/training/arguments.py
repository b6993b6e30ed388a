"""The training settings of a recipe as transformers takes them, and those that it can't do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerCallback, TrainingArguments

from common import processes
from common.device import torch_device
from common.errors import UsageError
from common.measures import Measure
from common.recipe import Training
from common.training.checkpoints import Seal

_OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def training_arguments(settings: Training, measure: Measure, folder: Path, seed: int, device: str) -> TrainingArguments:
    """What the Trainer is told.

    Parameters
    ----------
    measure : the epoch is selected by
    folder : of the checkpoints

    Raises
    ------
    UsageError
        If the device can't train so.
    """
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


def optimiser(settings: Training) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
    """The optimiser's class, and what it is told besides the weight decay."""
    return _OPTIMISERS[settings.optimiser], {"lr": settings.learning_rate}


def course(settings: Training) -> list[TrainerCallback]:
    """What changes the course of a training, or ends it."""
    callbacks: list[TrainerCallback] = [Seal()]
    if settings.warmup_steps:
        callbacks.append(_WarmUp(settings.warmup_steps))
    if settings.early_stop_epochs is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=settings.early_stop_epochs))
    return callbacks


def check_batches(settings: Training) -> None:
    """Refuse more processes than a batch has items.

    Raises
    ------
    UsageError
    """
    if processes.count() > settings.batch_size:
        raise UsageError(
            f"{processes.count()} processes share batches of {settings.batch_size}: some would have nothing to do.",
            "Start fewer, or set a larger batch_size: it is that of all processes together.",
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


class _WarmUp(TrainerCallback):
    """The learning rate rises in equal steps to what it would be; ReduceLROnPlateau knows no warm-up of its own."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step < self.steps:
            for group in rest["optimizer"].param_groups:
                group["lr"] = args.learning_rate * (state.global_step + 1) / self.steps
