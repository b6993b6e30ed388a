"""Recipes: found by name or path, validated with all faults at once, fingerprinted by what shapes a result."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from common.errors import RecipeError
from common.recipe import RECIPES, Recipe, Training, fingerprint, load_recipe


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_project_validates(path: Path) -> None:
    assert load_recipe(path.stem) == load_recipe(str(path))


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"no recipe called 'dmeo'.*Known: .*demo"):
        load_recipe("dmeo")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="There is no recipe at .*mine.yaml"):
        load_recipe(str(tmp_path / "mine.yaml"))


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    values = yaml.safe_load((RECIPES / "demo.yaml").read_text())
    values["stage2"]["windoww"] = {}
    values["stage2"]["training"]["learning_rate"] = -1
    del values["stage1"]["text"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    message = str(caught.value)
    assert "3 fault(s)" in message
    assert "stage2.windoww: isn't a setting" in message
    assert "stage2.training.learning_rate" in message and "-1" in message
    assert "stage1.text: is required" in message


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n", ""])
def test_what_is_not_yaml_settings_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"mine.yaml (isn't valid YAML|holds)"):
        load_recipe(str(path))


def test_overrides_replace_single_values() -> None:
    recipe = load_recipe("demo", ("stage2.window.frames=64", "stage2.training.learning_rate=1e-4", "seed=3"))
    assert (recipe.stage2.window.frames, recipe.stage2.training.learning_rate, recipe.seed) == (64, 1e-4, 3)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("stage2.window.frames", "isn't of the form"),
        ("stage2.window.frames.x=1", "is a value, not a section"),
        ("stage2.nope=1", "stage2.nope: isn't a setting"),
        ("stage2.window.hop_frames=500", "larger than frames"),
        ("stage3.head.pool_frames=4", "odd number of frames, not 4"),
        ("stage2.modalities=[visual, visual]", "at most once"),
        ("stage2.fusion={block: bare, beit_model: x/y}", "need block: beit"),
    ],
)
def test_overrides_that_do_not_fit_are_refused(override: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        load_recipe("demo", (override,))


def test_fingerprints_follow_content_alone() -> None:
    assert fingerprint({"a": 1, "b": 2.0}) == fingerprint({"b": 2.0, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert len(fingerprint("x")) == 16


def test_settings_that_only_change_the_speed_shape_nothing() -> None:
    assert Training(workers=0).shaping() == Training(workers=4).shaping()
    assert Training(batch_size=8).shaping() != Training(batch_size=16).shaping()
    slow, fast = (load_recipe("demo", (f"stage1.visual.batch_size={n}",)) for n in (8, 64))
    assert slow.stage1.shaping() == fast.stage1.shaping()
    one, four = (load_recipe("demo", (f"stage2.training.workers={n}",)) for n in (0, 4))
    assert one.stage2.shaping() == four.stage2.shaping()


def test_a_saved_recipe_is_the_same_recipe(tmp_path: Path) -> None:
    recipe = load_recipe("demo")
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    assert load_recipe(str(path)) == recipe
    assert isinstance(recipe, Recipe)


def test_selecting_on_test_is_refused() -> None:
    for stage in ("stage2", "stage3"):
        with pytest.raises(RecipeError, match="the test split gives the score, once"):
            load_recipe("demo", (f"{stage}.training.select_on=test",))


def test_another_model_drops_the_old_ones_revision(tmp_path: Path) -> None:
    text = "stage1.text"
    assert load_recipe("maven", (f"{text}.model=/models/minilm",)).stage1.text.revision is None
    both = (f"{text}.revision={'a' * 40}", f"{text}.model=some/model")
    assert load_recipe("maven", both).stage1.text.revision == "a" * 40
    assert load_recipe("maven", ("stage2.fusion.beit_model=other",)).stage2.fusion.beit_revision is None
    (tmp_path / "mine.yaml").write_text("base: maven\nname: mine\nstage1: {text: {model: /models/minilm}}\n")
    recipe = load_recipe(str(tmp_path / "mine.yaml"))
    assert recipe.stage1.text.revision is None and recipe.stage1.visual.revision is not None
