"""Settings of a training, of stage 2 or 3."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from common.recipe.section import Precision, Section


class Plateau(Section):
    """``torch.optim.lr_scheduler.ReduceLROnPlateau`` on the validation CCC."""

    factor: float = Field(0.1, gt=0, lt=1)
    patience: int = Field(5, ge=0)


class Training(Section):
    """What ``transformers.Trainer`` is told."""

    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset({"workers"})

    select_on: Literal["validation"] = Field("validation", description="the split whose CCC selects the epoch")
    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    batch_size: int = Field(16, ge=1)
    accumulate: int = Field(1, ge=1, description="batches whose gradients are added up before a step")
    epochs: int = Field(100, ge=1)
    plateau: Plateau | None = Plateau()
    early_stop_epochs: int | None = Field(10, ge=1)
    clip_norm: float | None = Field(1.0, gt=0)
    loss: Literal["mse", "ccc", "mse+ccc"] = "mse"
    ccc_weight: float = Field(0.1, gt=0, description="weight of 1 - CCC in mse+ccc")
    precision: Precision = "float32"
    workers: int = Field(0, ge=0)

    @field_validator("select_on", mode="before")
    @classmethod
    def _never_on_what_is_scored(cls, value: Any) -> Any:
        if value == "test":
            raise ValueError("the test split gives the score, once; what is selected on it is no score. Use validation")
        return value
