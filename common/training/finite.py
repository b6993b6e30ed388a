"""A training ends at the step whose loss or gradient is no number, and says which clips were in it.

On a GPU a value is looked at two steps later, so that nobody waits for it; no checkpoint is written in between.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from common import processes
from common.errors import TrainingError

#: What a training batch holds besides the model's inputs: the numbers of its items.
ITEM = "item"

#: Steps that a GPU may be ahead.
_AHEAD = 2
#: Clips that a message names.
_MOST = 5


class Numbered:
    """A data set whose items know their number."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self._data[index], ITEM: index}

    def __getitems__(self, indices: list[int]) -> Any:
        if not hasattr(self._data, "__getitems__"):
            return [self[index] for index in indices]
        items = self._data.__getitems__(indices)
        if isinstance(items, dict):  # a batch already
            return {**items, ITEM: np.array(indices)}
        return [{**item, ITEM: index} for item, index in zip(items, indices, strict=True)]

    def named(self, items: list[int]) -> str:
        """The clips of some items, ``a, b and 3 more``; empty where the data set doesn't know."""
        if not hasattr(self._data, "named"):
            return ""
        names = list(dict.fromkeys(self._data.named(item) for item in items))
        return ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")


class Finite(TrainerCallback):
    """Looks at the loss of each batch and the norm of each step's gradient.

    Parameters
    ----------
    data : what the batches are of
    gradients : are there any to look at? In float16 the scaler skips steps that overflow.
    """

    def __init__(self, data: Numbered, *, gradients: bool) -> None:
        self._data = data
        self._gradients = gradients
        self._items: list[Any] = []
        self._seen: deque[tuple[str, int, list[Any], torch.Tensor]] = deque()

    def loss(self, value: torch.Tensor, items: Any, step: int) -> None:
        self._items.append(items)
        self._look("loss", value, [items], step)

    def gradient(self, norm: Any, step: int) -> None:
        """The norm over all batches since the last step."""
        items, self._items = self._items, []
        if not self._gradients:
            return
        self._look("gradient", torch.as_tensor(norm), items, step)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._settle(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if control.should_save or control.should_evaluate:
            self._settle(0)

    def _look(self, what: str, value: torch.Tensor, items: list[Any], step: int) -> None:
        self._seen.append((what, step, items, value.detach()))
        self._settle(0 if value.device.type == "cpu" else 2 * _AHEAD)

    def _settle(self, ahead: int) -> None:
        while len(self._seen) > ahead:
            what, step, items, value = self._seen.popleft()
            if not bool(torch.isfinite(value).all()):
                clips = self._data.named([int(item) for some in items if some is not None for item in some])
                batch = "this process's part of a batch" if processes.several() else "a batch"
                raise TrainingError(
                    f"The {what} is {float(value)} at step {step}{f', in {batch} of {clips}' if clips else ''}.",
                    "Lower the learning rate, or look for extreme labels; the last checkpoint is kept.",
                )
