"""What every group of settings is."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

Precision = Literal["float32", "bfloat16", "float16"]


class Section(BaseModel):
    """A frozen group of settings that refuses keys it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    #: Settings that change how fast a result comes, not what it is.
    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset()

    def shaping(self) -> dict[str, Any]:
        """Every setting of this section, and of those inside it, that shapes a result, as plain JSON values."""
        plain = self.model_dump(mode="json")
        kept = {key: getattr(self, key) for key in plain if key not in self.SPEED_ONLY}
        return {key: value.shaping() if isinstance(value, Section) else plain[key] for key, value in kept.items()}
