"""All records in one SQLite file, which is made beside its place and renamed: never changed, so nothing is locked."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stage1_embeddings.cache_index.record import from_line
from stage1_embeddings.cache_index.segment import lines_of

_TABLES = (
    "CREATE TABLE files (name TEXT PRIMARY KEY, line BLOB) WITHOUT ROWID",
    "CREATE TABLE segments (name TEXT PRIMARY KEY, bytes INTEGER) WITHOUT ROWID",
)
_CACHE_KIB = 8192


class Merged:
    """A merged index, opened to read.

    Raises
    ------
    sqlite3.Error
        From any method, if the file isn't one, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        # immutable: no lock is asked for. A file that is renamed over stays what it was for whoever has it open.
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._database = sqlite3.connect(address, uri=True, check_same_thread=False)
        try:
            self._database.execute("PRAGMA trusted_schema=OFF")
            self._database.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            found = self._database.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
            if found != [(sql,) for sql in _TABLES]:
                raise sqlite3.DatabaseError("its tables aren't those of an index")
            self.merged = dict(self._database.execute("SELECT name, bytes FROM segments").fetchall())
        except sqlite3.Error:
            self.close()
            raise

    def find(self, names: Sequence[str]) -> dict[str, bytes]:
        """The lines of these names."""
        marks = ",".join("?" * len(names))
        return dict(self._database.execute(f"SELECT name, line FROM files WHERE name IN ({marks})", names).fetchall())

    def check(self) -> str | None:
        """What is wrong with the file, read whole; None where nothing is."""
        words = str(self._database.execute("PRAGMA quick_check(1)").fetchone()[0])
        if words != "ok":
            return " ".join(words.split())
        bad = sum(from_line(line) is None for (line,) in self._database.execute("SELECT line FROM files"))
        return f"{bad} of its records don't fit their checksums" if bad else None

    def close(self) -> None:
        self._database.close()


def build(target: Path, base: Path | None, tails: Mapping[Path, int]) -> None:
    """Write a merged index: that of ``base``, and what the writers' files have from the given byte on.

    Raises
    ------
    sqlite3.Error
        If ``base`` is damaged.
    OSError
        If a writer's file is gone, or ``target`` can't be written.
    """
    if base is not None:
        shutil.copyfile(base, target)
    with contextlib.closing(sqlite3.connect(target)) as database:
        for setting in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            database.execute(f"PRAGMA {setting}")
        if base is None:
            for table in _TABLES:
                database.execute(table)
        for path, start in tails.items():
            end = [start]
            database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", _noting(path, start, end))
            database.execute("INSERT OR REPLACE INTO segments VALUES (?, ?)", (path.name, end[0]))
        gone = set(dict(database.execute("SELECT name, bytes FROM segments"))) - {path.name for path in tails}
        database.executemany("DELETE FROM segments WHERE name = ?", [(name,) for name in gone])
        database.commit()


def _noting(path: Path, start: int, end: list[int]) -> Iterator[tuple[str, bytes]]:
    for name, line, after in lines_of(path, start):
        end[0] = after
        yield name, line
