"""How a number came about: versions, commit, command, machine. Saved beside and inside every artefact."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent

_PACKAGES = ("torch", "transformers", "numpy", "h5py", "av", "opencv-python-headless", "openai-whisper")


@functools.cache  # asked for with every clip
def commit() -> str:
    """The commit of this checkout, with ``+changes`` where files differ from it; ``unknown`` outside of one."""
    try:
        head = _git("rev-parse", "HEAD")
        return f"{head}+changes" if _git("status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.SubprocessError):
        return "unknown"


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape results."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def command() -> str:
    """The command line of this process, as it can be typed again."""
    program = Path(sys.argv[0])
    name = f"python -m {program.parent.name}" if program.name == "__main__.py" else program.name
    return shlex.join([*name.split(), *sys.argv[1:]])


def provenance() -> dict[str, Any]:
    """All of it, as JSON values."""
    return {
        "commit": commit(),
        "versions": dict(versions()),
        "command": command(),
        "machine": f"{platform.system()} {platform.machine()}",
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
