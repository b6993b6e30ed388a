"""Settings of a training, of stage 2 or 3."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from common.recipe.section import Precision, Section


class Plateau(Section):
    """``torch.optim.lr_scheduler.ReduceLROnPlateau`` on the validation split's CCC or weighted F1."""

    factor: float = Field(0.1, gt=0, lt=1)
    patience: int = Field(5, ge=0)


class Training(Section):
    """What ``transformers.Trainer`` is told."""

    # Gradient checkpointing takes less memory and more time to the same numbers.
    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset({"workers", "gradient_checkpointing"})

    select_on: Literal["validation"] = Field(
        "validation", description="the split whose CCC, or weighted F1, selects the epoch"
    )
    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    batch_size: int = Field(16, ge=1)
    accumulate: int = Field(1, ge=1, description="batches whose gradients are added up before a step")
    epochs: int = Field(100, ge=1)
    plateau: Plateau | None = Plateau()
    early_stop_epochs: int | None = Field(10, ge=1)
    clip_norm: float | None = Field(1.0, gt=0)
    warmup_steps: int = Field(0, ge=0, description="steps over which the learning rate rises to its value")
    loss: Literal["mse", "ccc", "mse+ccc", "cross-entropy", "focal"] = Field(
        "mse", description="of valence and arousal, or (the last two) of emotion classes"
    )
    ccc_weight: float = Field(0.1, gt=0, description="weight of 1 - CCC in mse+ccc")
    focal_gamma: float = Field(2.0, ge=0, description="how much less what is predicted well counts, in focal")
    class_weights: float = Field(
        0.0, ge=0, le=1, description="exponent of N / (K n_c), by which a row of a class counts; 1: classes count alike"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    sampling: Literal["natural", "balanced"] = Field(
        "natural", description="balanced: training windows are drawn so that each class comes equally often"
    )
    gradient_checkpointing: bool = Field(False, description="compute activations twice instead of keeping them")
    precision: Precision = "float32"
    workers: int = Field(0, ge=0)

    @field_validator("select_on", mode="before")
    @classmethod
    def _never_on_what_is_scored(cls, value: Any) -> Any:
        if value == "test":
            raise ValueError("the test split gives the score, once; what is selected on it is no score. Use validation")
        return value

    @property
    def categorical(self) -> bool:
        """Is the loss one of emotion classes, not of valence and arousal?"""
        return self.loss in ("cross-entropy", "focal")

    @model_validator(mode="after")
    def _classes_need_a_loss_of_classes(self) -> Training:
        asked = {"class_weights": 0.0, "label_smoothing": 0.0, "sampling": "natural"}
        for name, neutral in asked.items():
            if not self.categorical and getattr(self, name) != neutral:
                raise ValueError(f"{name} is for emotion classes; loss: {self.loss} is of valence and arousal")
        return self
