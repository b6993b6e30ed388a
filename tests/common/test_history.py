"""The epochs of a run's trainings: ended, stopped, begun again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from common.errors import CacheError
from common.history import history_so_far


def record(run: Path, stage: str, key: str, epochs: int) -> None:
    (run / stage).mkdir(parents=True, exist_ok=True)
    history = [{"epoch": epoch, "loss": 1.0} for epoch in range(1, epochs + 1)]
    (run / stage / "record.json").write_text(json.dumps({"fingerprint": key, "history": history}))


def checkpoint(run: Path, training: str, epochs: int, *, whole: bool = True, age_s: int = 0) -> Path:
    folder = run / "checkpoints" / training / f"checkpoint-{10 * epochs}"
    folder.mkdir(parents=True)
    if whole:
        log = [{"epoch": float(e), "loss": 2.0} for e in range(1, epochs + 1)]
        log += [{"epoch": float(e), "eval_loss": 3.0} for e in range(1, epochs + 1)]
        (folder / "trainer_state.json").write_text(json.dumps({"log_history": log}))
        time_s = 1_000_000 - age_s
        os.utime(folder / "trainer_state.json", (time_s, time_s))
    return folder


def epochs(run: Path) -> dict[str, int]:
    return {stage: len(rows) for stage, rows in history_so_far(run).items()}


def test_an_empty_run_has_no_history(tmp_path: Path) -> None:
    assert history_so_far(tmp_path / "none") == {}


def test_trainings_that_ended(tmp_path: Path) -> None:
    record(tmp_path, "head", "h", 3)
    record(tmp_path, "fusion", "f", 5)
    assert list(epochs(tmp_path).items()) == [("Stage 2", 5), ("Stage 3", 3)]


def test_a_head_whose_fusion_lies_elsewhere(tmp_path: Path) -> None:
    record(tmp_path, "head", "h", 3)
    assert epochs(tmp_path) == {"Stage 3": 3}


def test_a_training_that_was_stopped(tmp_path: Path) -> None:
    record(tmp_path, "fusion", "f", 5)
    checkpoint(tmp_path, "head-h", 1)
    checkpoint(tmp_path, "head-h", 2)
    half = checkpoint(tmp_path, "head-h", 3, whole=False)
    assert epochs(tmp_path) == {"Stage 2": 5, "Stage 3": 2}
    assert history_so_far(tmp_path)["Stage 3"][1] == {"epoch": 2, "loss": 2.0, "eval_loss": 3.0}
    assert half.is_dir(), "reading removes nothing: the training may be going on"


def test_a_stop_before_the_first_epoch(tmp_path: Path) -> None:
    record(tmp_path, "fusion", "f", 5)
    checkpoint(tmp_path, "head-h", 1, whole=False)
    assert epochs(tmp_path) == {"Stage 2": 5}


def test_a_fusion_trained_again_leaves_the_old_head_out(tmp_path: Path) -> None:
    record(tmp_path, "fusion", "old", 5)
    record(tmp_path, "head", "h", 3)
    checkpoint(tmp_path, "fusion-new", 2)
    assert epochs(tmp_path) == {"Stage 2": 2}


def test_what_a_kill_left_of_a_training_that_ended(tmp_path: Path) -> None:
    record(tmp_path, "fusion", "f", 5)
    record(tmp_path, "head", "h", 3)
    checkpoint(tmp_path, "fusion-f", 4)  # the best epoch's
    assert epochs(tmp_path) == {"Stage 2": 5, "Stage 3": 3}


def test_the_last_of_two_stopped_trainings_counts(tmp_path: Path) -> None:
    checkpoint(tmp_path, "fusion-a", 7, age_s=100)
    checkpoint(tmp_path, "fusion-b", 2)
    assert epochs(tmp_path) == {"Stage 2": 2}


def test_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    record(tmp_path, "fusion", "f", 5)
    (tmp_path / "fusion" / "record.json").write_text("{")
    with pytest.raises(CacheError, match=r"fusion/record\.json isn't JSON .*Delete"):
        history_so_far(tmp_path)
