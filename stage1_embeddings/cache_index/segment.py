"""The lines of one writer: a file that nobody else writes to, so that no lock is needed on any file system."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from common.owner import Owner, read_owner, this_process
from stage1_embeddings.cache_index.record import Record, from_line, to_line

_SUFFIX = ".lines"
#: Ends the name of a file that its writer has closed.
_DONE = f".done{_SUFFIX}"

#: A writer on another machine that has been silent for so long is taken to be gone.
_SILENT_S = 86_400.0
_LONGEST_LINE_BYTES = 1 << 16


class Segment:
    """Appends records, one call of the system for each."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{this_process()}-{secrets.token_hex(4)}{_SUFFIX}"
        self._file = self.path.open("xb", buffering=0)

    def add(self, record: Record) -> None:
        self._file.write(to_line(record))

    def close(self) -> None:
        """The name says from now on that nobody writes to it, to other machines as well."""
        self._file.close()
        self.path = self.path.rename(self.path.with_suffix(_DONE))


def segments(folder: Path) -> list[Path]:
    """The writers' files, that which was written to last at the end."""
    found = []
    for path in folder.glob(f"*{_SUFFIX}"):
        try:
            if _owner(path) and path.is_file() and not path.is_symlink():
                found.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:
            continue  # another process has just merged it
    return [path for _, path in sorted(found)]


def _owner(path: Path) -> Owner | None:
    return read_owner(path.name.removesuffix(_DONE).removesuffix(_SUFFIX).rpartition("-")[0])


def is_finished(path: Path) -> bool:
    """Will nobody write to this file again?"""
    if path.name.endswith(_DONE):
        return True
    owner = _owner(path)
    if owner is not None and owner.life != "elsewhere":
        return owner.life == "dead"
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
