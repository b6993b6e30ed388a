"""Files and folders that appear whole or not at all: written beside their place, flushed, renamed into it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from common.claims import one_at_a_time
from common.errors import DataError
from common.outside_text import shortened
from common.partials import partial_name, remove, remove_partials

__all__ = ["one_at_a_time", "remove_partials", "safe_name", "sha256", "write_json", "write_text", "written_whole"]

_HASH_BLOCK = 1 << 20
_ASKING = threading.Lock()

#: What ends a name, or a folder's.
_SEPARATORS = frozenset("/\\\0")

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
    partial = path.with_name(partial_name(path.name))
    remove(partial)
    try:
        yield partial
        for file in [partial] if partial.is_file() else sorted(partial.rglob("*")):
            if file.is_file():
                file.chmod(0o666 & ~_umask())  # safetensors writes files that only their owner can read
                _flush(file)
        if partial.is_dir() and path.is_dir():
            remove(path)
        partial.replace(path)
        _flush(path.parent)
    finally:
        remove(partial)


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


def append_line(path: Path, line: str) -> None:
    """Append a line of UTF-8 by a single call, so that two processes don't mix theirs; never through a link.

    Half a line at the end, which a kill or a full disk left there, isn't lengthened.

    Raises
    ------
    OSError
        If ``path`` is a symbolic link, as where it leads is no business of who writes here; if the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        content = b"\n" * torn + line.encode("utf-8", errors="replace") + b"\n"
        if os.write(handle, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(handle)


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
    bad = not name or name.startswith(".") or not _SEPARATORS.isdisjoint(name) or len(os.fsencode(name)) > 200
    if bad or not name.isprintable() or _DEVICE.fullmatch(name):
        raise DataError(f"{shortened(str(source), 400)} can't name a clip.", NAME_CURE)
    return name


def _umask() -> int:
    with _ASKING:
        return _umask_once()


@cache
def _umask_once() -> int:
    """It can only be read by setting it, which threads must not do at once."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
