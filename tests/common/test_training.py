"""Around the Trainer: which checkpoint is whole, what selects an epoch."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import TrainingError
from common.metrics import ccc
from common.training import _by_epoch, _pooled_ccc, last_checkpoint


def outputs(prediction: np.ndarray, labels: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(predictions=prediction, label_ids=labels)


def test_validation_is_pooled_over_windows_and_masked() -> None:
    rng = np.random.default_rng(0)
    prediction, labels = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5, 2))
    labels[0, 3:] = np.nan
    valid = np.isfinite(labels[..., 0])
    found = _pooled_ccc(outputs(prediction, labels))
    assert found["ccc_valence"] == pytest.approx(ccc(prediction[valid][:, 0], labels[valid][:, 0]))
    assert found["ccc_mean"] == pytest.approx((found["ccc_valence"] + found["ccc_arousal"]) / 2)
    assert all(type(value) is float for value in found.values()), "numpy scalars can't be loaded from a checkpoint"


def test_constant_predictions_score_zero() -> None:
    labels = np.random.default_rng(0).normal(size=(2, 5, 2))
    assert _pooled_ccc(outputs(np.zeros((2, 5, 2)), labels))["ccc_mean"] == pytest.approx(0)


def test_no_epoch_is_selected_without_labels() -> None:
    labels = np.full((2, 5, 2), np.nan)
    labels[0, 0] = 0.5
    with pytest.raises(TrainingError, match="isn't defined over 1 annotated frames"):
        _pooled_ccc(outputs(np.ones((2, 5, 2)), labels))


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
    rows = _by_epoch(log)
    assert [(row["epoch"], row["loss"], row["eval_ccc_mean"]) for row in rows] == [(1, 0.5, 0.1), (2, 0.4, 0.2)]
