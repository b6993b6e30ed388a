"""Decoding in worker processes while the encoders run: tasks go out, events come back.

A worker that dies (a decoder can crash on a damaged file) or falls silent costs its clip, not the run.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path

from stage1_embeddings.events import Broken, Ended, Event, Task

#: A worker that hands on nothing for so long hangs.
SILENCE_S = 300.0

#: Ends of a process that a damaged file brings about; it would again.
_CRASHES = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL"})

#: How long to look away where every clip left is in another process's hands.
_NAP_S = 0.2

#: Tasks as they are wanted; None: nothing now, ask again.
Tasks = Iterator[Task | None]
Weights = Callable[[], Path | None]


def supply(tasks: Tasks, workers: int, weights: Weights) -> Iterator[tuple[Task, Event]]:
    """Events of all tasks; those of one task in order, those of different tasks mixed where several workers run.

    Parameters
    ----------
    tasks : iterator
        Asked for the next one only when somebody is free to do it.
    workers : int
        Processes; 0 does it in this one.
    weights : callable
        Gives YuNet's file, or None; called when there is something to do.
    """
    if workers == 0:
        yield from _here(tasks, weights)
        return
    crew = [_Worker(weights) for _ in range(workers)]
    try:
        yield from _shared_out(tasks, crew)
    finally:
        for worker in crew:
            worker.stop()


def _here(tasks: Tasks, weights: Weights) -> Iterator[tuple[Task, Event]]:
    from stage1_embeddings.front_end import FrontEnd

    front_end = None
    for task in tasks:
        if task is None:
            time.sleep(_NAP_S)
            continue
        front_end = front_end or FrontEnd(weights())
        for event in front_end(task):
            yield task, event


def _shared_out(tasks: Tasks, crew: list[_Worker]) -> Iterator[tuple[Task, Event]]:
    more = True
    while more or any(worker.task for worker in crew):
        for worker in crew:
            if more and worker.task is None:
                try:
                    task = next(tasks)
                except StopIteration:
                    more = False
                    break
                if task is None:
                    break
                worker.give(task)
        busy = {worker.pipe: worker for worker in crew if worker.task is not None}
        if not busy:
            time.sleep(_NAP_S if more else 0)
            continue
        wait(list(busy), timeout=1.0)
        for worker in busy.values():
            event = worker.event()
            if event is not None:
                task = worker.task
                assert task is not None
                if isinstance(event, Ended | Broken):
                    worker.task = None
                yield task, event


class _Worker:
    """One process, started when there is something to do, and the task it is at."""

    def __init__(self, weights: Weights) -> None:
        self.task: Task | None = None
        self._weights = weights
        self._pipe: Connection | None = None

    @property
    def pipe(self) -> Connection:
        if self._pipe is None:
            # A fresh interpreter: a forked one would have this one's threads' locks, and its CUDA context.
            fresh = multiprocessing.get_context("spawn")
            ours, theirs = fresh.Pipe()
            self._process = fresh.Process(target=_work, args=(theirs, self._weights()), daemon=True)
            self._process.start()
            theirs.close()
            self._pipe = ours
        return self._pipe

    def give(self, task: Task) -> None:
        self.task = task
        self._heard_s = time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # it is gone: `event` finds out
            self.pipe.send(task)

    def event(self) -> Event | None:
        """The next event where one is ready; a dead or silent worker's task is broken, and another takes its place."""
        # Asked for now: while an event of another worker was dealt with, minutes may have passed.
        if not self.pipe.poll():
            if time.monotonic() - self._heard_s < SILENCE_S:
                return None
            return self._broken(f"decoding it has hung for {SILENCE_S:.0f} s", lasting=True)
        try:
            event: Event = self.pipe.recv()
        except (EOFError, OSError):  # in the middle of a message, or between two
            self._process.join()
            code = self._process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return self._broken(f"the process that decoded it died ({how})", lasting=how in _CRASHES)
        self._heard_s = time.monotonic()
        return event

    def _broken(self, what: str, *, lasting: bool) -> Broken:
        assert self.task is not None
        self.stop()
        cure = "Re-encode it (ffmpeg -i in -c:v libx264 -c:a aac out.mp4); if memory ran out, take fewer --workers."
        return Broken(f"{self.task.source}: {what}.", cure, lasting=lasting)

    def stop(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
            self._pipe = None


def _work(pipe: Connection, weights: Path | None) -> None:
    """A worker's life: take a task, hand on its events, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    from stage1_embeddings.front_end import FrontEnd

    front_end = FrontEnd(weights)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is done, or gone
        while True:
            task: Task = pipe.recv()
            for event in front_end(task):
                pipe.send(event)
