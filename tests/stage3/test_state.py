"""The page of a run in any state: what it says is missing, and that nothing in a run's folder breaks it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.errors import CacheError, UsageError
from common.files import write_json
from common.manifest import Failure, made_of, write_manifest
from common.recipe import Recipe, load_recipe
from stage3_mlp.cli import main
from stage3_mlp.report.state import state_of
from stage3_mlp.report.state_page import report
from stage3_mlp.trained import check_exported
from tests.conftest import SMALL
from tests.stage3.read_page import EVIL, Page
from tests.stage3.test_report import epochs, figures
from tests.stage3.test_studied import manifest_of, with_studies


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Stage 1 is done."""
    run = tmp_path / "runs" / EVIL
    write_manifest(run, manifest_of())
    (tmp_path / "cache" / "features").mkdir(parents=True)
    return run


def missing(run: Path) -> str:
    return " ".join(state_of(run, run.parent.parent / "cache").missing)


def page_of(run: Path) -> Page:
    said: list[str] = []
    path = report(run, run.parent.parent / "cache", said.append)
    assert path == run / "report.html" and said[-1] == f"Report: {path}"
    return Page(path)


def checkpoint(run: Path, part: str, step: int, rows: int, key: str = "abc") -> None:
    state = {"epoch": float(rows), "num_train_epochs": 60, "global_step": step, "log_history": epochs(rows)}
    write_json(run / "checkpoints" / f"{part}-{key}" / f"checkpoint-{step}" / "trainer_state.json", state)


def test_a_run_of_nothing_at_all(tmp_path: Path) -> None:
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    page = page_of(tmp_path / "runs" / "empty")
    for sentence in (
        "Stage 1 has not come to its end",
        "Stage 2 is not trained: `make train-beit`",
        "Stage 3 is not trained: `make train-mlp`",
        "There is no score",
        "Stage 1 has left no list of clips.",
        "There is no training history.",
    ):
        assert sentence in page.text
    with pytest.raises(UsageError, match="There is no run in .*none"):
        state_of(tmp_path / "none", tmp_path)
    assert not (tmp_path / "none").exists()


def test_clips_failures_and_encoders_are_listed_and_names_are_text(run: Path) -> None:
    manifest = replace(
        manifest_of(),
        failures=(Failure(EVIL, f"{EVIL} can't be decoded.", "Convert it."),),
        encoders={"visual": {"model": EVIL, "revision": "0123456789abcdef0123456789"}, "audio": {}},
        remarks=("LEAKING on purpose", "a remark"),
    )
    write_manifest(run, manifest)
    page = page_of(run)
    assert EVIL not in page.raw and page.row(EVIL) == [f"{EVIL} can't be decoded.", "Convert it."]
    assert page.row("visual") == [EVIL, "0123456789abcd…"] and page.row("audio")[0].startswith("—")
    assert page.row("train") == ["1", "1", "10"] and "1 of 4 clips could not be done" in page.text
    assert "notice loud" in page.raw and "a remark" in page.text


@pytest.mark.parametrize("damage", [lambda path: path.write_text("{"), lambda path: path.write_text('{"a": 1}')])
def test_a_broken_manifest_is_said(run: Path, damage: Callable[[Path], object]) -> None:
    damage(run / "manifest.json")
    assert "isn't a manifest of this program" in page_of(run).text


def test_splits_without_labels_and_features_that_are_gone_are_said(run: Path) -> None:
    manifest = manifest_of()
    write_manifest(run, replace(manifest, clips=tuple(replace(clip, labelled=False) for clip in manifest.clips)))
    (run.parent.parent / "cache" / "features").rmdir()
    for sentence in (
        "no labelled train clip, so there is nothing to train on",
        "no labelled validation clip, so there is nothing to select epochs on",
        "no labelled test or validation clip. A score needs labels.",
        "`make embeddings` computes them again",
    ):
        assert sentence in missing(run)


def test_a_stopped_training_shows_its_curves_so_far(run: Path) -> None:
    checkpoint(run, "fusion", 40, rows=2, key="old")
    checkpoint(run, "fusion", 60, rows=3)
    (run / "checkpoints" / "fusion-abc" / "checkpoint-80").mkdir()  # killed while it was written
    page = page_of(run)
    assert "training of stage 2 was stopped, or is going on, after epoch 3 of at most 60" in page.text
    assert "Stage 2 is not trained" not in page.text and "Stage 3 is not trained" in page.text
    assert len(page.of("img")) == 2 and "of 3, with a mean CCC of 0.300" in page.text


def test_the_sentence_and_the_curves_are_of_the_same_training(run: Path) -> None:
    checkpoint(run, "fusion", 80, rows=4, key="old")
    checkpoint(run, "fusion", 40, rows=2, key="new")
    old, new = (run / "checkpoints" / f"fusion-{key}" for key in ("old", "new"))
    os.utime(next(old.rglob("trainer_state.json")), (1_000, 1_000))
    os.utime(next(new.rglob("trainer_state.json")), (2_000, 2_000))
    page = page_of(run)
    assert "after epoch 2 of at most 60" in page.text and "of 2, with a mean CCC of 0.200" in page.text


def test_a_trained_fusion_without_export_and_of_other_clips(run: Path, small_recipe: Recipe) -> None:
    record = {"history": epochs(2), "fingerprint": "abc", "recipe": small_recipe.model_dump(mode="json")}
    write_json(run / "fusion" / "record.json", record)
    checkpoint(run, "fusion", 60, rows=3)  # of the training that has ended: no second one
    assert "are not exported" in missing(run) and "was stopped" not in missing(run)
    assert page_of(run).text.count("of 2, with a mean CCC of 0.200") == 1
    manifest = manifest_of()
    write_manifest(run / "fused", replace(manifest, clips=manifest.clips[:2]))
    assert "of other clips than those of stage 1" in missing(run)
    write_manifest(run / "fused", manifest)
    assert "refined features" not in missing(run), "an earlier version noted nothing of what they are made of"


def test_features_or_a_fusion_made_anew_and_not_exported(run: Path) -> None:
    write_json(run / "fusion" / "record.json", {"history": [], "fingerprint": "abc", "weights_sha256": "of now"})
    manifest = manifest_of()
    for features, weights, current in (
        (manifest, "of now", True),
        (manifest, "of before", False),
        (manifest_of(a="changed"), "of now", False),
    ):
        write_manifest(run / "fused", replace(manifest, made_of=made_of(features, weights)))
        assert ("are of an earlier state of the run" not in missing(run)) == current
        with nullcontext() if current else pytest.raises(CacheError, match=r"Run `make train-beit`"):
            check_exported(run)
    (run / "fusion" / "record.json").unlink()
    check_exported(run)  # a fusion that lies elsewhere


def test_withheld_modalities_are_not_shown_without_a_score_to_hold_them_against(run: Path) -> None:
    recipe = load_recipe("demo", SMALL).model_dump(mode="json")
    with_studies(run, recipe)
    write_json(run / "head" / "record.json", {"recipe": recipe, "history": []})
    page = page_of(run)
    assert "The study in missing/ is not shown: without a score of the run as it is" in page.text
    assert "Modalities withheld" not in page.text and "Subsets of the modalities" in page.text


def test_an_earlier_score_is_shown_and_called_so(run: Path) -> None:
    write_json(run / "test" / "metrics.json", figures({"c": 0.3}))
    (run / "test" / "report.html").write_text("")
    page = page_of(run)
    assert page.row("Test split") == ["0.457", "−0.123", "0.300", "0.500 to 0.500"]
    assert [link["href"] for link in page.of("a")] == ["test/report.html"]
    assert "1,000 draws of whole clips" in page.text
    assert "There is no score of the run as it is" in page.text
    (run / "test" / "report.html").unlink()
    assert not page_of(run).of("a")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"ccc": null}', '{"ccc": {}, "intervals": {}}'])
def test_a_broken_score_is_said(run: Path, text: str) -> None:
    (run / "test").mkdir()
    (run / "test" / "metrics.json").write_text(text)
    page = page_of(run)
    assert "is not as this version writes it" in page.text and "There is none." in page.text


@pytest.mark.parametrize("values", [{}, {"history": []}, {"history": [], "recipe": {}, "fingerprint": "x"}])
def test_records_of_another_version_do_not_stop_the_page(run: Path, values: dict[str, Any]) -> None:
    for part in ("fusion", "head"):
        write_json(run / part / "record.json", values)
    write_manifest(run / "fused", manifest_of())
    assert "The model in" in page_of(run).text


def test_broken_records_and_recipes_are_said(run: Path) -> None:
    (run / "fusion").mkdir()
    (run / "fusion" / "record.json").write_text("{")
    (run / "recipe.yaml").write_text("a: [")
    page = page_of(run)
    assert "fusion/record.json isn't JSON" in page.text and not page.of("pre")


def test_the_command_says_what_is_missing(run: Path) -> None:
    result = CliRunner().invoke(main, ["report", "--run", str(run), "--cache", str(run.parent.parent / "cache")])
    assert result.exit_code == 0 and "Stage 2 is not trained" in result.output and "report.html" in result.output
    none = CliRunner().invoke(main, ["report", "--run", str(run / "none")])
    assert none.exit_code == 2 and "There is no run in" in none.output
