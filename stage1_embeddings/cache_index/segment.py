"""The lines of one writer: a file that nobody else writes to, so that no lock is needed on any file system."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from common.files import alive
from stage1_embeddings.cache_index.record import Record, from_line, to_line

_NAME = re.compile(r"(?P<host>.+)-(?P<process>\d+)-[0-9a-f]{8}(?P<done>\.done)?\.lines")
#: A writer on another machine that has been silent for so long is taken to be gone.
_SILENT_S = 86_400.0
_LONGEST_LINE_BYTES = 1 << 16


class Segment:
    """Appends records, one call of the system for each."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.lines"
        self._file = self.path.open("xb", buffering=0)

    def add(self, record: Record) -> None:
        self._file.write(to_line(record))

    def close(self) -> None:
        """The name says from now on that nobody writes to it, to other machines as well."""
        self._file.close()
        self.path = self.path.rename(self.path.with_suffix(".done.lines"))


def segments(folder: Path) -> list[Path]:
    """The writers' files, that which was written to last at the end."""
    found = []
    for path in folder.glob("*.lines"):
        try:
            if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                found.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:
            continue  # another process has just merged it
    return [path for _, path in sorted(found)]


def is_finished(path: Path) -> bool:
    """Will nobody write to this file again?"""
    match = _NAME.fullmatch(path.name)
    if match is not None and (match["done"] or match["host"] == socket.gethostname()):
        return bool(match["done"]) or not alive(int(match["process"]))
    return path.stat().st_mtime < time.time() - _SILENT_S


def lines_of(path: Path, start: int) -> Iterator[tuple[str, bytes, int]]:
    """Name, line, and where the next one begins; damaged lines are passed over, an unfinished one ends it.

    Raises
    ------
    OSError
        If the file can't be read.
    """
    with path.open("rb") as file:
        file.seek(start)
        while (line := file.readline(_LONGEST_LINE_BYTES)).endswith(b"\n"):
            start += len(line)
            record = from_line(line)
            if record is not None:
                yield record.name, line, start
