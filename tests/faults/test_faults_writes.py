"""Writes that fail, each of each kind: a sentence, a clean state, and the same end next time."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.faults.after import check_clean, check_said, check_same_end
from tests.faults.conftest import Undisturbed
from tests.faults.failing import KINDS, fail
from tests.faults.place import STAGES
from tests.faults.tally import Row

NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
#: File, reason and cure.
WANTED = r"{root}.*({reasons}).*[Cc]heck [^\n]*(disk|rights)"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_fails(
    stage: str,
    kind: str,
    undisturbed: Undisturbed,
    count: int,
    rng: random.Random,
    row: Callable[[str, str], Row],
    tmp_path: Path,
) -> None:
    place, log = undisturbed.place, tmp_path / "calls"
    undisturbed.before(stage)
    undisturbed.forks.run(place.commands(stage), partial(fail, kind, 0, 0, place.root, log))
    calls = int(log.read_text()) if log.exists() else 0
    if not calls:
        pytest.skip(f"{stage} has no {kind}")
    found = row(stage, f"{kind} fails ({calls} calls)")
    most = max(1, count // 12)
    parts = range(calls) if calls <= most else [int((k + rng.random()) * calls / most) for k in range(most)]
    for number, call in enumerate(parts, start=rng.randrange(4)):
        code = NUMBERS[number % 4]
        undisturbed.before(stage)
        child = undisturbed.forks.run(place.commands(stage), partial(fail, kind, call + 1, code, place.root, log))
        where = f"{kind} {call + 1} of {calls} failed with {errno.errorcode[code]}"
        found.tried += 1
        reasons = "|".join((os.strerror(code), "can't be written"))
        check_said(found, child, where, codes=[1], wanted=WANTED.format(root=place.root, reasons=reasons))
        check_clean(found, undisturbed, where)
        check_same_end(found, undisturbed, stage, where)
    found.require()


@contextlib.contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """A file system of so many bytes in place of an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system can't be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_fills_up(
    stage: str, undisturbed: Undisturbed, count: int, rng: random.Random, row: Callable[[str, str], Row]
) -> None:
    """The whole place lies on it; then it gets room, and the same command goes on."""
    place = undisturbed.place
    undisturbed.before(stage)
    base = used(place.root)
    undisturbed.forks.run(place.commands(stage))
    full = used(place.root) + (5 << 20)  # each clip wants some MiB in reserve
    found = row(stage, "disk full (tmpfs)")
    tries = max(1, count // 20)
    for number in range(tries):
        size = base + int((full - base) * (number + rng.random()) / tries)
        undisturbed.before(stage)
        kept = place.root.with_name("kept")
        shutil.rmtree(kept, ignore_errors=True)
        place.root.rename(kept)
        with small_disk(place.root, size):
            subprocess.run(["cp", "-a", f"{kept}/.", str(place.root)], check=True)
            child = undisturbed.forks.run(place.commands(stage))
            where = f"a disk of {size} bytes"
            found.tried += 1
            if child.process.exitcode != 0:
                check_said(found, child, where, codes=[1], wanted=r"(space|room|written).*[Cc]heck [^\n]*disk")
                check_clean(found, undisturbed, where)
            subprocess.run(["mount", "-o", f"remount,size={size + (64 << 20)}", str(place.root)], check=True)
            check_same_end(found, undisturbed, stage, where)
    found.require()


def used(folder: Path) -> int:
    return int(
        subprocess.run(["du", "-sB1", str(folder)], capture_output=True, text=True, check=True).stdout.split()[0]
    )
