"""What a training leaves to look at in its run's folder, while it goes on and after: TensorBoard's logs, curves.png."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from transformers import TrainerCallback

from common.files import written_whole
from common.history import STAGES, by_epoch, history_so_far
from common.measures import Measure

#: Below a run's folder: one folder per stage, for ``tensorboard --logdir runs``.
TENSORBOARD: Final = "tensorboard"
CURVES: Final = "curves.png"

#: Names in TensorBoard of what the Trainer logs; the measure's figures come to them as ``validation/...``.
_TAGS: Final = {
    "loss": "loss/training",
    "eval_loss": "loss/validation",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
}
#: A picture costs up to 0.6 s, so where epochs are short not every one is drawn, and none while a study's tiny
#: trainings go on: two more pictures would take a tenth to a third of their time.
_FIRST_DRAWN_S: Final = 5.0
_DRAW_EVERY_S: Final = 30.0


@dataclass(frozen=True)
class Shown:
    """Where a training is to be seen.

    Attributes
    ----------
    run : Path
        The run's folder.
    stage : str
        One of `common.history.STAGES`.
    recipe : of the run, as JSON values
    """

    run: Path
    stage: str
    recipe: Mapping[str, Any]


class Board(TrainerCallback):
    """TensorBoard's log of one training, over epochs.

    The folder is the stage's, whatever the settings were, and its log is begun anew with each start of a training:
    what a resumed one had done before is written again from the Trainer's own log. So there is one point per epoch,
    of the one training that the run's folder is about; a kill between checkpoint and log leaves no double points, and
    other settings no curve of theirs. Points from before a resumption carry its time.
    """

    def __init__(self, shown: Shown, measure: Measure) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import: only what trains needs it

        self._new_writer = SummaryWriter
        self._folder = shown.run / TENSORBOARD / shown.stage
        self._recipe = shown.recipe
        names = (measure.name, *(name for name, _ in measure.beside))
        self._tags = {**_TAGS, **{f"eval_{name}": f"validation/{name}" for name in names}}
        self._writer: Any = None
        self._outdated: list[Path] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # purge_step: what earlier files say is forgotten. They go when this one ends, not now: a TensorBoard that is
        # reading one of them would never go on to the next.
        self._outdated = list(self._folder.glob("events.*"))
        self._writer = self._new_writer(str(self._folder), purge_step=0)
        self._writer.add_text("recipe", _as_code(self._recipe))
        for entry in state.log_history:
            self._add(entry, entry["epoch"])
        self._writer.flush()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        self._add(logs or {}, state.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Write what is waiting, and leave this training's file alone."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            for path in self._outdated:
                path.unlink()

    def _add(self, logs: Mapping[str, float], epoch: float) -> None:
        for key, tag in self._tags.items():
            if key in logs:
                self._writer.add_scalar(tag, logs[key], round(epoch))


class Curves(TrainerCallback):
    """``curves.png`` of a run: the stage in training as far as it has come, beside the other one.

    Drawn after the first epoch that ends `_FIRST_DRAWN_S` after the start or later, after others but at most once in
    `_DRAW_EVERY_S`, and when the training ends or is stopped.
    """

    def __init__(self, shown: Shown, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = shown.run / CURVES
        self._title = STAGES[shown.stage]
        order = list(STAGES.values())
        found = history_so_far(shown.run)
        # A head that is there while the fusion is trained belongs to the fusion before.
        self._before = {title: found[title] for title in order[: order.index(self._title)] if title in found}
        self._clock = clock
        self._draw_from_s = clock() + _FIRST_DRAWN_S
        self._log: list[dict[str, float]] = []
        self._drawn = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._log = state.log_history  # the Trainer's own list, which grows

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._clock() >= self._draw_from_s:
            self._draw()
            self._draw_from_s = self._clock() + _DRAW_EVERY_S

    def close(self) -> None:
        """Draw the last state, unless it is drawn; nothing of a training that ended within seconds after one epoch."""
        if max(map(len, [by_epoch(self._log), *self._before.values()])) > 1:
            self._draw()

    def _draw(self) -> None:
        history = by_epoch(self._log)
        figures = sum(map(len, history))
        if figures == self._drawn:
            return
        from common.curves import run_curves

        png = run_curves({**self._before, self._title: history})
        with written_whole(self._path) as partial:
            partial.write_bytes(png)
        self._drawn = figures


def _as_code(values: Mapping[str, Any]) -> str:
    """JSON as a block of code in Markdown, in which nothing has a meaning."""
    return "\n".join(f"    {line}" for line in json.dumps(values, indent=2, ensure_ascii=False).splitlines())
