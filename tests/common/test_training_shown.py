"""What a training leaves to look at: TensorBoard's log, curves.png; after its end, a stop, a resumption."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from small_fit import fitted
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from transformers import TrainerCallback

import common.curves
from common import training
from common.errors import TrainingError
from common.files import sha256
from common.history import history_so_far
from common.measures import CCC
from common.training import Shown
from common.training.shown import Board, Curves

ROWS = [0, 1, 2] * 10
RECIPE = {"name": "<img src=x onerror=alert(1)>", "stage2": {"window": {"frames": 32}}}


def trained(run: Path, key: str = "a", stage: str = "fusion", **settings: Any) -> training.Fitted:
    chosen = {"learning_rate": 0.01, "early_stop_epochs": None, **settings}
    return fitted(run / "checkpoints" / f"{stage}-{key}", ROWS, shown=Shown(run, stage, RECIPE), **chosen)


def board(run: Path, stage: str = "fusion") -> dict[str, dict[int, float]]:
    """Tag -> epoch -> value, as TensorBoard reads them; an epoch that comes twice fails."""
    log = EventAccumulator(str(run / "tensorboard" / stage)).Reload()
    points = {tag: [(event.step, event.value) for event in log.Scalars(tag)] for tag in log.Tags()["scalars"]}
    for tag, found in points.items():
        assert len({epoch for epoch, _ in found}) == len(found), f"{tag}: {found}"
    return {tag: dict(found) for tag, found in points.items()}


def pixels(path: Path) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(path.read_bytes()), format="png")


class Stops:
    """Ctrl-C at the end of an epoch, after its line was said."""

    def __init__(self, epoch: int) -> None:
        self.word = f"epoch {epoch}/"

    def __call__(self, text: str) -> None:
        if self.word in text:
            raise KeyboardInterrupt


def test_every_epoch_is_in_the_log_as_in_the_history(tmp_path: Path) -> None:
    found = trained(tmp_path, epochs=3)
    log = board(tmp_path)
    names = {
        "loss/training": "loss",
        "loss/validation": "eval_loss",
        "learning_rate": "learning_rate",
        "grad_norm": "grad_norm",
        "validation/weighted_f1": "eval_weighted_f1",
        "validation/accuracy": "eval_accuracy",
        "validation/macro_f1": "eval_macro_f1",
    }
    assert set(log) == set(names)
    for tag, key in names.items():
        assert log[tag] == pytest.approx({row["epoch"]: row[key] for row in found.history}, rel=1e-6), tag
    events = EventAccumulator(str(tmp_path / "tensorboard" / "fusion")).Reload()
    (text,) = events.Tensors("recipe/text_summary")
    lines = make_ndarray(text.tensor_proto).item().decode().splitlines()
    assert any("onerror" in line for line in lines) and all(line.startswith("    ") for line in lines)


def test_a_stopped_training_is_seen_and_its_curve_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        trained(run, epochs=5, say=Stops(3))
    assert set(board(run)["loss/training"]) == {1, 2, 3}
    assert [row["epoch"] for row in history_so_far(run)["Stage 2"]] == [1, 2], "of the third there is no checkpoint"
    before = pixels(run / "curves.png")
    lines: list[str] = []
    resumed = trained(run, epochs=5, say=lines.append)
    assert "goes on from checkpoint-6" in lines[0]
    assert set(board(run)["loss/training"]) == {1, 2, 3, 4, 5}
    assert len(list((run / "tensorboard" / "fusion").iterdir())) == 1
    after = pixels(run / "curves.png")
    assert before.shape == after.shape and (before != after).any()
    undisturbed = trained(tmp_path / "undisturbed", epochs=5)
    assert board(run) == board(tmp_path / "undisturbed")
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in undisturbed.history]


def test_a_killed_training_leaves_no_double_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:  # nothing is tidied up
        killed.setattr(Board, "close", lambda self: None)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path, epochs=4, say=Stops(2))
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path, epochs=4, say=Stops(3))
    assert len(list((tmp_path / "tensorboard" / "fusion").iterdir())) == 2
    assert set(board(tmp_path)["loss/training"]) == {1, 2, 3}
    trained(tmp_path, epochs=4)
    assert set(board(tmp_path)["loss/training"]) == {1, 2, 3, 4}
    assert len(list((tmp_path / "tensorboard" / "fusion").iterdir())) == 1


def test_another_training_has_a_curve_of_its_own(tmp_path: Path) -> None:
    trained(tmp_path, key="a", epochs=4)
    trained(tmp_path, key="b", epochs=2, learning_rate=0.5)
    assert board(tmp_path)["learning_rate"] == pytest.approx({1: 0.5, 2: 0.5})
    trained(tmp_path, key="c", stage="head", epochs=1)
    assert set(board(tmp_path)["loss/training"]) == {1, 2} and set(board(tmp_path, "head")["loss/training"]) == {1}


def test_looking_on_changes_no_weight(tmp_path: Path) -> None:
    blind = fitted(tmp_path / "checkpoints" / "fusion-blind", ROWS, epochs=2)
    seen = fitted(tmp_path / "checkpoints" / "fusion-seen", ROWS, shown=Shown(tmp_path, "fusion", RECIPE), epochs=2)
    for name, found in (("blind", blind), ("seen", seen)):
        found.model.save_pretrained(tmp_path / name)
    assert sha256(tmp_path / "blind" / "model.safetensors") == sha256(tmp_path / "seen" / "model.safetensors")
    assert [row["loss"] for row in blind.history] == [row["loss"] for row in seen.history]


def test_a_training_that_fails_is_seen_up_to_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
            if state.epoch >= 2:
                model.layer.weight.data.fill_(np.nan)

    init = training.SharedTrainer.__init__

    def failing(self: Any, draws: Any, **arguments: Any) -> None:
        init(self, draws, **{**arguments, "callbacks": [*arguments["callbacks"], Fails()]})

    monkeypatch.setattr(training.SharedTrainer, "__init__", failing)
    with pytest.raises(TrainingError, match="The loss is nan at step 7"):
        trained(tmp_path, epochs=5)
    assert set(board(tmp_path)["loss/training"]) == {1, 2}
    assert (tmp_path / "curves.png").is_file()
    assert [row["epoch"] for row in history_so_far(tmp_path)["Stage 2"]] == [1, 2]


@pytest.mark.parametrize("epochs", [0, 1])
def test_nothing_is_drawn_of_a_training_without_a_second_epoch(tmp_path: Path, epochs: int) -> None:
    curves = Curves(Shown(tmp_path, "fusion", {}))
    log = [{"epoch": epoch, "loss": 1.0} for epoch in range(1, epochs + 1)]
    curves.on_train_begin(None, type("State", (), {"log_history": log})(), None)
    curves.close()
    assert not (tmp_path / "curves.png").exists()


class Watched:
    """`Curves` with a clock that is set by hand, and the number of pictures drawn."""

    def __init__(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self.drawn: list[dict[str, int]] = []
        self.log: list[dict[str, float]] = []
        draw = common.curves.run_curves

        def counted(histories: Any) -> bytes:
            self.drawn.append({stage: len(rows) for stage, rows in histories.items()})
            return draw(histories)

        monkeypatch.setattr(common.curves, "run_curves", counted)
        self.curves = Curves(Shown(run, "head", {}), clock=lambda: self.now_s)
        self.state = type("State", (), {"log_history": self.log})()
        self.curves.on_train_begin(None, self.state, None)

    def epoch(self, at_s: float) -> None:
        self.now_s = at_s
        self.log.append({"epoch": len(self.log) + 1, "loss": 0.5, CCC.key: 0.1})
        self.curves.on_evaluate(None, self.state, None)


def test_short_epochs_are_not_all_drawn_but_one_soon_and_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path, monkeypatch)
    for at_s in (1, 4.9, 5, 20, 34.9, 36, 50, 66):
        watched.epoch(at_s)
    assert watched.drawn == [{"Stage 3": 3}, {"Stage 3": 6}, {"Stage 3": 8}]
    watched.epoch(70)
    watched.curves.close()
    assert watched.drawn[3:] == [{"Stage 3": 9}]
    watched.curves.close()
    assert len(watched.drawn) == 4, "the same state is drawn once"


def test_a_training_of_seconds_is_drawn_once_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path, monkeypatch)
    for at_s in (1, 2, 3, 4):
        watched.epoch(at_s)
    assert watched.drawn == []
    watched.curves.close()
    assert watched.drawn == [{"Stage 3": 4}]


def test_long_epochs_are_all_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path, monkeypatch)
    for at_s in (100, 200, 300):
        watched.epoch(at_s)
    watched.curves.close()
    assert watched.drawn == [{"Stage 3": 1}, {"Stage 3": 2}, {"Stage 3": 3}]
