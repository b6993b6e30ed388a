"""A station: an actor of Ray on one node, with encoders on its GPU, decoders on its CPUs, and clips in hand.

It does clips as any run of stage 1 does (`Work`), but is told which, one by one, and leaves claims and the log to the
process that tells it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from common.clip_log import ClipLog
from common.errors import UsageError
from common.files import remove_partials, sha256
from common.manifest import Clip
from common.provenance import PROJECT, versions
from stage1_embeddings.books import Books
from stage1_embeddings.claims import Claims
from stage1_embeddings.events import Event, Task
from stage1_embeddings.jobs import Tally
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.tools import Tools
from stage1_embeddings.work import Work


@dataclass(frozen=True)
class Errand:
    """What a station is told once. Every path is absolute.

    Attributes
    ----------
    mark : Path
        A file that the run has put beside the features: who sees it sees the same folder.
    roots : tuple of Path
        What must be seen besides.
    code : str
        As `code_here` of the machine that hands out clips.
    command : tuple of str
        What the user called, for the record in each file.
    """

    plan: FeaturePlan
    device: str
    workers: int
    retry_failed: bool
    mark: Path
    roots: tuple[Path, ...]
    code: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one clip: its part of the tally, what to say of it, and lines for the log."""

    tally: Tally
    text: str
    quiet: bool
    log: tuple[tuple[str, dict[str, Any]], ...]


class Station:
    """The actor. Its calls come from Ray, which makes them again elsewhere where a node is lost."""

    def __init__(self, errand: Errand) -> None:
        sys.argv[:] = errand.command
        self._errand = errand
        self._work: NodeWork | None = None

    async def ready(self) -> str:
        """The node's name, when it is certain that it can work here; errors as in `check_node`."""
        self._open()
        return socket.gethostname()

    async def do(self, clip: Clip) -> Outcome:
        """Do a clip; raises what would meet every clip."""
        return await asyncio.wrap_future(self._open().add(clip))

    async def stop(self) -> None:
        """Put down what is in hand, and leave nothing half-written."""
        if self._work is not None:
            await asyncio.to_thread(self._work.stop)

    def _open(self) -> NodeWork:
        if self._work is None:
            check_node(self._errand)
            remove_partials(self._errand.plan.folder)
            self._work = NodeWork(self._errand)
        return self._work


def code_here() -> str:
    """A fingerprint of the code of stage 1, as it lies on this machine, and of the packages that shape results."""
    files = sorted(path for package in ("common", "stage1_embeddings") for path in (PROJECT / package).rglob("*.py"))
    return f"{sha256(*files)[:16]}, {', '.join(f'{name} {version}' for name, version in versions().items())}"


def check_node(errand: Errand) -> None:
    """Refuse a node that doesn't see the same files, or would compute other numbers.

    Raises
    ------
    UsageError
        Naming the node, the path and the cure.
    """
    node = f"The node {socket.gethostname()}"
    folder = errand.mark.parent
    if not errand.mark.is_file():
        raise UsageError(
            f"{node} doesn't see the cache that this run writes to: there is no {errand.mark} there.",
            "CACHE must be on a disk that every node sees under the same path.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{node} may not write to {folder}.", "Give its user the right to.")
    for root in errand.roots:
        if not root.exists():
            raise UsageError(
                f"{node} doesn't see {root}.", "DATA and models must be seen under the same path from every node."
            )
    if (code := code_here()) != errand.code:
        raise UsageError(
            f"{node} has other code or packages than this machine ({code} there, {errand.code} here): "
            "its numbers could differ.",
            "Bring the project and its .venv to the same state on every node.",
        )


class NodeWork(Work):
    """`Work` for clips that are added while it goes on, in a thread of its own."""

    def __init__(self, errand: Errand) -> None:
        self._promises = _Promises(errand.plan, retry_failed=errand.retry_failed)
        super().__init__(self._promises, Tools(errand.plan, errand.device), workers=errand.workers)
        self._added: SimpleQueue[Clip] = SimpleQueue()
        self._end: BaseException | None = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def add(self, clip: Clip) -> Future[Outcome]:
        """Do a clip as soon as there is room. The same clip again while it is in hand is the same promise."""
        if clip.id in self._promises.given:
            return self._promises.given[clip.id]
        promise = self._promises.give(clip)
        self._added.put(clip)
        if self._end is not None:
            self._promises.break_all(self._end)
        return promise

    def stop(self) -> None:
        """End as soon as the step in hand is over."""
        self._end = self._end or Stopped("asked to stop")
        self._thread.join()

    def take(self, task: Task, event: Event) -> None:
        if self._end is not None:
            raise self._end
        super().take(task, event)

    def _live(self) -> None:
        try:
            self.serve(self._arriving(), 0)
        except BaseException as error:
            self._end = self._end or error
        self._promises.break_all(self._end or Stopped("asked to stop"))

    def _arriving(self) -> Iterator[Clip | None]:
        while self._end is None:
            try:
                clip = self._added.get_nowait()
            except Empty:
                if not self.decodes:
                    self.flush()  # nothing else fills the batch
                yield None
            else:
                yield clip


class Stopped(Exception):
    """The station was asked to stop before the clip was done."""


class _Promises(Books):
    """Books whose every page goes to the process that hands out clips: it has claimed them, and writes the log."""

    def __init__(self, plan: FeaturePlan, *, retry_failed: bool) -> None:
        super().__init__(plan, _nothing, retry_failed=retry_failed)
        self.claims = _Granted(plan.folder)
        self.log: _Lines = _Lines(plan.folder)
        self.given: dict[str, Future[Outcome]] = {}

    def give(self, clip: Clip) -> Future[Outcome]:
        """Promise what becomes of a clip."""
        promise: Future[Outcome] = Future()
        promise.set_running_or_notify_cancel()  # from here on nobody else ends it
        self.given[clip.id] = promise
        return promise

    def over(self, clip: Clip, text: str, *, quiet: bool = False) -> None:
        """Keep the promise: what is to be said of the clip, the other process says."""
        tally, self.tally = self.tally, Tally()
        self.given.pop(clip.id).set_result(Outcome(tally, text, quiet, self.log.taken()))

    def break_all(self, reason: BaseException) -> None:
        while self.given:
            _, promise = self.given.popitem()
            promise.set_exception(reason)


class _Granted(Claims):
    """Whoever hands out a clip has claimed it."""

    def take(self, clip: str) -> bool:
        return True


class _Lines(ClipLog):
    """The lines of one clip, for the log that another process writes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._lines: list[tuple[str, dict[str, Any]]] = []

    def add(self, clip: str, outcome: str, **details: Any) -> None:
        self._lines.append((outcome, details))

    def taken(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        lines, self._lines = self._lines, []
        return tuple(lines)


def _nothing(text: str) -> None:
    """What is to be said of a clip goes with its outcome."""
