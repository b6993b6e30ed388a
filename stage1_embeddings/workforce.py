"""Who does the work of a run: processes of this machine, or the nodes of a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.datasets import Data
from common.errors import UsageError
from common.manifest import Clip
from common.storage.data import RemoteVideos
from stage1_embeddings.books import Books
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.tools import Tools
from stage1_embeddings.work import Work

if TYPE_CHECKING:
    from stage1_embeddings.cluster.connection import Cluster

#: More decoders than this feed no single device faster.
_MOST_WORKERS = 8


@dataclass(frozen=True)
class Workforce:
    """Those who decode and encode.

    Attributes
    ----------
    device : ``auto``, ``cpu``, ``cuda`` or ``mps``
    workers : int or None
        Processes that decode; None for half the processors, at most 8, or as many as a cluster has room for.
    cluster : Cluster or None
        None: this machine alone.
    """

    device: str
    workers: int | None = None
    cluster: Cluster | None = None

    def do(self, plan: FeaturePlan, clips: Sequence[Clip], say: Callable[[str], None], *, retry_failed: bool) -> Books:
        """Bring clips up to date, and return what became of each; errors as in `Work.run`."""
        books = Books(plan, say, retry_failed=retry_failed)
        if self.cluster is None:
            number = _workers(len(clips)) if self.workers is None else self.workers
            Work(books, Tools(plan, self.device), workers=number).run(clips)
        else:
            from stage1_embeddings.cluster.work import ClusterWork

            ClusterWork(books, cluster=self.cluster, device=self.device, workers=self.workers).run(clips)
        return books


def everywhere(data: Data, cache: Path, videos: RemoteVideos | None) -> tuple[Data, Path]:
    """The same paths for nodes that each have a working directory of their own.

    Raises
    ------
    UsageError
        If the videos aren't on a disk.
    """
    if videos is not None:
        raise UsageError(
            f"--engine ray reads videos from a disk that every node sees, not from {videos.address}.",
            "Copy them there, or run without --engine ray, with --shard on each machine.",
        )
    if data is None or isinstance(data, Path):
        return data.absolute() if data is not None else None, cache.absolute()
    return [path.absolute() for path in data], cache.absolute()


def _workers(clips: int) -> int:
    return max(1, min((os.cpu_count() or 1) // 2, _MOST_WORKERS, clips))
