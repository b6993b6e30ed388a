"""Around the Trainer: which checkpoint is whole, what selects an epoch."""

from __future__ import annotations

import json
from pathlib import Path

from common.history import by_epoch
from common.training import last_checkpoint


def test_the_last_whole_checkpoint_is_found_and_halves_are_removed(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step in (2, 10, 30):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps({"step": step}))
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-30").exists()
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text('{"step"')
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def test_the_log_becomes_one_row_an_epoch() -> None:
    log = [
        {"epoch": 1.0, "loss": 0.5},
        {"epoch": 1.0, "eval_ccc_mean": 0.1},
        {"epoch": 2.0, "loss": 0.4},
        {"epoch": 2.0, "eval_ccc_mean": 0.2},
        {"epoch": 2.0, "train_runtime": 3.0},
    ]
    rows = by_epoch(log)
    assert [(row["epoch"], row["loss"], row["eval_ccc_mean"]) for row in rows] == [(1, 0.5, 0.1), (2, 0.4, 0.2)]
    assert by_epoch([{"epoch": 1.0, "eval_weighted_f1": 0.3}]) == [{"epoch": 1, "eval_weighted_f1": 0.3}]
