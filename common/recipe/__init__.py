"""One recipe is one experiment: every setting of the three stages, typed, validated together, fingerprinted.

A recipe is YAML (``recipes/*.yaml``); one that says ``base: maven`` holds only what differs from that recipe, and
``--set stage2.window.frames=64`` overrides single values. Whatever shapes a result is part of its fingerprint;
whatever only changes the speed (batch size of a frozen encoder, worker processes) is listed in ``SPEED_ONLY`` of its
section and is not.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import Field, ValidationError, model_validator

from common.errors import RecipeError
from common.outside_text import shortened
from common.reasons import in_a_line
from common.recipe.layers import RECIPES, read_layers
from common.recipe.section import Precision, Section
from common.recipe.stage1 import (
    LARGEST_CROP_PX,
    AudioEncoder,
    Decode,
    Encoder,
    Faces,
    Speech,
    Stage1,
    TextEncoder,
    VisualEncoder,
)
from common.recipe.stage2 import FUSIONS, Fusion, Stage2, TextGuided, Window
from common.recipe.stage3 import Classifier, Head, Smoothing, Stage3
from common.recipe.training import Plateau, Training
from common.schema import SCHEMA_VERSION

__all__ = [
    "LARGEST_CROP_PX",
    "RECIPES",
    "AudioEncoder",
    "Classifier",
    "Decode",
    "Encoder",
    "Faces",
    "Fusion",
    "Head",
    "Plateau",
    "Precision",
    "Recipe",
    "Section",
    "Smoothing",
    "Speech",
    "Stage1",
    "Stage2",
    "Stage3",
    "TextEncoder",
    "TextGuided",
    "Training",
    "VisualEncoder",
    "Window",
    "fingerprint",
    "load_recipe",
]

#: So many faults are listed.
_NAMED = 50


class Recipe(Section):
    """All settings of one experiment."""

    name: str = Field(pattern=r"^[\w][\w.+-]*$")
    summary: str = ""
    seed: int = Field(0, ge=0, lt=2**32)
    folds: int = Field(5, ge=2, description="parts of training and validation that `make folds` selects on in turn")
    stage1: Stage1
    stage2: Stage2 = Stage2()
    stage3: Stage3 = Stage3()

    @property
    def categorical(self) -> bool:
        """Is this about emotion classes, not about valence and arousal?"""
        return self.stage2.training.categorical

    @model_validator(mode="after")
    def _both_stages_are_about_the_same(self) -> Recipe:
        if self.stage3.training.categorical != self.categorical:
            raise ValueError(
                f"stage2.training.loss is {self.stage2.training.loss} and stage3.training.loss is "
                f"{self.stage3.training.loss}: one is of emotion classes, one of valence and arousal"
            )
        if self.categorical and self.stage3.smoothing.kind != "none":
            raise ValueError("stage3.smoothing is for valence and arousal; classes of utterances aren't smoothed")
        return self

    @model_validator(mode="after")
    def _there_is_a_text_encoder_to_train(self) -> Recipe:
        if self.stage2.finetune_text and self.stage1.text.model in ("none", "given"):
            raise ValueError(f"stage2.finetune_text trains stage1.text.model, which is {self.stage1.text.model}")
        return self


def load_recipe(name_or_path: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe by name (``demo``) or path, apply ``key.path=value`` overrides, and validate it.

    A file may name a ``base``: another recipe's name, or a path relative to the file. Its settings are laid over the
    base's, section by section; values and lists replace. Another model drops the old one's revision, another kind of
    fusion the old one's settings.

    Raises
    ------
    RecipeError
        If the file or a base can't be found or parsed, or a recipe is its own base; or, all at once, for every key
        that doesn't fit.
    """
    values, files = read_layers(name_or_path, overrides)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = _all_faults(" on ".join(map(str, files)), error)
        raise RecipeError(faults, "Correct these keys, or the --set that gave them.") from error


def fingerprint(*parts: Any) -> str:
    """Sixteen hex digits of the SHA-256 of ``parts`` as canonical JSON, with the schema version.

    Equal settings give an equal fingerprint on every machine; any change of any value gives another.
    """
    text = json.dumps([SCHEMA_VERSION, *parts], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _all_faults(files: str, error: ValidationError) -> str:
    lines = [f"{files} has {error.error_count()} fault(s):"]
    for fault in error.errors()[:_NAMED]:
        # A section that is one of several kinds has its kind among the keys.
        key = ".".join(str(part) for part in fault["loc"] if part not in FUSIONS) or "the recipe as a whole"
        hidden = fault["type"] in {"missing", "extra_forbidden"} or isinstance(fault["input"], dict)
        value = "" if hidden else f" (it is {shortened(fault['input'])})"
        message = {
            "extra_forbidden": "isn't a setting of this version",
            "missing": "is required",
        }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        lines.append(f"  {in_a_line(key, 80)}: {message}{value}")
    if error.error_count() > _NAMED:
        lines.append(f"  and {error.error_count() - _NAMED} more")
    return "\n".join(lines) + "\n"
