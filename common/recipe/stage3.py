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
    dropout: float = Field(0.2, ge=0, lt=1)
    pool_frames: int | Literal["clip"] = Field(1, description="width of the centred pooling window (eq. 26)")

    @field_validator("pool_frames")
    @classmethod
    def _odd(cls, value: int | str) -> int | str:
        if isinstance(value, int) and (value < 1 or value % 2 == 0):
            raise ValueError(f"a centred window has an odd number of frames, not {value}")
        return value


class Smoothing(Section):
    """A filter over the predictions of a clip."""

    kind: Literal["none", "box", "savitzky-golay", "best"] = Field(
        "none", description="best: the kind and the width with the best validation CCC, none included"
    )
    frames: tuple[int, ...] = Field((5, 15, 31, 61), description="widths to choose from, odd numbers of frames")

    @field_validator("frames")
    @classmethod
    def _odd(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        for value in values:
            if value < 5 or value % 2 == 0:
                raise ValueError(f"a width is an odd number of frames from 5, not {value}")
        if not values:
            raise ValueError("name at least one width")
        return values


class Stage3(Section):
    head: Head = Head()
    smoothing: Smoothing = Smoothing()
    training: Training = Training()
