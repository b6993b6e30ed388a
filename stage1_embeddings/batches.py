"""Crops, or texts, of all clips in hand, through an encoder in full batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

#: Crops (N, S, S, 3) uint8, or texts (N,) object.
Items = npt.NDArray[Any]
Features = npt.NDArray[np.float32]


class Encode(Protocol):
    """What a batch goes through: N items -> (N, D) float32, ``batch_size`` at a time."""

    @property
    def batch_size(self) -> int: ...

    def __call__(self, items: Any, /) -> Features: ...


class BatchFailed(Exception):
    """The encoder failed on a batch; ``delivers`` are those whose items were in it, the exception's cause says why."""

    def __init__(self, delivers: list[Callable[[Features], None]]) -> None:
        super().__init__(f"a batch of {len(delivers)} clip(s) failed")
        self.delivers = delivers


class Batches:
    """Gathers items of several clips until a batch is full, and hands each clip its rows, in order.

    Parameters
    ----------
    encode : callable
        Its rows don't depend on what else is in a batch: an interrupted run comes to the same numbers.
    """

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._waiting: deque[tuple[Items, Callable[[Features], None]]] = deque()
        self._count = 0

    def add(self, items: Items, deliver: Callable[[Features], None]) -> None:
        """Add items; ``deliver`` gets their features, sooner or later, perhaps in parts.

        Raises
        ------
        BatchFailed
            If the encoder fails on a batch; its items are gone.
        """
        if len(items):
            self._waiting.append((items, deliver))
            self._count += len(items)
        while self._count >= self._encode.batch_size:
            self._run(self._encode.batch_size)

    def flush(self) -> None:
        """Encode what is left."""
        while self._count:
            self._run(min(self._count, self._encode.batch_size))

    def _run(self, size: int) -> None:
        taken: list[tuple[Items, Callable[[Features], None]]] = []
        missing = size
        while missing:
            items, deliver = self._waiting.popleft()
            if len(items) > missing:
                self._waiting.appendleft((items[missing:], deliver))
                items = items[:missing]
            taken.append((items, deliver))
            missing -= len(items)
        self._count -= size
        try:
            features = self._encode(np.concatenate([items for items, _ in taken]))
        except (RuntimeError, ValueError, OSError) as error:
            raise BatchFailed([deliver for _, deliver in taken]) from error
        start = 0
        for items, deliver in taken:
            deliver(features[start : start + len(items)])
            start += len(items)
