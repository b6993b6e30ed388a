"""The page of a run, and of its test, over real runs: after each stage, after a study, and when something is gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from common.files import write_json
from stage3_mlp.cli import main as stage3
from studies.cli import main as studies
from tests.conftest import SMALL
from tests.integration.chain import Chain


@pytest.fixture
def chain(finished: Chain, tmp_path: Path) -> Chain:
    """A finished run of its own, over the cache that all share."""
    shutil.copytree(finished.run, tmp_path / "run")
    shutil.copytree(finished.cache, tmp_path / "cache")
    return Chain(finished.data, tmp_path / "cache", tmp_path / "run")


def places(chain: Chain) -> list[str]:
    return ["--cache", str(chain.cache), "--run", str(chain.run), "--device", "cpu"]


def report(chain: Chain) -> Result:
    result = CliRunner().invoke(stage3, ["report", *places(chain)])
    assert result.exit_code == 0, result.output
    assert (chain.run / "report.html").is_file()
    return result


def page(chain: Chain) -> str:
    return (chain.run / "test" / "report.html").read_text(encoding="utf-8")


def test_a_finished_run_lacks_nothing_and_each_stage_taken_away_is_missed(chain: Chain) -> None:
    before = {path: path.read_bytes() for path in chain.run.rglob("*") if path.is_file()}
    assert "Nothing is missing." in report(chain).output
    assert {path: path.read_bytes() for path in before} == before
    shutil.rmtree(chain.run / "test")
    assert "trained but not scored" in report(chain).output
    shutil.rmtree(chain.run / "head")
    assert "Stage 3 is not trained" in report(chain).output
    assert chain.test().exit_code == 1 and not (chain.run / "test").exists()
    shutil.rmtree(chain.run / "fused")
    assert "not exported" in report(chain).output
    shutil.rmtree(chain.run / "fusion")
    assert "Stage 2 is not trained" in report(chain).output


def test_a_study_made_after_the_test_is_shown_by_the_next_test(chain: Chain) -> None:
    assert "Modalities withheld" not in page(chain) and "None has been made of this run" in page(chain)
    done = CliRunner().invoke(studies, ["missing", *places(chain)])
    assert done.exit_code == 0, done.output
    assert "from before a study" in report(chain).output
    assert "nothing to do" not in chain.test().output
    assert "Modalities withheld" in page(chain)
    assert "nothing to do" in chain.test().output and "Nothing is missing." in report(chain).output
    metrics = chain.metrics()
    assert not any("other model" in remark for remark in metrics["remarks"])  # the same model, scored again


def test_studies_of_seeds_and_folds_are_shown_until_settings_change(chain: Chain) -> None:
    sets = [part for setting in (*SMALL, "folds=2") for part in ("--set", setting)]
    for arguments in (["seeds", "--seeds", "1"], ["folds"]):
        done = CliRunner().invoke(studies, [*arguments, "--recipe", "demo", *sets, *places(chain)])
        assert done.exit_code == 0, done.output
    assert chain.test().exit_code == 0
    assert "<h3>Seeds</h3>" in page(chain) and "<h3>Folds</h3>" in page(chain)
    other = "stage3.training.epochs=1"
    assert chain.train_mlp(other).exit_code == 0 and chain.test().exit_code == 0
    assert "<h3>Seeds</h3>" not in page(chain) and "<h3>Folds</h3>" not in page(chain)
    assert page(chain).count("it was made with other settings") == 2


def test_a_score_of_an_earlier_head_is_not_taken_for_this_ones(chain: Chain) -> None:
    record = json.loads((chain.run / "head" / "record.json").read_text())
    (chain.run / "head" / "record.json").write_text(json.dumps({**record, "weights_sha256": "0" * 64}))
    assert "The score is of an earlier state of the run" in report(chain).output


def test_a_fusion_trained_anew_and_not_exported_is_missed(chain: Chain) -> None:
    assert chain.train_beit("stage2.training.learning_rate=0.0007").exit_code == 0
    output = report(chain).output
    assert "are of an earlier state of the run" in output and "Nothing is missing." not in output
    assert chain.export().exit_code == 0
    assert "are of an earlier state of the run" not in report(chain).output
    assert chain.train_mlp().exit_code == 0 and chain.test().exit_code == 0
    assert "Nothing is missing." in report(chain).output


def test_features_made_anew_and_not_exported_are_missed(chain: Chain) -> None:
    assert chain.embeddings("stage1.text.alignment=interpolate").exit_code == 0
    assert "are of an earlier state of the run" in report(chain).output


@pytest.mark.parametrize(("part", "train"), [("fusion", Chain.train_beit), ("head", Chain.train_mlp)])
def test_what_other_settings_left_is_gone_when_a_training_is_there_already(
    chain: Chain, part: str, train: Callable[[Chain], Result]
) -> None:
    left = chain.run / "checkpoints" / f"{part}-other" / "checkpoint-9"
    write_json(left / "trainer_state.json", {"epoch": 3.0, "num_train_epochs": 30, "log_history": []})
    assert "after epoch 3 of at most 30" in report(chain).output
    assert "nothing to do" in train(chain).output
    assert "Nothing is missing." in report(chain).output and not left.exists()


def test_a_record_of_another_version_is_an_error_with_a_cure(chain: Chain) -> None:
    record = json.loads((chain.run / "head" / "record.json").read_text())
    (chain.run / "head" / "record.json").write_text(json.dumps({**record, "recipe": {"name": "old"}}))
    result = chain.test()
    assert result.exit_code == 1 and "was trained by another version" in result.output
