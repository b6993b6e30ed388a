"""What a training says while it goes on: a live bar on a terminal, one plain line an epoch elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from common.measures import Measure

Clock = Callable[[], float]

#: All of it fits 80 columns; where it doesn't, the learning rate, which comes last, is cut off.
_BAR = "{desc} |{bar}| {n_fmt}/{total_fmt}{postfix}"
#: A bar is drawn anew, and the loss fetched from the device, at most once in so many seconds.
_REDRAW_S = 0.5


class Progress(TrainerCallback):
    """Epoch, step, training loss, validation figures, learning rate, and the time that is left.

    It comes after the callback of early stopping, so that it can say when that has stopped the training.

    Parameters
    ----------
    say : callable
        Gets plain lines.
    epochs : int
        Of the whole training, if nothing stops it.
    title : str
        What is trained, for the bar.
    patience_epochs : int or None
        Of early stopping: then the time left is the longest that it can take.
    loss_now : callable
        The mean training loss of the epoch in hand.
    terminal : bool, optional
        Draw a bar (tqdm); by default where standard error is a terminal.
    clock : callable
        Seconds, from any beginning.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        epochs: int,
        measure: Measure,
        *,
        title: str,
        patience_epochs: int | None,
        loss_now: Callable[[], float],
        terminal: bool | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._say = say
        self._epochs = epochs
        self._measure = measure
        self._title = title
        self._patience_epochs = patience_epochs
        self._loss_now = loss_now
        self._terminal = sys.stderr.isatty() if terminal is None else terminal
        self._clock = clock
        self._loss = math.nan
        self._bar: Any = None
        self._drawn_s = -math.inf
        self._began: tuple[float, int] = (0.0, 0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began = (self._clock(), state.global_step)  # what was done before this process has no time here
        if self._terminal:
            from tqdm import tqdm

            self._bar = tqdm(
                total=state.max_steps, initial=state.global_step, dynamic_ncols=True, leave=False, bar_format=_BAR
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if self._bar is None:
            return
        self._bar.n = state.global_step
        if self._clock() - self._drawn_s >= _REDRAW_S:
            self._draw(state, rest["optimizer"], self._loss_now(), f"epoch {math.ceil(state.epoch)}/{self._epochs}")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        self._loss = (logs or {}).get("loss", self._loss)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if self._bar is not None:
            epoch = f"epoch {round(state.epoch)}/{self._epochs}"
            self._draw(state, rest["optimizer"], self._loss_now(), f"{epoch}, validating")

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **rest: Any) -> None:
        epoch = f"epoch {round(state.epoch)}/{self._epochs}"
        if self._bar is not None:
            self._draw(state, rest["optimizer"], self._loss, epoch, metrics)
            return
        parts = [f"  {epoch}", f"loss {self._loss:.4f}", self._measure.in_words(metrics)]
        parts += [f"lr {_rate(rest['optimizer']):.1e}", self._ahead(state, control)]
        self._say("  ".join(part for part in parts if part))

    def close(self) -> None:
        """Take the bar away, wherever the training ended."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(
        self, state: Any, optimiser: Any, loss: float, epoch: str, metrics: dict[str, float] | None = None
    ) -> None:
        """Draw the bar; ``metrics``: those of an epoch that the Trainer has not judged yet."""
        self._drawn_s = self._clock()
        known = [value for value in (state.best_metric, (metrics or {}).get(self._measure.key)) if value is not None]
        parts = [f"loss {loss:.4f}", f"best {max(known):.4f}" if known else "", self._time_left(state, "<")]
        parts.append(f"lr {_rate(optimiser):.2g}")
        self._bar.set_description_str(f"{self._title} {epoch}".strip(), refresh=False)
        self._bar.set_postfix_str(" ".join(part for part in parts if part), refresh=False)
        self._bar.refresh()

    def _ahead(self, state: Any, control: Any) -> str:
        """The time left; or that there is none, as no epoch has been better for so long."""
        if control.should_training_stop and round(state.epoch) < self._epochs:
            return f"stops: not better for {counted_epochs(self._patience_epochs or 0)}"
        return self._time_left(state, "at most ")

    def _time_left(self, state: Any, at_most: str) -> str:
        """``ETA 3 min 20 s``: the steps that are left, each as long as those of this process were with all around.

        ``at_most`` stands before it where early stopping may end the training.
        """
        began_s, first = self._began
        done, left = state.global_step - first, state.max_steps - state.global_step
        if not done or not left:
            return ""
        most = at_most if self._patience_epochs is not None else ""
        return f"ETA {most}{in_minutes((self._clock() - began_s) / done * left)}"


def in_minutes(seconds: float) -> str:
    """``20 s``, ``3 min 20 s``, ``2 h 5 min``: rounded up to a whole second, or minute where there are hours."""
    whole_s = math.ceil(seconds)
    if whole_s < 60:
        return f"{whole_s} s"
    if whole_s < 3600:
        return f"{whole_s // 60} min {whole_s % 60} s"
    minutes = math.ceil(whole_s / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def counted_epochs(number: int) -> str:
    """``1 epoch``, ``8 epochs``."""
    return f"{number} epoch{'' if number == 1 else 's'}"


def _rate(optimiser: Any) -> float:
    return float(optimiser.param_groups[0]["lr"])
