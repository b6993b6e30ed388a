"""Studies below a run: shown while they are about it, left out with the reason when they no longer are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.files import write_json
from common.manifest import CachedClip, Manifest, write_manifest
from common.recipe import Recipe
from common.versions import code_versions
from stage3_mlp.report.studied import STUDIES, Study, about, identity, of_this_model, read_studies
from stage3_mlp.report.study_tables import left_out, study_tables

SCORE = {"valence": 0.4, "arousal": 0.2, "mean": 0.3}


def manifest_of(**contents: str) -> Manifest:
    splits = {"a": "train", "b": "validation", "c": "test"}
    clips = [
        CachedClip(name, split, f"{name}.mp4", 10, True, contents.get(name, f"of {name}"), name, f"session {name}")  # type: ignore[arg-type]
        for name, split in splits.items()
    ]
    return Manifest("films", "folder", "features", {}, {}, tuple(clips))


def with_studies(run: Path, recipe: dict[str, Any]) -> Path:
    """A run with every study, as the studies write them."""
    manifest, noted = manifest_of(), {"code_versions": code_versions()}
    write_manifest(run, manifest)
    whole = {**SCORE, "low": 0.1, "high": 0.5}
    shares = [{"modality": "text", "shapley": 0.3, "low": 0.1, "high": 0.4}]
    ablated = [{"modalities": "text", "seeds": 1, **whole, "spread": None}]
    write_json(
        run / "ablation" / "ablation.json",
        {"rows": ablated, "shapley": shares, "recipe": recipe, "about": about(manifest), **noted},
    )
    withheld = [{"there": "visual + text", "withheld": "nothing", **whole}]
    write_json(run / "missing" / "missing.json", {"rows": withheld, "recipe": recipe, "split": "test", **noted})
    write_manifest(run / "missing", replace(manifest, clips=manifest.clips[2:]))
    summary = {**whole, "spread": 0.01}
    by_seed = {"rows": [{"seed": 7, **SCORE}], "summary": summary, "recipe": recipe}
    write_json(run / "seeds" / "seeds.json", {**by_seed, **noted})
    write_manifest(run / "seeds" / "7", manifest)
    for kind, column, names in (("folds", "fold", ("0", "1")), ("sessions", "session", ("session a",))):
        rows = [*({column: name, **SCORE} for name in names), {column: "all", **SCORE}]
        write_json(run / kind / f"{kind}.json", {"rows": rows, **noted})
        write_json(run / kind / "metrics.json", {"recipe": recipe})
        for name in names:
            write_manifest(run / kind / name, manifest)
    return run


@pytest.fixture
def recipe(small_recipe: Recipe) -> dict[str, Any]:
    return small_recipe.model_dump(mode="json")


@pytest.fixture
def run(tmp_path: Path, recipe: dict[str, Any]) -> Path:
    return with_studies(tmp_path / "run", recipe)


def test_all_are_shown_of_the_run_as_it_is(run: Path, recipe: dict[str, Any]) -> None:
    found = read_studies(run, recipe)
    assert [study.kind for study in found] == list(STUDIES) and not any(study.outdated for study in found)
    tables = study_tables(of_this_model(found, SCORE))
    assert [table.title for table in tables] == [
        "Subsets of the modalities", "Shapley values", "Modalities withheld", "Seeds", "Folds", "Sessions"
    ]  # fmt: skip
    assert all(len(cells) == len(table.columns) - 1 for table in tables for _, _, cells in table.rows)
    assert [[name for main, name, _ in table.rows if main] for table in tables] == [
        ["text"], [], ["nothing"], ["all"], ["all"], ["all"]
    ]  # fmt: skip
    assert left_out(found) == []


def test_none_are_found_where_none_were_made(tmp_path: Path, recipe: dict[str, Any]) -> None:
    write_manifest(tmp_path, manifest_of())
    assert read_studies(tmp_path, recipe) == []


def test_speed_and_name_do_not_matter_settings_do(run: Path, recipe: dict[str, Any]) -> None:
    named = {**recipe, "name": "other", "stage2": {**recipe["stage2"]}}
    named["stage2"]["training"] = {**recipe["stage2"]["training"], "workers": 3}
    assert not any(study.outdated for study in read_studies(run, named))
    found = read_studies(run, {**recipe, "seed": recipe["seed"] + 1})
    assert {study.outdated for study in found} == {"it was made with other settings"}
    assert study_tables(found) == [] and len(left_out(found)) == len(STUDIES)
    assert left_out(found)[0].endswith("Make it again with make ablate.")


@pytest.mark.parametrize("kind", STUDIES)
@pytest.mark.parametrize("noted", [None, {**code_versions(), "fusion": 0}, {**code_versions(), "head": 0}])
def test_studies_of_other_code_are_outdated(
    run: Path, recipe: dict[str, Any], kind: str, noted: dict[str, int] | None
) -> None:
    path = run / kind / f"{kind}.json"
    found = json.loads(path.read_text())
    del found["code_versions"]
    write_json(path, found if noted is None else {**found, "code_versions": noted})
    outdated = [(study.kind, study.outdated) for study in read_studies(run, recipe) if study.outdated]
    assert outdated == [(kind, "it was made by another version of this program")]


@pytest.mark.parametrize(
    ("clip", "kinds"),
    [("a", set(STUDIES) - {"missing"}), ("c", set(STUDIES))],
)
def test_other_features_make_them_outdated(run: Path, recipe: dict[str, Any], clip: str, kinds: set[str]) -> None:
    write_manifest(run, manifest_of(**{clip: "changed"}))
    found = read_studies(run, recipe)
    assert {study.kind for study in found if study.outdated} == kinds


def test_folds_may_move_clips_and_sessions_splits(run: Path, recipe: dict[str, Any]) -> None:
    manifest = manifest_of()
    clips = manifest.clips
    moved = (replace(clips[0], split="validation"), replace(clips[1], split="train"), clips[2])
    write_manifest(run / "folds" / "0", replace(manifest, clips=moved))
    turned = (replace(clips[0], split="test"), replace(clips[1], split="train"), replace(clips[2], split="validation"))
    write_manifest(run / "sessions" / "session a", replace(manifest, clips=turned))
    assert not any(study.outdated for study in read_studies(run, recipe))
    write_manifest(run / "folds" / "1", replace(manifest, clips=turned))
    assert [study.kind for study in read_studies(run, recipe) if study.outdated] == ["folds"]


@pytest.mark.parametrize("score", [{**SCORE, "mean": 0.31}, {**SCORE, "mean": None}])
def test_withheld_modalities_of_another_model_are_left_out(
    run: Path, recipe: dict[str, Any], score: dict[str, float | None]
) -> None:
    found = of_this_model(read_studies(run, recipe), score)
    assert [study.kind for study in found if study.outdated] == ["missing"]
    assert "not the one that is scored" in left_out(found)[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("no JSON"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text(json.dumps({"rows": [1]})),
        lambda path: path.write_text(json.dumps({"rows": [], "recipe": {"stage2": 1}})),
        lambda path: path.write_text(json.dumps({"rows": None})),
    ],
)
@pytest.mark.parametrize("kind", STUDIES)
def test_files_that_cannot_be_read_are_left_out(
    run: Path, recipe: dict[str, Any], kind: str, damage: Callable[[Path], object]
) -> None:
    damage(run / kind / f"{kind}.json")
    found = read_studies(run, recipe)
    assert [study.kind for study in found if study.outdated] == [kind]


def test_the_identity_is_of_all_that_is_shown(run: Path, recipe: dict[str, Any]) -> None:
    found = read_studies(run, recipe)
    assert identity(found) == identity(read_studies(run, recipe))
    others = [found[:-1], [*found[:-1], replace(found[-1], outdated="x")], [Study("seeds", [{"seed": 8, **SCORE}])], []]
    assert len({identity(studies) for studies in (found, *others)}) == 5
