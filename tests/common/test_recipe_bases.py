"""A recipe laid over its base, and overrides over both."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from common.errors import RecipeError
from common.recipe import load_recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three recipes, each on the one before: demo, low, high."""
    low = {"base": "demo", "name": "low", "stage2": {"modalities": ["text"], "training": {"epochs": 3}}}
    (tmp_path / "low.yaml").write_text(yaml.safe_dump(low))
    (tmp_path / "high").mkdir()
    text = "base: ../low.yaml\nname: high\nstage2: {training: {plateau: null, learning_rate: 0.5}, modalities: [audio]}"
    (tmp_path / "high" / "high.yaml").write_text(text)
    return tmp_path


def test_a_recipe_with_a_base_says_only_what_differs(folder: Path) -> None:
    demo, high = load_recipe("demo"), load_recipe(str(folder / "high" / "high.yaml"))
    changes = {"epochs": 3, "plateau": None, "learning_rate": 0.5}
    expected = demo.model_dump() | {"name": "high"}
    expected["stage2"] |= {"modalities": ("audio",), "training": demo.stage2.training.model_dump() | changes}
    assert high.model_dump() == expected


def test_a_section_replaces_a_value_below_it(folder: Path) -> None:
    top = folder / "top.yaml"
    top.write_text("base: high/high.yaml\nname: top\nstage2: {training: {plateau: {factor: 0.25}}}")
    plateau = load_recipe(str(top)).stage2.training.plateau
    assert plateau is not None and (plateau.factor, plateau.patience) == (0.25, 5)


def test_an_override_lies_above_all_bases_and_changes_one_place(folder: Path) -> None:
    path = folder / "shared.yaml"
    path.write_text(
        "base: demo\nname: s\nstage2: {training: &t {epochs: 9, plateau: {factor: 0.5}}}\nstage3: {training: *t}"
    )
    recipe = load_recipe(str(path), ("stage2.training.plateau.factor=0.75", "stage2.training.epochs=4"))
    assert [s.training.epochs for s in (recipe.stage2, recipe.stage3)] == [4, 9]
    assert [s.training.plateau.factor for s in (recipe.stage2, recipe.stage3) if s.training.plateau] == [0.75, 0.5]


def test_faults_name_the_file_and_its_bases(folder: Path) -> None:
    (folder / "low.yaml").write_text("base: demo\nname: low\nstage2: {windoww: {}}")
    with pytest.raises(RecipeError, match=r"high.yaml on .*low.yaml on .*demo.yaml has 1 fault.*\n *stage2.windoww"):
        load_recipe(str(folder / "high" / "high.yaml"))


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("nope", r"mine.yaml has the base 'nope'\. There is no recipe called 'nope'.*Known: .*maven"),
        ("./nope.yaml", r"mine.yaml has the base './nope.yaml'\. There is no recipe at .*nope.yaml"),
        ("mine.yaml", r"is its own base: .*mine.yaml -> .*mine.yaml"),
        ("high/other.yaml", r"is its own base: .*mine.yaml -> .*other.yaml -> .*mine.yaml\. Remove one"),
        ("[demo, maven]", r"mine.yaml: base is \['demo', 'maven'\]\. It is a recipe's name"),
    ],
)
def test_bases_that_lead_nowhere_are_named(folder: Path, base: str, says: str) -> None:
    path = folder / "mine.yaml"
    path.write_text(f"base: {base}\nname: mine\n")
    (folder / "high" / "other.yaml").write_text("base: ../mine.yaml\nname: other\n")
    with pytest.raises(RecipeError, match=says):
        load_recipe(str(path))


def test_an_override_is_no_base() -> None:
    with pytest.raises(RecipeError, match="base: isn't a setting"):
        load_recipe("demo", ("base=maven",))
