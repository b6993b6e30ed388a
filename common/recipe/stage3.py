"""Settings of stage 3: head, smoothing, training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from common.recipe.section import Section
from common.recipe.training import Training


class Head(Section):
    """Equations 26 to 31."""

    d1: int = Field(256, ge=1)
    d2: int = Field(128, ge=1)
    angle: Literal["radians", "direction"] = Field(
        "radians", description="as a number (eq. 29), or as the direction of a vector, which has no cut at pi"
    )
    dropout: float = Field(0.2, ge=0, lt=1)
    pool_frames: int | Literal["clip"] = Field(1, description="width of the centred pooling window (eq. 26)")

    @field_validator("pool_frames")
    @classmethod
    def _odd(cls, value: int | str) -> int | str:
        if isinstance(value, int) and (value < 1 or value % 2 == 0):
            raise ValueError(f"a centred window has an odd number of frames, not {value}")
        return value


class Classifier(Section):
    """The head on emotion classes, in place of the polar one: one hidden layer."""

    hidden: int = Field(256, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)


class Smoothing(Section):
    """A filter over the predictions of a clip."""

    kind: Literal["none", "box", "savitzky-golay", "best"] = Field(
        "none", description="best: none, or the kind and width that do best on the validation split"
    )
    widths_s: tuple[float, ...] = Field((0.2, 0.5, 1.0, 2.0), description="widths in seconds to choose from")

    @field_validator("widths_s")
    @classmethod
    def _positive(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not values or min(values) <= 0:
            raise ValueError(f"name at least one width, each above 0 s, not {list(values)}")
        return values


class Stage3(Section):
    head: Head = Head()
    classifier: Classifier = Classifier()
    smoothing: Smoothing = Smoothing()
    training: Training = Training()
