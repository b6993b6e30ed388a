"""Datasets of an HDF5 file, as columns of a table: a table is one file, so links and storage outside are refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from common.datasets.tables.arrays import Columns
from common.errors import DataError
from common.reasons import in_a_line
from common.sizes import in_bytes
from common.unpacking import check_unpacked

#: Filters that are part of HDF5 or of h5py: gzip, shuffle, checksum, szip, n-bit, scale-offset, lzf.
_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
#: A chunk, or a row, is read as a whole.
_MOST_CHUNK_BYTES = 1 << 28
#: Of all texts of a table; more where its file is larger.
_MOST_CHARACTERS = 1 << 28


class Hdf5(Columns):
    """Datasets of an HDF5 file, by their paths in it.

    Parameters
    ----------
    path : Path
    columns : names of those that are needed

    Raises
    ------
    DataError
        If it isn't HDF5; if a needed dataset lies in another file.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file: Any = None
        self._sets: dict[str, Any] = {}
        self._characters = 0
        try:
            self._file = h5py.File(path, "r")
            for name in columns:
                found = _inside(self._file, name, path)
                if found is not None:
                    self._sets[name] = found
            # The others are only named, in messages; those in groups aren't searched for.
            own = [name for name in self._file if isinstance(self._file.get(name, getlink=True), h5py.HardLink)]
            others = [name for name in own if self._file.get(name, getclass=True) is h5py.Dataset]
            shapes = {name: found.shape or () for name, found in self._sets.items()}  # one of nothing has None
        except DataError:
            self.close()
            raise
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            self.close()
            raise DataError(f"{path} can't be read as HDF5 ({in_a_line(error)}).", "Restore the file.") from error
        super().__init__(path, dict.fromkeys(others, ()) | shapes)

    def _block(self, name: str, start: int, stop: int) -> Sequence[Any] | npt.NDArray[Any]:
        found = self._sets[name]
        if h5py.check_string_dtype(found.dtype) is not None and np.prod(found.shape[1:]) != 1:
            raise DataError(f"{self.path}: {name} holds texts in {found.shape}.", "A column of texts is (N,).")
        try:
            if h5py.check_string_dtype(found.dtype) is not None:
                return [self._counted(text, name) for row in range(start, stop) for text in _text(found, row)]
            values = np.asarray(found[start:stop])
        except (OSError, RuntimeError, ValueError, TypeError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path}: {name} can't be read ({in_a_line(error)}).", "Restore the file.") from error
        return values if values.ndim == 2 else values.tolist()

    def _counted(self, text: str, name: str) -> str:
        """A text, unless all of them together are what no table says: each may refer to the same long one."""
        self._characters += len(text)
        if self._characters > max(_MOST_CHARACTERS, self.path.stat().st_size):
            raise DataError(f"{self.path}: the texts of {name} are longer than the file.", "Check where it came from.")
        return text

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _text(found: Any, row: int) -> list[str]:
    """The text of a row, alone; none beyond the last."""
    return [str(text) for text in np.ravel(found.asstr()[row : row + 1])]


def _inside(file: Any, name: str, path: Path) -> Any | None:
    """The dataset of this path in the file, reached by hard links alone; None where there is none."""
    place: Any = file
    for part in filter(None, name.split("/")):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{path}: {name} is a link to elsewhere.", "Copy the dataset itself into the file.")
        place = place[part]
    if not isinstance(place, h5py.Dataset):
        return None
    if place.is_virtual or place.external:
        raise DataError(f"{path}: the numbers of {name} lie in other files.", "Copy them into this one.")
    _check_storage(place, name, path)
    return place


def _check_storage(found: Any, name: str, path: Path) -> None:
    """Refuse filters that HDF5 would look for among its plugins, and shapes that aren't stored."""
    how = found.id.get_create_plist()
    filters = {how.get_filter(index)[0] for index in range(how.get_nfilters())}
    if other := sorted(filters - _FILTERS):
        raise DataError(f"{path}: {name} needs the filter {other[0]} of a plugin.", "Save it with gzip, or with none.")
    if found.shape is None or not found.shape:
        return  # `rows` says what its shape is
    stored, claimed = found.id.get_storage_size(), math.prod(found.shape) * found.dtype.itemsize
    least = claimed if not filters else 0
    if found.shape[0] > claimed or stored < least:
        raise DataError(f"{path}: {name} claims to be {found.shape}, in {stored} bytes.", "Save the table again.")
    row = math.prod(found.chunks or found.shape[1:]) * found.dtype.itemsize
    if row > _MOST_CHUNK_BYTES:
        raise DataError(f"{path}: {name} is read {in_bytes(row)} at once.", "Save it in smaller chunks.")
    check_unpacked(path, stored, claimed, name)
