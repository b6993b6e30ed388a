"""Every clip file read whole: checksums, shapes, masks, clocks.

A process of its own reads: what is damaged can crash the HDF5 library, or let it run on without an end.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import h5py

from common.errors import CacheError, MavenError
from common.reasons import reason_of
from common.schema import SCHEMA_VERSION
from common.store import read_attributes, validate
from stage1_embeddings.cache_index.index import CacheIndex
from stage1_embeddings.upkeep.folders import KINDS, clip_files, folders
from stage1_embeddings.upkeep.index_check import damaged_indexes, difference

#: How long reading a file may take: this, and a second for each so many bytes.
LEAST_S = 60.0
BYTES_PER_S = 1_000_000


@dataclass(frozen=True)
class Damage:
    """A clip file that isn't what it should be.

    Attributes
    ----------
    path : Path
    problem : str
        What is wrong, in a sentence that names the file.
    broken : bool
        Its content is wrong; False where it is only out of reach, or another version's.
    removed : bool
    """

    path: Path
    problem: str
    broken: bool
    removed: bool = False


def every_file(cache: Path) -> list[Path]:
    """All clip files of the cache: features, fused, crops."""
    return [path for kind in KINDS for folder in folders(cache, kind) for path in clip_files(folder)]


def verify(
    files: Iterable[Path], *, delete: bool = False, on_damage: Callable[[Damage], None] = lambda damage: None
) -> list[Damage]:
    """Read clip files whole, one after the other, a block at a time.

    Parameters
    ----------
    delete : bool
        Remove those whose content is wrong, so that the next run makes them again.
    on_damage : callable
        Told of each at once.

    Returns
    -------
    list of Damage
    """
    found: list[Damage] = []
    with Reader() as reader:
        for path in files:
            before = _identity(path)
            damage = reader.damage(path) if before is not None else None
            if damage is None or _identity(path) != before:
                continue  # sound; or replaced or removed by another process meanwhile
            if delete and damage.broken:
                path.unlink()
                damage = Damage(path, damage.problem, broken=True, removed=True)
            found.append(damage)
            on_damage(damage)
    return found


def verify_indexes(
    cache: Path, *, delete: bool = False, on_damage: Callable[[Damage], None] = lambda damage: None
) -> list[Damage]:
    """As `verify`, of the indexes of features folders."""
    found = []
    for path, problem in damaged_indexes(cache).items():
        if delete:
            path.unlink(missing_ok=True)
        found.append(Damage(path, problem, broken=True, removed=delete))
        on_damage(found[-1])
    return found


class Reader:
    """A process that reads clip files, one after the other; another takes its place where one dies of it."""

    def __enter__(self) -> Reader:
        self._start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def damage(self, path: Path) -> Damage | None:
        """What is wrong with a file, or None."""
        limit_s = LEAST_S + path.stat().st_size / BYTES_PER_S
        try:
            self._pipe.send(path)
            if self._pipe.poll(limit_s):
                found: Damage | None = self._pipe.recv()
                return found
            damage = Damage(
                path, f"{path} can't be read within {limit_s:.0f} s: damaged, or a slow disk.", broken=False
            )
        except (EOFError, BrokenPipeError, ConnectionResetError):
            damage = Damage(path, f"{path} is damaged so that reading it crashes the HDF5 library.", broken=True)
        self._stop()
        self._start()
        return damage

    def _start(self) -> None:
        fresh = multiprocessing.get_context("spawn")
        self._pipe, theirs = fresh.Pipe()
        self._process = fresh.Process(target=_read, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _stop(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _read(pipe: Connection) -> None:
    """The reading process's life, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    indexes: dict[Path, CacheIndex] = {}
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            path = pipe.recv()
            pipe.send(_damage(path, indexes.setdefault(path.parent, CacheIndex(path.parent))))


def _damage(path: Path, index: CacheIndex) -> Damage | None:
    if not os.access(path, os.R_OK):
        return Damage(path, f"{path} can't be read: the rights are missing.", broken=False)
    try:
        validate(path)
        clip = read_attributes(path).get("clip")
        if clip not in (None, path.stem):
            raise CacheError(f"{path} says that it is the clip {clip!r}.", "Delete it; the next run makes it again.")
        if differs := difference(path, index):
            return Damage(path, differs, broken=False)
    except MavenError as error:
        return Damage(path, error.problem, broken=not _other_version(path))
    except Exception as error:  # damaged HDF5 makes its library raise nearly anything
        said = f"{type(error).__name__}: {reason_of(error)}"
        return Damage(path, f"{path} can't be read whole ({said}).", broken=True)
    return None


def _other_version(path: Path) -> bool:
    """Was it written under another schema version? Then it isn't for this program to call it damaged."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            version = int(file.attrs["schema_version"])
    except Exception:  # the message that is given tells what is wrong with it
        return False
    return 0 < version != SCHEMA_VERSION


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
