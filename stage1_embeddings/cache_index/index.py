"""The index of a features folder: which files are finished and what they are, without opening one of them.

``features/<fingerprint>/.index/``: each writer appends to a file of its own (segment.py); now and then they are merged
into ``merged.sqlite`` (merged.py). All of it is a copy of what the clip files say: a record counts only as long as its
file is the same by a look at the folder, and whoever deletes the index loses time, nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from common.files import remove_partials, written_whole
from stage1_embeddings.cache_index.merged import Merged, build
from stage1_embeddings.cache_index.record import Identity, Record, from_line, identity
from stage1_embeddings.cache_index.segment import Segment, is_finished, lines_of, segments

FOLDER = ".index"
MERGED = "merged.sqlite"

#: More than this is merged rather than held in memory: some 3,000 records.
_MOST_HELD_BYTES = 1 << 20
#: More files than this take longer to open than to merge.
_MOST_SEGMENTS = 100
_BLOCK = 500

T = TypeVar("T")

_log = logging.getLogger(__name__)


class CacheIndex:
    """The index of one folder of clip files; opened when it is first asked.

    Parameters
    ----------
    folder : Path
        Of the clip files.
    """

    def __init__(self, folder: Path) -> None:
        self._clips = folder
        self._folder = folder / FOLDER
        self._keeps = False
        self._segment: Segment | None = None
        self._is_open = False
        self._merged: Merged | None = None
        self._held: dict[str, bytes] = {}
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __reduce__(self) -> tuple[type[CacheIndex], tuple[Path]]:
        return CacheIndex, (self._clips,)

    def keep(self) -> None:
        """From now on `add` writes records down; without this, nothing is ever written."""
        self._keeps = True

    def fresh(self, names: Iterable[str]) -> dict[str, Record]:
        """Records of these names whose files are there, unchanged."""
        lines = self.lines(names)
        files = self.identities(lines)
        found = {}
        for name, line in lines.items():
            record = from_line(line) if name in files else None
            if record is not None and record.name == name and record.file == files[name]:
                found[name] = record
        return found

    def identities(self, names: Iterable[str]) -> dict[str, Identity]:
        """Of the files as they are now, of those that are there."""
        try:
            folder = os.open(self._clips, os.O_RDONLY)  # the way to it is gone once, not for each
        except OSError:
            return {}
        try:
            return {name: found for name in names if (found := identity(f"{name}.h5", folder)) is not None}
        finally:
            os.close(folder)

    def identity(self, name: str) -> Identity | None:
        """Of the file as it is now; None where there is none."""
        return identity(f"{self._clips}/{name}.h5")

    def lines(self, names: Iterable[str]) -> dict[str, bytes]:
        """The lines of these names, unread, whatever became of their files."""
        self._open()
        found: dict[str, bytes] = {}
        for block in blocks_of(names):
            found |= self._find(block) if self._merged else {}
            found |= {name: self._held[name] for name in block if name in self._held}
        return found

    def add(self, record: Record) -> None:
        """Write a record down, if records are kept. That it can't be is no reason to stop."""
        if not self._keeps:
            return
        try:
            self._segment = self._segment or Segment(self._folder)
            self._segment.add(record)
        except OSError as error:
            self._keeps = False
            _log.warning("The index of %s isn't kept up: %s.", self._clips, error.strerror or error)

    def refresh(self) -> None:
        """See what others have added, at the next question."""
        if self._merged is not None:
            self._merged.close()
        if self._scratch is not None:
            self._scratch.cleanup()
        self._is_open, self._merged, self._held, self._scratch = False, None, {}, None

    def close(self) -> None:
        """End this process's file, and merge it where that is worth while; the index opens again when it is asked."""
        self.refresh()
        mine, self._segment = self._segment, None
        if mine is None:
            return
        with contextlib.suppress(OSError):  # no room, no rights: the files of the writers serve as well
            mine.close()
            if self._waiting_bytes() > _MOST_HELD_BYTES or len(segments(self._folder)) > _MOST_SEGMENTS:
                self._publish()

    def _open(self) -> None:
        if self._is_open:
            return
        self._is_open = True
        if not self._folder.is_dir():
            return
        if self._waiting_bytes() > _MOST_HELD_BYTES:
            self._merge()
        else:
            places, self._merged = self._tails()
            self._hold(places)

    def _merge(self) -> None:
        """Into the folder, or where nothing may be written there, into a temporary file of our own."""
        if self._keeps:
            with contextlib.suppress(OSError):
                self._publish()
                places, self._merged = self._tails()
                self._hold(places)
                return
        try:
            self._scratch = tempfile.TemporaryDirectory(prefix="index-")
            path = Path(self._scratch.name) / MERGED
            self._build(path)
            self._merged = Merged(path)
        except (OSError, sqlite3.Error) as error:
            self._say_damaged(error)

    def _publish(self) -> None:
        remove_partials(self._folder)
        with written_whole(self._folder / MERGED) as partial:
            places = self._build(partial)
        for path in places:
            with contextlib.suppress(FileNotFoundError):
                if is_finished(path):
                    path.unlink()

    def _build(self, target: Path) -> list[Path]:
        """Merge into ``target``; the writers' files that are in it."""
        places, merged = self._tails()
        base = self._folder / MERGED if merged is not None else None
        if merged is not None:
            merged.close()
        try:
            build(target, base, places)
        except sqlite3.Error as error:
            self._say_damaged(error)
            target.unlink(missing_ok=True)
            try:
                build(target, None, dict.fromkeys(places, 0))
            except sqlite3.Error as again:  # it is the disk, then
                raise OSError(errno.EIO, str(again), str(target)) from again
        return list(places)

    def _tails(self) -> tuple[dict[Path, int], Merged | None]:
        """The writers' files and how far they are merged; listed first, so that one merged meanwhile isn't missed."""
        found = segments(self._folder)
        merged = None
        if (self._folder / MERGED).is_file():
            try:
                merged = Merged(self._folder / MERGED)
            except sqlite3.Error as error:
                self._say_damaged(error)
        known = merged.merged if merged is not None else {}
        return {path: int(known.get(path.name, 0)) for path in found}, merged

    def _hold(self, places: dict[Path, int]) -> None:
        for path, start in places.items():
            with contextlib.suppress(OSError):  # merged by another process since: the files themselves tell
                self._held |= {name: line for name, line, _ in lines_of(path, start)}

    def _waiting_bytes(self) -> int:
        places, merged = self._tails()
        if merged is not None:
            merged.close()
        sizes = 0
        for path, start in places.items():
            with contextlib.suppress(FileNotFoundError):
                sizes += max(0, path.stat().st_size - start)
        return sizes

    def _find(self, names: list[str]) -> dict[str, bytes]:
        assert self._merged is not None
        try:
            return self._merged.find(names)
        except sqlite3.Error as error:
            self._say_damaged(error)
            self._merged = None
            return {}

    def _say_damaged(self, error: Exception) -> None:
        _log.warning("%s can't be used (%s); it is made again.", self._folder / MERGED, error)


def blocks_of(items: Iterable[T], size: int = _BLOCK) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last of what is left."""
    rest = iter(items)
    while block := list(islice(rest, size)):
        yield block
