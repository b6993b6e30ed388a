"""From a recipe's name to its settings, not yet looked at: files laid over their bases, then single overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.errors import RecipeError
from common.outside_text import is_file, shortened, yaml_of
from common.reasons import in_a_line

#: Another model is not at the old one's commit.
REVISION_OF = {"model": "revision", "beit_model": "beit_revision"}

RECIPES = Path(__file__).resolve().parent.parent.parent / "recipes"


def read_layers(name_or_path: str, overrides: tuple[str, ...]) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """The settings of a recipe, and the files that they are from, each one before its base.

    Raises
    ------
    RecipeError
        If the file or a base can't be found or parsed, a recipe is its own base, or an override isn't one.
    """
    layers = _layers(_find(name_or_path))
    values: dict[str, Any] = {}
    for layer in reversed(layers.values()):
        values = _laid_over(values, layer)
    given = {override.partition("=")[0] for override in overrides}
    for override in overrides:
        _apply(values, override, given)
    return values, tuple(layers)


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
