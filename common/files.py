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
from common.outside_text import shortened

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
    bad = not name or name.startswith(".") or any(sign in name for sign in "/\\\0") or not name.isprintable()
    if bad or len(os.fsencode(name)) > 200:
        said = shortened(str(source), 400)
        raise DataError(f"{said} can't name a clip.", "Rename it: at most 200 bytes, no leading dot.")
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
