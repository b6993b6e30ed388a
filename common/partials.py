"""Temporary siblings of files that appear whole: how they are called, and what becomes of those left behind."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from common.owner import Owner, read_owner, this_process

_MARK = ".partial-"
_PARTIAL = re.compile(r"\..+" + re.escape(_MARK) + r"(?P<owner>.+)")

#: A name has 255 bytes on most file systems; the owner's takes up to 120 of them.
_MOST_BYTES = 120


def partial_name(name: str) -> str:
    """What a temporary sibling of ``name`` is called that this process makes."""
    encoded = os.fsencode(name)
    if len(encoded) > _MOST_BYTES:
        name = f"{encoded[:100].decode(errors='ignore')}~{hashlib.sha256(encoded).hexdigest()[:8]}"
    return f".{name}{_MARK}{this_process()}"


def is_partial(path: Path) -> bool:
    """Is this the name of a temporary sibling?"""
    return _PARTIAL.fullmatch(path.name) is not None


def is_left(path: Path) -> bool:
    """Is this a temporary sibling whose process is gone? One of another machine is never taken for that."""
    match = _PARTIAL.fullmatch(path.name)
    owner: Owner | None = read_owner(match["owner"]) if match else None
    return owner is not None and owner.life == "dead"


def remove_partials(folder: Path) -> int:
    """Remove what killed processes of this machine left half-written in ``folder``; say how many there were."""
    left = [path for path in folder.glob(f".*{_MARK}*") if is_left(path)]
    for path in left:
        remove(path)
    return len(left)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
