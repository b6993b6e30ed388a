"""What is written for each frame, and what isn't where there was nothing to predict from."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from common.schema import MODALITIES
from stage3_mlp.predictions import COLUMNS, ClipPrediction, write_predictions


def prediction(frames: int, nothing: list[int]) -> ClipPrediction:
    rng = np.random.default_rng(0)
    seen = np.ones(frames, bool)
    seen[nothing] = False
    present = {modality: seen & (np.arange(frames) % (i + 1) == 0) for i, modality in enumerate(MODALITIES)}
    labels = rng.uniform(-1, 1, (frames, 2)).astype(np.float32)
    labels[0] = np.nan
    values = rng.uniform(-1, 1, (frames, 2)).astype(np.float32)
    intensity = np.hypot(*values.T).astype(np.float32)
    theta = np.arctan2(values[:, 1], values[:, 0]).astype(np.float32)
    return ClipPrediction('a, "b"\nc', np.arange(frames) / 30, values, intensity, theta, labels, present)


def test_rows_read_back_exactly(tmp_path: Path) -> None:
    one = prediction(7, [])
    assert write_predictions(tmp_path / "p.csv", [one, one]) == 14
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and rows[3]["clip"] == one.clip
    assert [int(row["frame"]) for row in rows] == [*range(7)] * 2
    assert [float(row["time_s"]) for row in rows[:7]] == one.time_s.tolist()
    assert [np.float32(row["valence"]) for row in rows[:7]] == one.values[:, 0].tolist()
    assert rows[0]["label_valence"] == "" and np.float32(rows[1]["label_arousal"]) == one.labels[1, 1]


def test_frames_with_nothing_behind_them_have_no_prediction(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", [prediction(5, [1, 4])])
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["valence"] == "" for row in rows] == [False, True, False, False, True]
    assert all(rows[1][name] == "" for name in ("arousal", "intensity", "theta"))
    assert [row["present_visual"] for row in rows] == ["1", "0", "1", "1", "0"]
    assert rows[1]["label_valence"] != ""
