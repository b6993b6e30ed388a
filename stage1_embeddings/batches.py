"""Crops of all clips in hand, through the visual encoder in full batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

Crops = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


class Encode(Protocol):
    """What a batch goes through: (N, S, S, 3) uint8 -> (N, D) float32, ``batch_size`` at a time."""

    @property
    def batch_size(self) -> int: ...

    def __call__(self, crops: Crops) -> Features: ...


class BatchFailed(Exception):
    """The encoder failed on a batch; ``delivers`` are those whose crops were in it, the exception's cause says why."""

    def __init__(self, delivers: list[Callable[[Features], None]]) -> None:
        super().__init__(f"a batch of {len(delivers)} clip(s) failed")
        self.delivers = delivers


class Batches:
    """Gathers crops of several clips until a batch is full, and hands each clip its rows, in order.

    Parameters
    ----------
    encode : callable
        Its rows don't depend on what else is in a batch: an interrupted run comes to the same numbers.
    """

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._waiting: deque[tuple[Crops, Callable[[Features], None]]] = deque()
        self._count = 0

    def add(self, crops: Crops, deliver: Callable[[Features], None]) -> None:
        """Add crops (N, S, S, 3); ``deliver`` gets their features, sooner or later, perhaps in parts.

        Raises
        ------
        BatchFailed
            If the encoder fails on a batch; its crops are gone.
        """
        if len(crops):
            self._waiting.append((crops, deliver))
            self._count += len(crops)
        while self._count >= self._encode.batch_size:
            self._run(self._encode.batch_size)

    def flush(self) -> None:
        """Encode what is left."""
        while self._count:
            self._run(min(self._count, self._encode.batch_size))

    def _run(self, size: int) -> None:
        taken: list[tuple[Crops, Callable[[Features], None]]] = []
        missing = size
        while missing:
            crops, deliver = self._waiting.popleft()
            if len(crops) > missing:
                self._waiting.appendleft((crops[missing:], deliver))
                crops = crops[:missing]
            taken.append((crops, deliver))
            missing -= len(crops)
        self._count -= size
        try:
            features = self._encode(np.concatenate([crops for crops, _ in taken]))
        except (RuntimeError, ValueError, OSError) as error:
            raise BatchFailed([deliver for _, deliver in taken]) from error
        start = 0
        for crops, deliver in taken:
            deliver(features[start : start + len(crops)])
            start += len(crops)
