"""What the Trainer is told besides: a warm-up, items drawn by likelihood, classes as labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_fit import fitted
from transformers import TrainerCallback

from common import training
from common.device import torch_device
from common.errors import UsageError


def test_classes_are_learnt_and_the_epoch_is_selected_by_weighted_f1(tmp_path: Path) -> None:
    found = fitted(tmp_path, [0, 1, 2] * 20, epochs=3)
    assert found.best["eval_weighted_f1"] == 1
    assert found.in_words() == f"best validation weighted F1 1.0000 at epoch {found.best['epoch']}"


def test_rare_classes_are_drawn_as_often_as_frequent_ones(tmp_path: Path) -> None:
    labels = [0] * 180 + [1] * 15 + [2] * 5
    draws = 1 / np.bincount(labels)[labels]
    balanced = np.bincount(fitted(tmp_path / "b", labels, draws, epochs=2, early_stop_epochs=None).model.shown)
    assert balanced.sum() == 400 and balanced.min() > 100, balanced
    natural = np.bincount(fitted(tmp_path / "n", labels, epochs=2, early_stop_epochs=None).model.shown)
    assert natural.tolist() == [360, 30, 10]


@pytest.mark.parametrize("plateau", [None, {"factor": 0.5, "patience": 0}])
def test_the_learning_rate_rises_to_its_value(tmp_path: Path, plateau: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    class Watch(TrainerCallback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            rates.append(rest["optimizer"].param_groups[0]["lr"])

    init = training._Trainer.__init__

    def watched(self: Any, draws: Any, **arguments: Any) -> None:
        init(self, draws, **{**arguments, "callbacks": [*arguments["callbacks"], Watch()]})

    monkeypatch.setattr(training._Trainer, "__init__", watched)
    fitted(tmp_path, [0, 1, 2] * 10, epochs=3, warmup_steps=4, plateau=plateau, early_stop_epochs=None)
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert len(rates) == 9 and max(rates) == pytest.approx(0.1) and (plateau is not None or rates[-1] == 0.1)


def test_half_precision_on_a_processor(tmp_path: Path) -> None:
    found = fitted(tmp_path / "bfloat16", [0, 1, 2] * 10, epochs=1, precision="bfloat16", device="auto")
    assert "eval_weighted_f1" in found.best
    if torch_device("auto").type == "cpu":
        with pytest.raises(UsageError, match="float16 has no effect on a CPU"):
            fitted(tmp_path / "float16", [0, 1, 2], epochs=1, precision="float16", device="auto")
