"""Time on devices that compute while the program goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def synchronise(device: Any) -> None:
    """Wait until the device has done what it was told."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds_of(work: Callable[[], object], device: Any) -> float:
    """Seconds until ``work`` has returned and the device is done with it."""
    synchronise(device)
    began_s = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - began_s


def epoch_watch(device: Any) -> Any:
    """A callback of the Trainer: ``seconds`` from each epoch's beginning to the end of its last step, added up."""
    from transformers import TrainerCallback

    class EpochWatch(TrainerCallback):
        seconds = 0.0

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            synchronise(device)
            self._began_s = time.perf_counter()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            synchronise(device)
            self.seconds += time.perf_counter() - self._began_s

    return EpochWatch()
