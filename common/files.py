"""Files and folders that appear whole or not at all: written beside their place, flushed, renamed into it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError

_MARK = ".partial-"
_HASH_BLOCK = 1 << 20

#: What Windows takes for a device, whatever follows the first dot.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)

#: What to do about a name that `safe_name` refuses.
NAME_CURE = "Rename it: at most 200 bytes, no leading dot, slash or invisible sign, and no device such as con or nul."


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary sibling of ``path`` to write to; on success it is flushed to disk and renamed to ``path``.

    Works for a file or a folder. On an error the sibling is removed and ``path`` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name[:120]}{_MARK}{socket.gethostname()}-{os.getpid()}")
    _remove(partial)
    try:
        yield partial
        for file in [partial] if partial.is_file() else sorted(partial.rglob("*")):
            if file.is_file():
                file.chmod(0o666 & ~_umask())  # safetensors writes files that only their owner can read
                _flush(file)
        if partial.is_dir() and path.is_dir():
            _remove(path)
        partial.replace(path)
        _flush(path.parent)
    finally:
        _remove(partial)


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process makes ``path``; whoever enters next finds it made."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        yield


def write_json(path: Path, values: Any) -> None:
    """Write ``values`` as readable JSON, whole or not at all. NaN is written as null."""
    with written_whole(path) as partial:
        partial.write_text(json.dumps(_without_nan(values), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Append a line of UTF-8 by a single call, so that two processes don't mix theirs; never through a link.

    Raises
    ------
    OSError
        If ``path`` is a symbolic link: where it leads is no business of who writes here.
    """
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        os.write(handle, (line + "\n").encode("utf-8"))
    finally:
        os.close(handle)


def remove_partials(folder: Path) -> int:
    """Remove what killed processes of this machine left half-written in ``folder``; say how many there were."""
    process = re.compile(re.escape(f"{_MARK}{socket.gethostname()}-") + r"(\d+)")
    found = {path: process.search(path.name) for path in folder.glob(f".*{_MARK}*")}
    dead = [path for path, match in found.items() if match and not alive(int(match[1]))]
    for path in dead:
        _remove(path)
    return len(dead)


def sha256(*paths: Path) -> str:
    """SHA-256 of the contents of ``paths``, one after the other, as hex."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_HASH_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def safe_name(name: str, source: Path) -> str:
    """``name`` if it can be the name of one file in any folder; otherwise an error that names ``source``.

    Whoever joins it to a folder stays in that folder. A leading dash is a name like others: names of videos have them,
    and no command is given a bare one.
    """
    bad = not name or name.startswith(".") or any(sign in name for sign in "/\\\0") or len(os.fsencode(name)) > 200
    if bad or not name.isprintable() or _DEVICE.fullmatch(name):
        raise DataError(f"{str(source)!r} can't name a clip.", NAME_CURE)
    return name


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def alive(process: int) -> bool:
    """Is there a process of this number on this machine?"""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _without_nan(values: Any) -> Any:
    if isinstance(values, float) and values != values:
        return None
    if isinstance(values, dict):
        return {str(key): _without_nan(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_without_nan(value) for value in values]
    return values
