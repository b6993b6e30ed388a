"""A read-only cache, a clock that jumps, claims and locks that somebody left, two runs at once."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from common.owner import this_process
from tests.faults.after import check_clean, check_said, check_same_end
from tests.faults.conftest import Undisturbed
from tests.faults.failing import clock_jumps
from tests.faults.place import STAGES, Place, differences, results
from tests.faults.tally import Row

YEARS = {"forwards": (0, 30), "backwards": (0, -30), "to and fro": (-20, 0, 20)}
LEFT = (b"", b"garbage\x00\xff", b'{"host": "another", "pid": 1, "time": "yesterday"}', b"[]", b"4294967295")


def read_only(folder: Path) -> None:
    for options in (["--bind", str(folder), str(folder)], ["-o", "remount,bind,ro", str(folder)]):
        done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a folder can't be made read-only here: {done.stderr.strip()}")


def test_a_finished_run_over_a_read_only_cache(undisturbed: Undisturbed, row: Callable[[str, str], Row]) -> None:
    found, place = row("all", "read-only cache"), undisturbed.place
    for gone in ((), ("test",), ("test", "head"), ("fusion",)):
        undisturbed.afterwards()
        for name in gone:
            subprocess.run(["rm", "-r", str(place.run / name)], check=True)
        read_only(place.cache)
        try:
            child = undisturbed.forks.run(place.all())
            found.tried += 1
            where = f"a read-only cache without {gone or 'anything to do'}"
            if child.process.exitcode != 0:
                wanted = rf"{place.cache}.*Read-only file system.*Check the path, the disk and the rights"
                check_said(found, child, where, codes=[1], wanted=wanted)
            if not gone:
                check_said(found, child, where, codes=[0], wanted="nothing to do.*nothing to do.*nothing to do")
            if "test" in gone:
                check_said(found, child, where, codes=[0], wanted="")
            found.count("different", differences(results(place), undisturbed.results["stage 3"]), where)
        finally:
            subprocess.run(["umount", str(place.cache)], check=True)
    found.require()


@pytest.mark.parametrize("stage", STAGES)
def test_a_clock_that_jumps(
    stage: str, undisturbed: Undisturbed, rng: random.Random, row: Callable[[str, str], Row]
) -> None:
    found, place = row(stage, "clock jumps"), undisturbed.place
    for name, years in YEARS.items():
        undisturbed.before(stage)
        child = undisturbed.forks.start(place.commands(stage), partial(clock_jumps, *years))
        if not child.ended_by(rng.random() * undisturbed.span_s[stage]):
            child.send(signal.SIGKILL)
        child.process.join()
        found.tried += 1
        _touch(place, rng.choice([-30, 30]))
        child = undisturbed.forks.run(place.commands(stage), partial(clock_jumps, *reversed(years)))
        where = f"a clock that jumped {name}"
        check_said(found, child, where, codes=[0], wanted="")
        child = check_same_end(found, undisturbed, stage, where)
        check_said(found, child, where, codes=[0], wanted="nothing to do")
    found.require()


def _touch(place: Place, years: int) -> None:
    then = time.time() + years * 365.25 * 86_400
    for path in place.files():
        os.utime(path, (then, then))


@pytest.mark.parametrize("stage", STAGES)
def test_claims_that_were_left(
    stage: str, undisturbed: Undisturbed, count: int, rng: random.Random, row: Callable[[str, str], Row]
) -> None:
    """Of a killed process, as they are and overwritten; of long ago, and of a time to come."""
    found, place = row(stage, "stale claim"), undisturbed.place
    for number in range(max(3, count // 16)):
        undisturbed.before(stage)
        child = undisturbed.forks.start(place.commands(stage))
        if not child.ended_by((0.1 + 0.6 * rng.random()) * undisturbed.span_s[stage]):
            child.send(signal.SIGKILL)
        child.process.join()
        clips = [entry["id"] for entry in _clips(undisturbed)]
        left = [path for path in place.root.rglob("*.claim/*") if path.is_file()]
        for folder in place.cache.glob("features/*/"):
            claim = folder / ".claims" / f"{rng.choice(clips)}.claim"
            claim.mkdir(parents=True, exist_ok=True)
            left += [claim / f"{replace(this_process(), process=999999999)}-0123abcd"]
        if number % 3:
            for path in left:
                path.write_bytes(rng.choice(LEFT))
        years = (-1, 0, 1)[number % 3] if number % 3 else 0
        for path in left:
            then = time.time() + years * 3e7
            os.utime(path, (then, then)) if path.exists() else path.write_bytes(b"")
        found.tried += 1
        check_same_end(found, undisturbed, stage, f"{[path.name for path in left]} left, {years} years off")
    found.require()


def _clips(undisturbed: Undisturbed) -> list[dict[str, str]]:
    path = undisturbed.templates["end"] / "runs" / "small" / "manifest.json"
    found: list[dict[str, str]] = json.loads(path.read_text())["clips"]
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_two_runs_at_once(
    stage: str, undisturbed: Undisturbed, count: int, rng: random.Random, row: Callable[[str, str], Row]
) -> None:
    found, place = row(stage, "two at once"), undisturbed.place
    for _ in range(max(2, count // 25)):
        undisturbed.before(stage)
        one = undisturbed.forks.start(place.commands(stage))
        time.sleep(rng.random() * 0.5 * undisturbed.span_s[stage])
        other = undisturbed.forks.start(place.commands(stage))
        found.tried += 1
        for child in (one, other):
            child.end()
            check_said(found, child, "two at once", codes=[0], wanted="")
        said = one.said + other.said
        trained = re.findall(r"Stage (\d): training on", said)
        found.count("twice", {stage for stage in trained if trained.count(stage) > 1}, "two at once")
        found.count("twice", place.logged_twice(), "two at once")
        check_clean(found, undisturbed, "two at once")
        child = check_same_end(found, undisturbed, stage, "two at once")
        check_said(found, child, "two at once", codes=[0], wanted="nothing to do")
    found.require()
