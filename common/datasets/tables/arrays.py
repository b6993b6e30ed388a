"""Tables whose columns are arrays, (N,) or (N, D), read in blocks: in one .npz (npz.py) or HDF5 file (hdf5.py)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from common.datasets.tables.cells import Cell
from common.errors import DataError

#: Rows read at a time.
_TOGETHER = 256


class Columns(ABC):
    """Columns that are arrays, as a source of rows; rows are counted from 0."""

    remarks: tuple[str, ...] = ()

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.path = path
        self.names = tuple(shapes)
        self._shapes = shapes

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, list[Cell] | DataError]]:
        """The number and these cells of each row.

        Raises
        ------
        DataError
            If the columns have different lengths or more than two axes; if one can't be read.
        """
        shapes = {name: self._shapes[name] for name in columns}
        if any(not 1 <= len(shape) <= 2 for shape in shapes.values()) or len({s[0] for s in shapes.values()}) != 1:
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            cure = "Each column has the same number of rows, and is (N,) or (N, D)."
            raise DataError(f"{self.path}: the columns are {listed}.", cure)
        (count,) = {shape[0] for shape in shapes.values()}
        for start in range(0, count, _TOGETHER):
            blocks = [self._block(name, start, start + _TOGETHER) for name in columns]
            for index, cells in enumerate(zip(*blocks, strict=True)):
                yield start + index, list(cells)

    @abstractmethod
    def _block(self, name: str, start: int, stop: int) -> Sequence[Any] | npt.NDArray[Any]:
        """Rows of a column."""

    @abstractmethod
    def close(self) -> None: ...
