"""The batches that one process would take, each dealt out to the processes that train together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate.data_loader import SeedableRandomSampler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, Sampler

from common import processes
from common.schema import NO_EMOTION


@dataclass(frozen=True)
class Part:
    """One process's items of a batch; ``spare``: the batch has fewer items than there are processes, and this is a
    copy of another's, of which nothing is to count."""

    items: list[int]
    spare: bool


def part(batch: list[int], rank: int, world: int) -> Part:
    """What is process ``rank``'s of a batch: neighbours, of the same number as every other process's, or one more."""
    mine = np.array_split(batch, world)[rank].tolist()
    return Part(mine, False) if mine else Part(batch[:1], True)


class Parts(Sampler[Part]):
    """This process's part of each batch of an epoch.

    The first process draws the epoch's order, as it would alone, and tells the others.

    Parameters
    ----------
    sampler : of items, one epoch; the others' is not used but for its length
    batch_size : of the whole batch
    """

    def __init__(self, sampler: Any, batch_size: int) -> None:
        self.sampler = sampler
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.sampler) / self.batch_size)

    def __iter__(self) -> Iterator[Part]:
        order = processes.from_first(lambda: np.fromiter(self.sampler, np.int64, len(self.sampler)))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size].tolist()
            yield part(batch, processes.index(), processes.count())


class WholeBatches(Sampler[Part]):
    """Batches of the items in their order, whole and dealt out in turn: each is computed as one process would."""

    def __init__(self, items: int, batch_size: int) -> None:
        self.items = items
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Part]:
        step = processes.count() * self.batch_size
        for start in range(processes.index() * self.batch_size, self.items, step):
            yield Part(list(range(start, min(start + self.batch_size, self.items))), False)

    def __len__(self) -> int:
        return len(range(processes.index(), math.ceil(self.items / self.batch_size), processes.count()))


class Batches(Dataset[dict[str, Any]]):
    """A map-style data set of collated batches, by `Part`."""

    def __init__(self, data: Any, collate: Callable[[Any], dict[str, Any]]) -> None:
        self.data = data
        self.collate = collate

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, asked: Part) -> dict[str, Any]:
        fetch = getattr(self.data, "__getitems__", None)
        batch = self.collate(fetch(asked.items) if fetch else [self.data[item] for item in asked.items])
        return emptied(batch) if asked.spare else batch


def emptied(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """A batch without a label and with nothing under its masks: it has no part in losses or in a batch's statistics."""
    nothing = {name: torch.zeros_like(values) for name, values in batch.items() if values.dtype == torch.bool}
    labels = batch["labels"]
    none = float("nan") if labels.is_floating_point() else NO_EMOTION
    return {**batch, **nothing, "labels": torch.full_like(labels, none)}


class PartsLoader(DataLoader[Any]):
    """A loader that isn't accelerate's, which would deal out again what is dealt out."""

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes: its order follows from it."""
        sampler: Any = getattr(self.sampler, "sampler", None)
        if isinstance(sampler, SeedableRandomSampler):
            sampler.set_epoch(epoch)


def as_alone(sampler: Any) -> Any:
    """The sampler that accelerate puts in the place of a random one, where one process trains."""
    return SeedableRandomSampler(sampler.data_source) if isinstance(sampler, RandomSampler) else sampler
