"""What the Trainer is told besides: a warm-up, items drawn by likelihood, classes as labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_fit import fitted
from transformers import TrainerCallback

from common.device import torch_device
from common.errors import UsageError
from common.measures import measure_for
from common.recipe import Training
from common.training import arguments


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
def test_the_learning_rate_rises_to_its_value(tmp_path: Path, plateau: Any) -> None:
    rates: list[float] = []

    class Watch(TrainerCallback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            rates.append(rest["optimizer"].param_groups[0]["lr"])

    settings = {"warmup_steps": 4, "plateau": plateau, "early_stop_epochs": None}
    fitted(tmp_path, [0, 1, 2] * 10, epochs=3, callbacks=[Watch()], **settings)
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert len(rates) == 9 and max(rates) == pytest.approx(0.1) and (plateau is not None or rates[-1] == 0.1)


def test_half_precision_on_a_processor(tmp_path: Path) -> None:
    found = fitted(tmp_path / "bfloat16", [0, 1, 2] * 10, epochs=1, precision="bfloat16", device="auto")
    assert "eval_weighted_f1" in found.best
    if torch_device("auto").type == "cpu":
        with pytest.raises(UsageError, match="float16 has no effect on a CPU"):
            fitted(tmp_path / "float16", [0, 1, 2], epochs=1, precision="float16", device="auto")


def test_a_gpu_gets_pinned_batches_that_are_copied_beside_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    class Arguments(arguments.TrainingArguments):  # type: ignore[misc]
        def __init__(self, **given: Any) -> None:
            asked.append(given)
            super().__init__(**{**given, "use_cpu": True})

    monkeypatch.setattr(arguments, "TrainingArguments", Arguments)
    for kind in ("cpu", "mps", "cuda"):
        monkeypatch.setattr(arguments, "torch_device", lambda name: torch.device(name))
        arguments.training_arguments(Training(), measure_for(categorical=False), tmp_path, 0, kind)
    found = [(given["dataloader_pin_memory"], given["accelerator_config"]["non_blocking"]) for given in asked]
    assert found == [(False, False), (False, False), (True, True)]
    assert [given["use_cpu"] for given in asked] == [True, False, False]


def test_one_gpu_of_several_trains_and_only_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnTwo(arguments.TrainingArguments):  # type: ignore[misc]
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self._n_gpu = 2

    monkeypatch.setattr(arguments, "TrainingArguments", OnTwo)
    found = arguments.training_arguments(Training(batch_size=4), measure_for(categorical=False), tmp_path, 0, "cpu")
    assert found.n_gpu == 1 and found.train_batch_size == 4
    monkeypatch.setattr(arguments, "torch_device", lambda name: torch.device(name))
    with pytest.raises(UsageError, match="cuda:1: training takes the first GPU.*CUDA_VISIBLE_DEVICES=1"):
        arguments.training_arguments(Training(), measure_for(categorical=False), tmp_path, 0, "cuda:1")


def test_loader_workers_change_no_number(tmp_path: Path) -> None:
    labels = [0, 1, 2] * 20
    settings = {"epochs": 3, "early_stop_epochs": None}
    alone, helped = (
        fitted(tmp_path / f"{workers}", labels, np.ones(len(labels)), workers=workers, **settings).model
        for workers in (0, 2)
    )
    assert alone.shown == helped.shown, "items are drawn from torch's generator, which workers are seeded from"
    assert torch.equal(alone.layer.weight, helped.layer.weight)
