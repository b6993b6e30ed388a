"""Recipes, their bases, overrides of the command line, and the other short texts that a command line takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from common.patterns import fitting
from common.recipe import Recipe, fingerprint, load_recipe
from stage1_embeddings.selection import read_shard
from tests.fuzz.changes import changed_file, changed_text
from tests.fuzz.target import Target, from_file

WHOLE = """name: fuzzed
seed: 7
stage1:
  faces: {detector: haar, crops_rate_hz: 25.0}
  visual: {model: miniature, revision: abc}
  audio: &sound {model: miniature}
  speech: {recogniser: none}
  text: {model: miniature, alignment: words}
stage2:
  modalities: [visual, audio]
  fusion: {d_k: 32, dropout: 0.5}
  training: {learning_rate: 1.0e-3, epochs: 30, plateau: {factor: 0.5, patience: 3}}
stage3:
  head: {d1: 128, pool_frames: 15}
  smoothing: {kind: box, widths_s: [0.2, 0.5]}
"""
BASED = (
    "base: demo\nname: based\nstage2:\n  fusion: {kind: six-path, d_k: 16}\nstage1: {visual: {model: other/model}}\n"
)
LAUGHS = "[&a [x, x, x, x, x, x, x, x, x], " + ", ".join(
    f"&{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
) + "]"  # fmt: skip
MAPS = "[&a {x: 1}, " + ", ".join(
    f"&{name} {{{', '.join(f'{key}: *{before}' for key in range(9))}}}"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
) + "]"  # fmt: skip
YAML = (
    "&x [*x]", "&x {stage2: *x}", "*sound", "*nowhere", LAUGHS, MAPS, "!!python/object/apply:os.system [ls]",
    "!!timestamp x",
    "!!int x", "!!float x", "!!bool x", "!!binary x", "!!set {a}", "!!omap [a]", "!!pairs [a]", "2024-13-99",
    "2024-01-01",
    "2024-01-01 99:99:99", "<<: *sound", "<<: 1", "? [a]", "? {a: b}", "1:99", "190:20:30.15", "0x", "0b", "0b1",
    ".nan",
    ".inf", "-.inf", "|", ">", "---", "...", "%YAML 9.9", "base: demo", "base: nowhere", "base: ../x",
    "base: recipe.yaml",
    f"base: {'y' * 5000}", 'base: "a\\0b.yaml"', 'base: "\\ud800/x"', '"\\ud800"', '"\\0"', "[" * 300, "{a: " * 3000,
    "- " * 3000, "test", "mse", "focal", "text-guided", "savitzky-golay", "clip", "none", "stage2", "seed: 1",
    "name: x",
)  # fmt: skip
SETTINGS = (
    "stage2.window.frames=64", "stage2.fusion.kind=text-guided", "stage3.smoothing.widths_s=[0.5]", "seed=1",
    "name=other",
    "stage1.visual.model=a/b", "stage2.window={frames: 16, hop_frames: 8}",
)  # fmt: skip


def holds(recipe: Recipe) -> None:
    """Every number is finite, and the fingerprint that names a cache can be made."""
    _finite(recipe.model_dump(mode="json"))
    assert len(fingerprint(recipe.shaping())) == 16
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def _finite(value: Any) -> None:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _finite(one)
    elif isinstance(value, float | int):
        assert math.isfinite(value) and abs(value) < 1e300, value
        assert not isinstance(value, int) or abs(value) < 2**63, value
    elif isinstance(value, str):
        value.encode()


def _set(overrides: list[str], folder: Path) -> Recipe:
    return load_recipe("demo", tuple(overrides))


def _fitting(patterns: list[str], folder: Path) -> list[str]:
    return fitting(CLIPS, patterns, "--only")


CLIPS = [*(f"talk{number}" for number in range(8)), "dia[0]_utt1", "train_dia12", "ß*"]

TARGETS = (
    Target(
        "recipe",
        changed_file(WHOLE, BASED, odd=YAML),
        from_file("recipe.yaml", lambda path: load_recipe(str(path))),
        holds,
        file="recipe.yaml",
    ),
    Target("--set", st.lists(changed_text(*SETTINGS, odd=(*YAML, "=", ".", "stage1", "..")), max_size=3), _set, holds),
    Target("--recipe", changed_text("demo", "recipes/demo.yaml", "meld"), lambda text, _: load_recipe(text), holds),
    Target(
        "--shard",
        changed_text("1/4", "4/4", "2/8", odd=("/", "4", "٤")),
        lambda text, _: (text, read_shard(text)),
        lambda found: _shard_holds(*found),
    ),
    Target(
        "--only",
        st.lists(
            changed_text("talk1", "talk*", "talk[0-3]", "*dia*", odd=("[", "]", "[!", "[z-a]", "*" * 200)), min_size=1
        ),
        _fitting,
        lambda found: _only_holds(found),
    ),
)


def _shard_holds(text: str, found: tuple[int, int]) -> None:
    part, parts = found
    assert 1 <= part <= parts and text.isascii() and f"{part}/{parts}" == text.replace("/0", "/").lstrip("0")


def _only_holds(found: list[str]) -> None:
    assert found and found == [name for name in CLIPS if name in found]
