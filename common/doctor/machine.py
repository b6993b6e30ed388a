"""The machine without its networks: system, Python, packages against their pins, tools, limits."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from common.doctor.check import Check
from common.doctor.check import python as command
from common.limits import OTHER_FILES
from common.provenance import PROJECT, commit
from common.sizes import in_bytes

SECTION = "machine"

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def system() -> Iterator[Check]:
    """System, cores that this process may use, memory."""
    cores, memory = usable_cores(), memory_bytes()
    text = f"{platform.system()} {platform.release()} {platform.machine()}, {cores:g} cores"
    text += f", {in_bytes(memory)} memory" if memory else ""
    yield Check(SECTION, "system", "ok", text, facts={"cores": cores, "memory_bytes": memory})


def usable_cores() -> float:
    """Cores that this process may use: by the machine, by its affinity, by its control group."""
    cores = float(os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        cores = float(len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError, ValueError):  # no control group, or "max": no limit
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        cores = min(cores, int(quota) / int(period))
    return cores


def memory_bytes() -> int:
    """Memory that this process may use; 0 where the system doesn't say."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 0
    with contextlib.suppress(OSError, ValueError):  # as above
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return memory


def python() -> Iterator[Check]:
    """The interpreter; where it is too old the doctor doesn't get as far as here."""
    text = f"{platform.python_version()} at {sys.executable}"
    yield Check(SECTION, "python", "ok", text, facts={"version": platform.python_version()})


def packages(requirements: Path = PROJECT / "requirements.txt") -> Iterator[Check]:
    """What is installed against what is pinned."""
    pins = [Requirement(text) for line in requirements.read_text(encoding="utf-8").splitlines() if (text := _pin(line))]
    wanted = [one for one in pins if one.marker is None or one.marker.evaluate()]
    missing, other = [], []
    for pin in wanted:
        try:
            found = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(str(pin))
            continue
        # 2.13.0+cpu is 2.13.0.
        if not pin.specifier.contains(found, prereleases=True):
            other.append(f"{pin.name} {found} ({pin.specifier} pinned)")
    facts = {"missing": missing, "other": other}
    install = command("-m", "pip", "install", "-r", str(requirements))
    if missing:
        text = f"{len(missing)} of {len(wanted)} missing: {', '.join(missing)}"
        yield Check(SECTION, "packages", "missing", text, "Install them:", install, facts)
    if other:
        text = f"{len(other)} of {len(wanted)} other than pinned: {', '.join(other)}"
        yield Check(
            SECTION, "packages", "warning", text, "Results may differ; install the pinned ones:", install, facts
        )
    if not missing and not other:
        yield Check(SECTION, "packages", "ok", f"all {len(wanted)} as pinned in {requirements.name}", facts=facts)


def _pin(line: str) -> str:
    """The requirement of a line, without its comment; empty for a comment alone or an option of pip."""
    pin = line.partition("#")[0].strip()
    return "" if pin.startswith("-") else pin


def tools() -> Iterator[Check]:
    """make, git and the commit, Chromium."""
    if shutil.which("make") is None:
        cure = "Install make (Debian: apt-get install make), or call the commands of the Makefile yourself."
        yield Check(SECTION, "make", "warning", "not found: the targets of the Makefile can't be used", cure)
    made_by = commit()
    if shutil.which("git") is None:
        cure = "Install git (Debian: apt-get install git)."
        yield Check(SECTION, "git", "warning", "not found: results won't say of which commit they are", cure)
    elif made_by == "unknown":
        text = f"{PROJECT} is no checkout that git reads: results won't say of which commit they are"
        yield Check(SECTION, "git", "warning", text, "See what git says:", f"git -C {shlex.quote(str(PROJECT))} status")
    browser = next((name for name in _CHROMIUM if shutil.which(name)), None)
    words = [version for tool in ("make", "git") if (version := _version(tool))]
    words.append(f"{browser or 'no Chromium'} (for check-browser alone)")
    yield Check(SECTION, "tools", "ok", ", ".join(words), facts={"commit": made_by, "chromium": browser})


def _version(tool: str) -> str:
    """Such as ``git version 2.39.5``; empty where it isn't there or doesn't say."""
    try:
        done = subprocess.run([tool, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return next(iter(done.stdout.splitlines()), "").replace("GNU Make", "make").replace(" version", "").strip()


def limits(clips: int | None, loaders: int) -> Iterator[Check]:
    """Open files against the number of clips that are trained on; shared memory, where ``loaders`` processes load."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # what a run may ask for; it does
    if files == resource.RLIM_INFINITY:
        files = 1 << 20
    room = max(0, files - OTHER_FILES)  # training keeps each clip's file open
    facts = {"open_files": files, "enough_for_clips": room}
    text = f"{files:,} open files (ulimit -Hn), enough for {room:,} clips"
    if clips is not None and clips > room:
        text += f", and {clips:,} are trained on"
        cure = "Have the hard limit raised, in containers with --ulimit nofile=:"
        yield Check(SECTION, "limits", "failed", text, cure, f"ulimit -Hn {clips + OTHER_FILES}", facts)
    else:
        yield Check(SECTION, "limits", "ok", text, facts=facts)
    shared = Path("/dev/shm")
    if loaders and shared.is_dir() and (size := shutil.disk_usage(shared).total) < 1 << 30:
        text = f"{shared} has {in_bytes(size)}, and training.workers is {loaders}: loading may die of it"
        yield Check(SECTION, "limits", "warning", text, "docker run --shm-size=8g, or training.workers=0.")
