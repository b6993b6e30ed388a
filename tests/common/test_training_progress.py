"""The line, or the bar, of a training: what it shows, and how honest its time is."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_fit import fitted
from transformers import TrainerCallback

from common import training
from common.measures import CCC
from common.training.progress import Progress, in_minutes

FIGURES = {"eval_ccc_mean": 0.25, "eval_ccc_valence": 0.3, "eval_ccc_arousal": 0.2}


class Trained:
    """A training of ten epochs of ten steps each, by hand, with its own clock."""

    def __init__(self, done: int = 0, patience: int | None = None, terminal: bool = False) -> None:
        self.now_s = 5000.0
        self.said: list[str] = []
        self.loss = 0.5
        self.state = SimpleNamespace(epoch=float(done), global_step=10 * done, max_steps=100, best_metric=None)
        self.control = SimpleNamespace(should_training_stop=False)
        self.rest = {"optimizer": SimpleNamespace(param_groups=[{"lr": 1e-3}])}
        self.progress = Progress(
            self.said.append,
            10,
            CCC,
            title="Stage 2",
            patience_epochs=patience,
            loss_now=lambda: self.loss,
            terminal=terminal,
            clock=lambda: self.now_s,
        )
        self.progress.on_train_begin(None, self.state, self.control)

    def step(self, seconds: float) -> None:
        self.now_s += seconds
        self.state.global_step += 1
        self.state.epoch = self.state.global_step / 10
        self.progress.on_step_end(None, self.state, self.control, **self.rest)

    def validate(self, seconds: float = 0.0, **figures: float) -> None:
        self.progress.on_epoch_end(None, self.state, self.control, **self.rest)
        self.progress.on_log(None, self.state, self.control, logs={"loss": self.loss})
        self.now_s += seconds
        self.progress.on_evaluate(None, self.state, self.control, metrics={**FIGURES, **figures}, **self.rest)

    def epoch(self, seconds: float) -> str:
        for _ in range(10):
            self.step(seconds / 20)
        self.validate(seconds / 2)
        return self.said[-1]


def test_a_line_has_loss_figures_rate_and_the_time_left() -> None:
    assert Trained().epoch(seconds=20) == (
        "  epoch 1/10  loss 0.5000  validation CCC 0.2500 (valence 0.3000, arousal 0.2000)  lr 1.0e-03  ETA 3 min 0 s"
    )


def test_epochs_done_before_a_resumption_have_no_time() -> None:
    resumed = Trained(done=6)
    assert resumed.epoch(seconds=100).startswith("  epoch 7/10  ")
    assert resumed.said[-1].endswith("ETA 5 min 0 s"), "three epochs are left, of 100 s each"


def test_the_last_epoch_has_no_time_left() -> None:
    last = Trained(done=9, patience=3)
    last.control.should_training_stop = True  # as the Trainer has it after the last step
    assert last.epoch(seconds=20).endswith("lr 1.0e-03")


def test_early_stopping_is_said() -> None:
    stopping = Trained(patience=3)
    assert stopping.epoch(seconds=20).endswith("ETA at most 3 min 0 s")
    stopping.control.should_training_stop = True
    assert stopping.epoch(seconds=20).endswith("stops: not better for 3 epochs")


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=9), st.integers(0, 9))
def test_the_time_left_is_that_of_the_measured_epochs(seconds: list[float], done: int) -> None:
    trained = Trained(done=done)
    for number, each in enumerate(seconds[: 9 - done], start=1):
        line = trained.epoch(each)
        left_s = sum(seconds[:number]) / number * (10 - done - number)
        near_s = (left_s, left_s - 1e-6, left_s + 1e-6)  # sums of steps are rounded
        assert line.endswith(tuple(f"ETA {in_minutes(seconds_left)}" for seconds_left in near_s))


@given(st.floats(0.001, 1e6))
def test_minutes_are_rounded_up_by_less_than_their_smallest_unit(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    found = re.findall(r"(\d+) (s|min|h)", in_minutes(seconds))
    told_s = sum(int(number) * units[unit] for number, unit in found)
    assert 0 <= told_s - seconds < units[found[-1][1]] + 1
    assert all(int(number) < 60 for number, unit in found if unit != "h")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59.5, "1 min 0 s"), (200, "3 min 20 s"), (7201, "2 h 1 min")]
)
def test_minutes_in_words(seconds: float, words: str) -> None:
    assert in_minutes(seconds) == words


def bar(drawn: str) -> str:
    """What the terminal shows at the end of what was drawn."""
    return [part for part in re.split(r"[\r\n]", drawn) if part.strip()][-1]


def test_a_terminal_shows_a_bar(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    trained = Trained(patience=3, terminal=True)
    trained.step(1)
    trained.loss = 0.75
    trained.step(1)
    shown = bar(capfd.readouterr().err)
    for part in ("Stage 2 epoch 1/10", " 2/100, ", " loss 0.7500 ", " ETA <1 min 38 s ", " lr 0.001"):
        assert part in shown
    assert "best" not in shown, "no epoch was validated yet"
    for _ in range(8):
        trained.step(1)
    trained.progress.on_epoch_end(None, trained.state, trained.control, **trained.rest)
    assert "epoch 1/10, validating" in bar(capfd.readouterr().err)
    trained.validate()
    assert " best 0.2500 " in bar(capfd.readouterr().err)
    trained.state.best_metric = 0.25
    trained.validate(eval_ccc_mean=0.1)
    assert " best 0.2500 " in bar(capfd.readouterr().err)
    trained.progress.close()
    assert not trained.said, "lines and a bar say the same"


def test_a_bar_fits_eighty_columns(capfd: pytest.CaptureFixture[str]) -> None:
    trained = Trained(patience=3, terminal=True)
    for _ in range(10):
        trained.step(30)
    trained.validate()
    around = re.sub(r"\|.*\|", "||", bar(capfd.readouterr().err))  # the bar takes what is left
    assert around == "Stage 2 epoch 1/10 || 10/100, loss 0.5000 best 0.2500 ETA <45 min 0 s lr 0.001"
    assert len(around) < 80
    trained.progress.close()


def test_a_bar_is_drawn_twice_a_second_at_most(capfd: pytest.CaptureFixture[str]) -> None:
    trained = Trained(terminal=True)
    trained.step(1)
    capfd.readouterr()
    trained.step(0.4)
    assert capfd.readouterr().err == ""
    trained.step(0.2)
    assert " 3/100, " in bar(capfd.readouterr().err)
    trained.progress.close()


def test_the_loss_in_the_bar_is_that_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live: list[float] = []
    after: list[float] = []
    init = training.SharedTrainer.__init__

    def watched(self: Any, draws: Any, **arguments: Any) -> None:
        trainer = self

        class Watch(TrainerCallback):
            def on_epoch_end(self, *_: Any, **__: Any) -> None:
                live.append(trainer.loss_so_far())

            def on_evaluate(self, *_: Any, **__: Any) -> None:
                after.append(trainer.loss_so_far())

        init(self, draws, **{**arguments, "callbacks": [*arguments["callbacks"], Watch()]})

    monkeypatch.setattr(training.SharedTrainer, "__init__", watched)
    found = fitted(tmp_path, [0, 1, 2] * 20, epochs=3, accumulate=4)
    assert live == [row["loss"] for row in found.history] and len(live) == 3
    assert all(math.isnan(loss) for loss in after), "a new epoch has no loss yet"


def test_a_training_on_a_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    lines: list[str] = []
    fitted(tmp_path, [0, 1, 2] * 10, epochs=2, say=lines.append)
    shown = capfd.readouterr().err
    assert not lines and "epoch 2/2" in shown and re.search(r"loss \d\.\d{4} best \d\.\d{4} lr 0\.1", shown)
    assert shown.endswith("\r"), "the bar is taken away at the end"


def test_early_stopping_ends_the_lines(tmp_path: Path) -> None:
    lines: list[str] = []
    fitted(tmp_path, [0, 1, 2] * 10, epochs=9, early_stop_epochs=1, learning_rate=1e-9, say=lines.append)
    assert len(lines) == 2 and lines[-1].endswith("stops: not better for 1 epoch")
