"""Files and folders that appear whole or not at all: written beside their place, flushed, renamed into it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError

_MARK = ".partial-"
_HASH_BLOCK = 1 << 20


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
def one_at_a_time(path: Path, *, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait until no other process makes ``path``; whoever enters next finds it made.

    ``waits`` is called once if another process is at it.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        waits()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, values: Any) -> None:
    """Write ``values`` as readable JSON, whole or not at all. NaN is written as null."""
    write_text(path, as_json(values))


def as_json(values: Any) -> str:
    """``values`` as readable JSON that ends its last line; NaN as null."""
    return json.dumps(_without_nan(values), indent=2, ensure_ascii=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def append_line(path: Path, text: str) -> None:
    """Add a line with a single write; half a line that a full disk left at the end isn't lengthened."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"
        line = f"{text}\n".encode()
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


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
    """``name`` if it can be the name of one file in any folder; otherwise an error that names ``source``."""
    bad = not name or name.startswith(".") or any(sign in name for sign in "/\\\0") or len(os.fsencode(name)) > 200
    if bad or not name.isprintable():
        raise DataError(f"{str(source)!r} can't name a clip.", "Rename it: at most 200 bytes, no leading dot.")
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
