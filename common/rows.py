"""Arrays that are too long to hold: rows that are read a stretch at a time, from wherever they lie.

An hour of video has 90,000 frames; its features would fill memory that no clip needs. Whoever writes a clip file reads
`Rows` in blocks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: The datasets of a clip file by name: numbers, in memory or not, or strings.
Arrays = dict[str, "Rows | Array | list[str]"]

#: Rows read at a time; features that depend on blocks (in their last bit) depend on this number alone.
BLOCK_ROWS = 2048
#: The same where a row is one number or byte.
BLOCK_NUMBERS = 1 << 20


class Rows(Protocol):
    """Something with a length, whose rows can be read a stretch at a time."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def read(self, start: int, stop: int) -> Array:
        """Rows ``start`` to ``stop`` as (stop - start, ...)."""
        ...


def stretches(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Start and end of each block of rows of an array of this shape."""
    step = BLOCK_ROWS if len(shape) > 1 else BLOCK_NUMBERS
    for start in range(0, shape[0], step):
        yield start, min(start + step, shape[0])


def blocks(rows: Rows | Array) -> Iterator[Array]:
    """All rows in order, a block at a time."""
    for start, stop in stretches(rows.shape):
        yield rows[start:stop] if isinstance(rows, np.ndarray) else rows.read(start, stop)


class Spool:
    """Rows on their way to the cache, kept in a nameless temporary file that vanishes with the process.

    Parameters
    ----------
    shape : tuple of int
        Of one row; () for numbers.
    dtype : of the rows
    folder : Path
        Where the file lies: a disk with room for the clip.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike, folder: Path) -> None:
        self._row = shape
        self._dtype = np.dtype(dtype)
        self._row_bytes = self._dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        self._count = 0
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed with the spool

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._count, *self._row)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    def append(self, rows: Array) -> None:
        """Add rows, (n, ...), converted to the spool's dtype."""
        data = np.ascontiguousarray(rows, dtype=self._dtype)
        if data.shape[1:] != self._row:
            raise ValueError(f"rows of shape {data.shape[1:]} don't go with rows of {self._row}")
        self._file.seek(0, 2)
        self._file.write(data.data)
        self._count += len(data)

    def read(self, start: int, stop: int) -> Array:
        self._file.seek(start * self._row_bytes)
        content = self._file.read((stop - start) * self._row_bytes)
        return np.frombuffer(content, dtype=self._dtype).reshape(stop - start, *self._row)

    def close(self) -> None:
        self._file.close()


class Part:
    """A stretch of other rows."""

    def __init__(self, rows: Rows, start: int, stop: int) -> None:
        self._rows, self._start, self._stop = rows, start, stop

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._stop - self._start, *self._rows.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._rows.dtype

    def read(self, start: int, stop: int) -> Array:
        return self._rows.read(self._start + start, self._start + stop)


class OnMask:
    """Rows where a mask holds, in its order, and NaN elsewhere.

    Parameters
    ----------
    rows : Rows (N, D), N = number of True in ``mask``
    mask : (T,) bool
    dtype : of the result, floating
    """

    def __init__(self, rows: Rows, mask: npt.NDArray[np.bool_], dtype: npt.DTypeLike) -> None:
        self._rows, self._mask, self._dtype = rows, mask, np.dtype(dtype)
        self._before = np.concatenate([[0], np.cumsum(mask)])
        if self._before[-1] != rows.shape[0]:
            raise ValueError(f"{rows.shape[0]} rows for {self._before[-1]} places")

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._mask), *self._rows.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    def read(self, start: int, stop: int) -> Array:
        result = np.full((stop - start, *self._rows.shape[1:]), np.nan, dtype=self._dtype)
        result[self._mask[start:stop]] = self._rows.read(int(self._before[start]), int(self._before[stop]))
        return result


class Picked:
    """Some of other rows, in rising order: those at ``index``, (N,) int."""

    def __init__(self, rows: Rows, index: npt.NDArray[np.int64]) -> None:
        self._rows, self._index = rows, index

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._index), *self._rows.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._rows.dtype

    def read(self, start: int, stop: int) -> Array:
        index = self._index[start:stop]
        if not len(index):
            return self._rows.read(0, 0)
        low = int(index[0])
        picked: Array = self._rows.read(low, int(index[-1]) + 1)[index - low]
        return picked
