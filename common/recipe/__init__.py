"""One recipe is one experiment: every setting of the three stages, typed, validated together, fingerprinted.

A recipe is YAML (``recipes/*.yaml``); one that says ``base: maven`` holds only what differs from that recipe, and
``--set stage2.window.frames=64`` overrides single values. Whatever shapes a result is part of its fingerprint;
whatever only changes the speed (batch size of a frozen encoder, worker processes) is listed in ``SPEED_ONLY`` of its
section and is not.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from common.errors import RecipeError
from common.outside_text import is_file, shortened, yaml_of
from common.reasons import in_a_line
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

#: Another model is not at the old one's commit.
REVISION_OF = {"model": "revision", "beit_model": "beit_revision"}

#: So many faults are listed.
_NAMED = 50

RECIPES = Path(__file__).resolve().parent.parent.parent / "recipes"


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
    layers = _layers(_find(name_or_path))
    values: dict[str, Any] = {}
    for layer in reversed(layers.values()):
        values = _laid_over(values, layer)
    given = {override.partition("=")[0] for override in overrides}
    for override in overrides:
        _apply(values, override, given)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        files = " on ".join(map(str, layers))
        raise RecipeError(_all_faults(files, error), "Correct these keys, or the --set that gave them.") from error


def fingerprint(*parts: Any) -> str:
    """Sixteen hex digits of the SHA-256 of ``parts`` as canonical JSON, with the schema version.

    Equal settings give an equal fingerprint on every machine; any change of any value gives another.
    """
    text = json.dumps([SCHEMA_VERSION, *parts], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _layers(path: Path) -> dict[Path, dict[str, Any]]:
    """The settings of a recipe file, of its base, of that one's base, and so on, by their files, without ``base``."""
    layers: dict[Path, dict[str, Any]] = {}
    while path.resolve() not in (known.resolve() for known in layers):
        values = _read(path)
        base = values.pop("base", None)
        layers[path] = values
        if base is None:
            return layers
        path = _find_base(path, base)
    chain = " -> ".join(map(str, (*layers, path)))
    raise RecipeError(f"A recipe is its own base: {chain}.", "Remove one of these `base:` lines.")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml_of(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise RecipeError(f"{path} isn't valid YAML: {error}.", "Correct it there.") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} holds {type(values).__name__}, not settings.", "Start from recipes/demo.yaml.")
    return values


def _find_base(path: Path, base: Any) -> Path:
    if not isinstance(base, str):
        raise RecipeError(
            f"{path}: base is {shortened(base)}.", "It is a recipe's name, or the path of one from this file."
        )
    try:
        return _find(str(path.parent / base) if _is_path(base) else base)
    except RecipeError as error:
        raise RecipeError(f"{path} has the base {shortened(base)}. {error.problem}", error.cure) from error


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """``above``'s values in place of ``below``'s; where both are sections, key by key.

    Each section of ``above`` is copied: YAML aliases are one object, and an override is to change one place.
    """
    values = dict(below)
    for key, value in above.items():
        if isinstance(value, dict):
            under = below.get(key)
            value = _laid_over(under if isinstance(under, dict) and not _other_kind(key, under, value) else {}, value)
        values[key] = value
        if (revision := REVISION_OF.get(key)) and revision not in above:
            values.pop(revision, None)
    return values


def _other_kind(section: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Do these settings of a fusion have nothing in common but their place?"""
    kind = one.get("kind", "six-path")
    return section == "fusion" and other.get("kind", kind) != kind


def _is_path(name_or_path: str) -> bool:
    return Path(name_or_path).suffix in {".yaml", ".yml"} or "/" in name_or_path


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if _is_path(name_or_path):
        if is_file(path):
            return path
        raise RecipeError(f"There is no recipe at {in_a_line(path)}.", f"Known by name: {_known()}.")
    if is_file(RECIPES / f"{name_or_path}.yaml"):
        return RECIPES / f"{name_or_path}.yaml"
    raise RecipeError(
        f"There is no recipe called {shortened(name_or_path)}.",
        f"Known: {_known()}; or give the path of a .yaml file.",
    )


def _known() -> str:
    return ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))


def _apply(values: dict[str, Any], override: str, given: set[str]) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(
            f"--set {shortened(override)} isn't of the form key.path=value.", "As in stage2.window.frames=64."
        )
    *folders, last = key.split(".")
    for folder in folders:
        values = values.setdefault(folder, {})
        if not isinstance(values, dict):
            raise RecipeError(
                f"--set {shortened(override)}: {shortened(folder)} is a value, not a section.", "Check the key's path."
            )
    try:
        value = yaml_of(text)
        if last == "kind" and folders and _other_kind(folders[-1], values, {"kind": value}):
            values.clear()
        values[last] = value
        if (revision := REVISION_OF.get(last)) and ".".join([*folders, revision]) not in given:
            values.pop(revision, None)
    except ValueError as error:
        raise RecipeError(f"--set {shortened(override)}: the value isn't valid YAML.", "Put it in quotes.") from error


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
