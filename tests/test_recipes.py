"""The recipes of this project: the values their sources give, and each trained in miniature by the commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.recipe import RECIPES, Fusion, Recipe, TextGuided, load_recipe
from stage1_embeddings.cli import main as stage1
from stage2_beit.cli import main as stage2
from stage3_mlp.cli import main as stage3
from tests.integration.published_table import write_table

NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))

#: Recipes that the small corpus can't train, each with its reason.
NEEDS_ANOTHER_CORPUS = {"emobank": "its rows are sentences of a table, and its own test trains it"}

# What the sources say


def differences(recipe: Recipe, other: Recipe) -> dict[str, Any]:
    """Dotted keys of what ``recipe`` has otherwise than ``other``, name and summary aside."""

    def walk(ours: Any, theirs: Any, key: str) -> dict[str, Any]:
        if isinstance(ours, dict) and isinstance(theirs, dict):
            parts = [walk(ours[k], theirs[k], f"{key}.{k}".lstrip(".")) for k in ours]
            return {k: v for part in parts for k, v in part.items()}
        return {} if ours == theirs else {key: ours}

    found = walk(recipe.model_dump(mode="json"), other.model_dump(mode="json"), "")
    return {key: value for key, value in found.items() if key not in {"name", "summary"}}


def both(**settings: Any) -> dict[str, Any]:
    return {f"{stage}.training.{key}": value for stage in ("stage2", "stage3") for key, value in settings.items()}


NOTHING_MORE = {"plateau": None, "early_stop_epochs": None, "clip_norm": None}
README = {"optimiser": "adam", "learning_rate": 1e-3, "weight_decay": 1e-4, "epochs": 100}
DIFFERENCES = {
    "maven-paper-4.2": both(optimiser="adam", weight_decay=1e-3, **NOTHING_MORE),
    "maven-readme": both(**README),
    "maven-released": {
        **both(optimiser="adam", weight_decay=1e-4, epochs=100, loss="mse+ccc"),
        "stage2.fusion.pathway": "released",
        "stage2.fusion.attention": "beit",
        "stage2.fusion.arrangement": "parallel",
    },
    "moodx": {
        **both(optimiser="adam", weight_decay=1e-4, epochs=100, clip_norm=None),
        "stage2.training.batch_size": 8,
        "stage2.fusion.attention": "beit",
    },
    "maven-visual": {"stage2.modalities": ["visual"]},
    "maven-audio": {"stage2.modalities": ["audio"]},
    "maven-text": {"stage2.modalities": ["text"]},
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_published_variant_differs_from_maven_in_these_settings_and_no_other(name: str) -> None:
    assert differences(load_recipe(name), load_recipe("maven")) == DIFFERENCES[name]


def test_maven_is_what_the_paper_prints() -> None:
    """Sections 3.8 and 4.2; the schedule, which both leave open, is the README's."""
    recipe = load_recipe("maven")
    for training in (recipe.stage2.training, recipe.stage3.training):
        assert (training.optimiser, training.learning_rate, training.weight_decay) == ("adamw", 1e-4, 1e-2)
        assert training.plateau is not None and (training.plateau.factor, training.plateau.patience) == (0.1, 5)
        assert (training.early_stop_epochs, training.clip_norm, training.loss) == (10, 1.0, "mse")
        assert training.epochs == 200
    assert recipe.stage2.training.batch_size == 16 and recipe.stage3.head.dropout == 0.2
    fusion = recipe.stage2.fusion
    assert (fusion.pathway, fusion.attention, fusion.arrangement, fusion.beit_layers) == (
        "paper",
        "additive",
        "series",
        2,
    )
    assert recipe.stage1.text.alignment == "interpolate" and recipe.stage1.faces.crop_px == 112


def test_the_released_loss_has_the_readmes_rate_and_a_weight_of_a_tenth() -> None:
    training = load_recipe("maven-released").stage2.training
    assert (training.learning_rate, training.ccc_weight, training.batch_size) == (1e-4, 0.1, 16)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_called_like_its_file_and_says_what_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.summary
    assert [other for other in NAMES if load_recipe(other).summary == recipe.summary] == [name]


# Each, trained in miniature

#: What makes a recipe small. It changes sizes and encoders, and leaves alone how the recipe fuses, trains and scores.
SMALLER = {
    "stage1.faces": "{detector: haar, detect_width_px: 192}",
    "stage1.visual": "{model: miniature}",
    "stage1.audio": "{model: miniature}",
    "stage1.text.model": "miniature",
    "stage1.text.revision": "null",
    "stage1.speech": "{recogniser: none}",
    "stage2.window": "{frames: 16, hop_frames: 8}",
    "stage2.fusion.d_k": "8",
    "stage2.fusion.heads": "2",
    "stage2.fusion.d_proj": "16",
    "stage2.fusion.beit_heads": "2",
    "stage2.training.epochs": "2",
    "stage3.head.d1": "8",
    "stage3.head.d2": "8",
    "stage3.training.epochs": "2",
}


@pytest.fixture(scope="module")
def cache(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all of them: what is computed for one recipe serves the next."""
    folder = tmp_path_factory.mktemp("recipes") / "cache"
    shutil.copytree(models, folder)
    return folder


@pytest.fixture(scope="module")
def miniature_beit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEiT checkpoint as wide as the miniature fusion."""
    import torch
    from transformers import BeitConfig, BeitModel

    settings = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
    folder = tmp_path_factory.mktemp("beit")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BeitModel(BeitConfig(**settings, image_size=8, patch_size=4)).save_pretrained(folder)
    return folder


def run_stages(name: str, overrides: Sequence[str], data: Path, cache: Path, run: Path) -> None:
    """A recipe through the three stages, by their commands."""
    recipe = ["--recipe", name, *(part for override in overrides for part in ("--set", override))]
    places = ["--cache", str(cache), "--run", str(run), "--device", "cpu"]
    for command, arguments in (
        (stage1, ["extract", "--workers", "0", "--data", str(data), *recipe]),
        (stage2, ["train", *recipe]),
        (stage2, ["export"]),
        (stage3, ["train", *recipe]),
        (stage3, ["test"]),
    ):
        result = CliRunner().invoke(command, [*arguments, *places])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_trains_in_miniature(
    name: str, corpus: Path, cache: Path, miniature_beit: Path, tmp_path: Path
) -> None:
    if name in NEEDS_ANOTHER_CORPUS or load_recipe(name).categorical:
        pytest.skip(f"{name}: {NEEDS_ANOTHER_CORPUS.get(name, 'its rows are utterances, see below')}")
    changes = dict(SMALLER)
    fusion = load_recipe(name).stage2.fusion
    assert isinstance(fusion, Fusion)
    if fusion.beit_model is not None:
        changes |= {"stage2.fusion.beit_model": str(miniature_beit), "stage2.fusion.beit_revision": "null"}
    overrides = tuple(f"{key}={value}" for key, value in changes.items())
    run = tmp_path / "run"
    run_stages(name, overrides, corpus, cache, run)

    used = load_recipe(name, overrides)
    for part in ("fusion", "head"):
        record = json.loads((run / part / "record.json").read_text())
        assert Recipe.model_validate(record["recipe"]) == used
    config = json.loads((run / "fusion" / "config.json").read_text())
    assert isinstance(used.stage2.fusion, Fusion)
    fusion = used.stage2.fusion
    assert (config["pathway"], config["attention"], config["arrangement"], config["loss"]) == (
        *(fusion.pathway, fusion.attention, fusion.arrangement),
        used.stage2.training.loss,
    )
    metrics = json.loads((run / "test" / "metrics.json").read_text())
    assert metrics["recipe"]["name"] == name and metrics["frames"] > 0
    assert all(-1 <= metrics["ccc"][key] <= 1 for key in ("valence", "arousal", "mean"))


# Recipes of emotion classes

SMALLER_FUSION = {
    "six-path": {"d_k": "8", "heads": "2", "d_proj": "16", "beit_heads": "2"},
    "text-guided": {"width": "16", "heads": "2", "branch": "8", "narrow_branch": "4"},
}


@pytest.mark.parametrize("name", [name for name in NAMES if load_recipe(name).categorical])
def test_every_recipe_of_classes_trains_in_miniature(name: str, cache: Path, tmp_path: Path) -> None:
    data = write_table(tmp_path / "table.csv", informed=True, dialogues_per_class=2, utterances=2)
    changes = {key: value for key, value in SMALLER.items() if not key.startswith(("stage2.", "stage3."))}
    changes |= {f"{stage}.training.epochs": "1" for stage in ("stage2", "stage3")}
    smaller = SMALLER_FUSION[load_recipe(name).stage2.fusion.kind]
    changes |= {f"stage2.fusion.{key}": value for key, value in smaller.items()}
    overrides = tuple(f"{key}={value}" for key, value in changes.items())
    run_stages(name, overrides, data, cache, tmp_path / "run")
    used = load_recipe(name, overrides)
    record = json.loads((tmp_path / "run" / "fusion" / "record.json").read_text())
    assert Recipe.model_validate(record["recipe"]) == used
    metrics = json.loads((tmp_path / "run" / "test" / "metrics.json").read_text())
    assert metrics["recipe"]["name"] == name and 0 <= metrics["weighted_f1"] <= 1


def test_the_published_classifiers_settings() -> None:
    meld, iemocap = (load_recipe(name) for name in ("meld-published", "iemocap-published"))
    for recipe in (meld, iemocap):
        fusion, training, head = recipe.stage2.fusion, recipe.stage2.training, recipe.stage3.classifier
        assert isinstance(fusion, TextGuided) and recipe.stage2.finetune_text and recipe.stage2.window.frames == 1
        assert (fusion.width, fusion.heads, fusion.branch, fusion.narrow_branch, fusion.dropout) == (
            512,
            8,
            256,
            128,
            0.3,
        )
        assert (head.hidden, head.dropout) == (256, 0.3)
        assert (training.optimiser, training.weight_decay, training.early_stop_epochs) == ("adamw", 1e-5, 5)
        assert (training.loss, training.focal_gamma, training.sampling) == ("focal", 2, "balanced")
        assert recipe.stage1.text.model == "google-bert/bert-base-uncased" and training.plateau is not None
    rates = [
        (r.stage2.training.learning_rate, r.stage2.training.batch_size, r.stage2.training.accumulate)
        for r in (meld, iemocap)
    ]
    assert rates == [(2e-5, 128, 2), (1e-5, 16, 4)]
    assert (meld.stage2.training.epochs, iemocap.stage2.training.epochs) == (30, 50)


def test_the_classifier_of_frozen_text_differs_in_its_training_alone() -> None:
    published, frozen = (load_recipe(name).model_dump() for name in ("meld-published", "meld"))
    for values in (published, frozen):
        for key in ("name", "summary"):
            values.pop(key)
        for key in ("training", "finetune_text"):
            values["stage2"].pop(key)
    assert published == frozen
