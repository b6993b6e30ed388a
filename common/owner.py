"""Who made a file that is only meant for a while: which process of which machine, and is it still there?

A process number says little: it is given out again after its process, after a reboot, and in every container. So a tag
names the host, the boot, the space in which the number counts (containers of one host each have their own), the number,
and when the process started, in ticks since the boot, which no set clock changes.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

#: ``elsewhere``: of another machine, boot or container; only its own signs of life can tell.
Life = Literal["alive", "dead", "elsewhere"]

_TAG = re.compile(
    r"(?P<host>[A-Za-z0-9._-]+)-(?P<boot>(?:[0-9a-f]{12})?)-(?P<space>\d*)-(?P<process>[1-9]\d{0,9})-(?P<started>\d*)",
    re.ASCII,
)

_BOOT_DIGITS = 12
_HOST_SIGNS = 63
#: Fields of /proc/<process>/stat behind the name of the program, which may hold anything: state, and time of start.
_STATE, _STARTED = 0, 19


@dataclass(frozen=True)
class Owner:
    """A process. ``boot``, ``space`` and ``started`` are empty where the system doesn't say (no /proc)."""

    host: str
    boot: str
    space: str
    process: int
    started: str

    def __str__(self) -> str:
        """As a part of a file name: ``<host>-<boot>-<space>-<process>-<started>``."""
        return f"{self.host}-{self.boot}-{self.space}-{self.process}-{self.started}"

    @property
    def life(self) -> Life:
        """Is it still there? A process that has ended but wasn't waited for is dead."""
        own = this_process()
        if (self.host, self.boot, self.space) != (own.host, own.boot, own.space):
            return "elsewhere"
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return "dead"
        except (PermissionError, OverflowError):
            pass  # somebody else's, or no number of this system
        fields = _fields(self.process)
        if fields and (fields[_STATE] in "ZX" or (self.started and fields[_STARTED] != self.started)):
            return "dead"
        return "alive"


def this_process() -> Owner:
    """The process that asks."""
    return _of(os.getpid())


def read_owner(tag: str) -> Owner | None:
    """The owner that ``tag`` names; None where it names none."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    host, boot, space, process, started = match.groups()
    return Owner(host, boot, space, int(process), started)


@lru_cache(maxsize=1)  # by process: a forked one is another
def _of(process: int) -> Owner:
    fields = _fields(process)
    boot = _read(Path("/proc/sys/kernel/random/boot_id")).strip().replace("-", "")[:_BOOT_DIGITS]
    try:
        space = "".join(filter(str.isdigit, str(Path("/proc/self/ns/pid").readlink())))
    except OSError:
        space = ""
    host = re.sub(r"[^A-Za-z0-9._-]", "_", socket.gethostname())[:_HOST_SIGNS] or "localhost"
    return Owner(host, boot, space, process, fields[_STARTED] if fields else "")


def _fields(process: int) -> list[str]:
    """What /proc says of a process; [] where there is none, or nobody may look."""
    fields = _read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return fields if len(fields) > _STARTED else []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
