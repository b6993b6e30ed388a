"""Read, write and check one clip file of the cache. The format is described in cache/README.md.

A file is written once, whole, and never changed in place. Every numeric dataset lies contiguously, so that a
window of frames is one slice of a memory map, and carries the CRC-32 of its bytes.
"""

from __future__ import annotations

import errno
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from common.errors import CacheError
from common.files import written_whole
from common.hdf5 import (
    AS_JSON,
    CURE,
    attributes_of,
    check_sums,
    check_version,
    opened,
    seal_attributes,
    texts_of,
    values_of,
    write_rows,
    write_texts,
)
from common.rows import Array, Rows
from common.schema import EMOTION, SCHEMA_VERSION, VALENCE, WORD_SPEAKER, WORD_TEXT
from common.validation import check_structure, validate

__all__ = [
    "Location",
    "Stored",
    "read_attributes",
    "read_clip",
    "read_locations",
    "read_rows",
    "read_summary",
    "read_texts",
    "validate",
    "write_clip",
]


#: Room for attributes, words and the temporary files of other processes.
_SPARE_BYTES = 4 << 20


@dataclass(frozen=True)
class Location:
    """Where a dataset's bytes lie in its file: enough for ``numpy.memmap``; and their CRC-32, where it was noted."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    crc32: int | None = None

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def write_clip(path: Path, arrays: Mapping[str, Rows | Array | list[str]], attributes: Mapping[str, Any]) -> None:
    """Write a clip file: temporary sibling, close, reopen and validate, flush to disk, rename.

    Parameters
    ----------
    path : Path
        ``<clip>.h5``; replaced if it exists.
    arrays : name to array, to `Rows` (read in blocks, never held whole), or to a list of strings
        Datasets as named in ``common.schema``.
    attributes : name to str, int, float, or anything JSON can hold

    Raises
    ------
    CacheError
        If the arrays don't make a valid clip (see `validate`).
    OSError
        If the disk has no room for it; found out beforehand, since HDF5 crashes where a disk fills up under it.
    """
    _check_room(path, arrays)
    with written_whole(path) as partial:
        with h5py.File(partial, "w", libver="latest", locking=False) as file:
            for name, values in arrays.items():
                if isinstance(values, list):
                    write_texts(file, name, values)
                else:
                    write_rows(file, name, values)
            for name, value in attributes.items():
                file.attrs[name] = value if isinstance(value, str | int | float) else json.dumps(value)
            file.attrs[AS_JSON] = sorted(n for n, v in attributes.items() if not isinstance(v, str | int | float))
            file.attrs["schema_version"] = SCHEMA_VERSION
            seal_attributes(file)
        validate(partial, named=path)


def _check_room(path: Path, arrays: Mapping[str, Rows | Array | list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = [rows for rows in arrays.values() if not isinstance(rows, list)]
    wanted = _SPARE_BYTES + sum(math.prod(rows.shape) * rows.dtype.itemsize for rows in numbers)
    if shutil.disk_usage(path.parent).free < wanted:
        raise OSError(errno.ENOSPC, f"no room for {wanted / 2**20:.1f} MiB on this disk", str(path))


def read_attributes(path: Path) -> dict[str, Any]:
    """Attributes of a clip file; those that hold JSON objects or lists are decoded.

    Raises
    ------
    CacheError
        If the file can't be read as HDF5, or was written under another schema version.
    """
    with opened(path) as file:
        return attributes_of(file, path)


def read_clip(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Array | list[str]]:
    """Datasets of a clip file by name, checked against their checksums; all of them where ``names`` is None."""
    with opened(path) as file:
        check_version(file, path)
        wanted = file.names() if names is None else names
        missing = [name for name in wanted if name not in file]
        if missing:
            raise CacheError(f"{path} lacks {', '.join(missing)}.", CURE)
        check_sums(file, path, wanted)
        return {name: values_of(file[name]) for name in wanted}


def read_rows(path: Path, names: tuple[str, ...]) -> dict[str, Rows | list[str]]:
    """As `read_clip`, but what is long stays where it lies and is read in blocks; checksums are verified first."""
    with opened(path) as file:
        check_version(file, path)
        missing = [name for name in names if name not in file]
        if missing:
            raise CacheError(f"{path} lacks {', '.join(missing)}.", CURE)
        check_sums(file, path, names)
        strings = {name for name in names if h5py.check_string_dtype(file[name].dtype) is not None}
        texts: dict[str, Rows | list[str]] = {name: texts_of(file[name]) for name in strings}
        places = {name: file[name] for name in names if name not in strings}
        return texts | {name: Stored(path, name, item.shape, item.dtype) for name, item in places.items()}


def read_texts(path: Path) -> dict[str, list[str]]:
    """What is said in a clip, and by whom, where it says so: datasets of strings by name."""
    with opened(path) as file:
        check_version(file, path)
        names = tuple(name for name in (WORD_TEXT, WORD_SPEAKER) if name in file)
        check_sums(file, path, names)
        return {name: texts_of(file[name]) for name in names}


@dataclass(frozen=True)
class Stored:
    """A dataset of a clip file as `Rows`; the file is opened for each reading, so that none is held open."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, start: int, stop: int) -> Array:
        with opened(self.path) as file:
            return np.asarray(file[self.name][start:stop])


def read_summary(path: Path) -> tuple[dict[str, Any], int, bool]:
    """A clip file's attributes, its number of frames, and whether it has labels; its datasets are all there.

    Raises
    ------
    CacheError
        If they aren't (see `validate`, which also reads them).
    """
    with opened(path) as file:
        frames = check_structure(file, path)
        return attributes_of(file, path), frames, VALENCE in file or EMOTION in file


def read_locations(path: Path) -> tuple[dict[str, Location], dict[str, Any]]:
    """Where each numeric dataset of a clip file lies, and the file's attributes."""
    with opened(path) as file:
        places = {}
        for name in file.names():
            dataset = file[name]
            offset, dtype = dataset.id.get_offset(), dataset.dtype
            if offset is not None and dtype.kind in "biuf":
                places[name] = Location(offset, dataset.shape, dtype, file.checksum(name))
        return places, attributes_of(file, path)
