"""Decoding in worker processes: the same events, whatever becomes of a worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from common.recipe import Faces
from stage1_embeddings import workers
from stage1_embeddings.events import Broken, Ended, Event, Frames, Task
from stage1_embeddings.workers import supply
from tests.common.media_files import gray, write_video

FACES = Faces(detector="none", crop_px=64)


def task(source: Path) -> Task:
    return Task(source.stem, source, None, None, FACES, 0, picture=True, sound=True, keep=False)


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    return [write_video(tmp_path / f"{n}.mp4", [gray((20 * n + k) % 256) for k in range(200 + n)]) for n in range(3)]


def no_weights() -> None:
    return None


def by_clip(events: Iterator[tuple[Task, Event]]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for one, event in events:
        found.setdefault(one.key, []).append(event)
    return found


@pytest.mark.parametrize("count", [1, 2])
def test_workers_hand_on_what_one_process_does(videos: list[Path], count: int) -> None:
    here = by_clip(supply(iter(map(task, videos)), 0, no_weights))
    there = by_clip(supply(iter(map(task, videos)), count, no_weights))
    assert list(here) == ["0", "1", "2"] and set(there) == set(here)
    for key, events in here.items():
        assert [type(event) for event in events] == [type(event) for event in there[key]]
        assert isinstance(events[-1], Ended)
        for one, other in zip(events, there[key], strict=True):
            if isinstance(one, Frames):
                assert np.array_equal(one.crops, other.crops) and np.array_equal(one.time_s, other.time_s)
        assert sum(len(event.time_s) for event in events if isinstance(event, Frames)) == 200 + int(key)


def test_a_task_is_asked_for_only_when_somebody_is_free(videos: list[Path]) -> None:
    given: list[str] = []

    def tasks() -> Iterator[Task | None]:
        for path in videos:
            given.append(path.stem)
            yield None  # nothing just now
            yield task(path)

    events = supply(tasks(), 1, no_weights)
    next(events)
    assert given == ["0"]
    assert set(by_clip(events)) == {"0", "1", "2"}


def test_nothing_to_do_starts_no_process() -> None:
    def weights() -> None:
        raise AssertionError("asked for the detector's weights")

    assert list(supply(iter(()), 2, weights)) == []


def test_a_worker_that_dies_costs_its_clip_only(videos: list[Path]) -> None:
    events = supply(iter(map(task, videos)), 1, no_weights)
    seen: dict[str, list[Event]] = {}
    for one, event in events:
        if one.key == "0" and "0" not in seen:
            (child,) = children()
            os.kill(child, signal.SIGSEGV)
        seen.setdefault(one.key, []).append(event)
    broken = seen["0"][-1]
    assert isinstance(broken, Broken) and "SIGSEGV" in broken.problem and broken.lasting
    assert isinstance(seen["1"][-1], Ended) and isinstance(seen["2"][-1], Ended)


def test_a_worker_that_is_killed_is_no_fault_of_its_clip(videos: list[Path]) -> None:
    for one, event in supply(iter([task(videos[0])]), 1, no_weights):
        if isinstance(event, Broken):
            assert "SIGKILL" in event.problem and not event.lasting and one.key == "0"
            return
        for child in children():
            os.kill(child, signal.SIGKILL)
    pytest.fail("the loss of the worker went unnoticed")


def test_a_worker_that_falls_silent_is_given_up(videos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SILENCE_S", 1.0)
    began_s, stopped = time.monotonic(), False
    for _, event in supply(iter([task(videos[0])]), 1, no_weights):
        if isinstance(event, Broken):
            assert "hung" in event.problem and event.lasting and time.monotonic() - began_s < 60
            return
        if not stopped:
            os.kill(children()[0], signal.SIGSTOP)
            stopped = True
    pytest.fail("the silent worker was waited for")


def children() -> list[int]:
    """Worker processes of this one; multiprocessing's resource tracker aside."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                words = (folder / "cmdline").read_text()
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and "spawn_main" in words:
                found.append(int(folder.name))
    return found
