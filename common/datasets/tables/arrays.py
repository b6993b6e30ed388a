"""Tables whose columns are arrays, in one .npz or HDF5 file: (N,) or (N, D), read in blocks.

Nothing is unpickled. In HDF5 files, links and storage outside the file are refused: a table is one file.
"""

from __future__ import annotations

import lzma
import math
import os
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from common.datasets.tables.cells import Cell
from common.errors import DataError
from common.reasons import in_a_line
from common.sizes import in_bytes
from common.unpacking import check_archive, check_unpacked

#: Rows read at a time.
_TOGETHER = 256

_SUFFIX = ".npy"

#: What a damaged or hostile .npz file makes its readers raise.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, struct.error, tokenize.TokenError, SyntaxError,
    ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, MemoryError, RuntimeError,
)  # fmt: skip
#: Filters that are part of HDF5 or of h5py: gzip, shuffle, checksum, szip, n-bit, scale-offset, lzf.
_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
#: A chunk, or a row, is read as a whole.
_MOST_CHUNK_BYTES = 1 << 28
#: Of all texts of a table; more where its file is larger.
_MOST_CHARACTERS = 1 << 28


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


class Npz(Columns):
    """Arrays of an .npz file.

    They are laid out in nameless temporary files, as a compressed array can't be read in parts.

    Parameters
    ----------
    path : Path
    columns : names of those that are needed
    folder : Path
        Where the temporary files lie: a disk with room for the arrays.

    Raises
    ------
    DataError
        If it isn't an .npz file; if a needed array holds Python objects.
    """

    def __init__(self, path: Path, columns: Sequence[str], folder: Path) -> None:
        self._arrays: dict[str, _Laid] = {}
        try:
            check_archive(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} can't be read as .npz ({error}).", "Save it with numpy.savez.") from error
        try:
            with zipfile.ZipFile(path) as archive:
                names = [member.removesuffix(_SUFFIX) for member in archive.namelist()]
                for name in (name for name in names if name in columns):
                    with archive.open(f"{name}{_SUFFIX}") as packed:
                        self._arrays[name] = _Laid(packed, folder)
        except DataError as error:
            self.close()
            raise DataError(f"{path}: the column {name} {error.problem}", error.cure) from error
        except _DAMAGE as error:
            self.close()
            raise DataError(
                f"{path} can't be read as .npz ({in_a_line(error)}).", "Save it with numpy.savez."
            ) from error
        super().__init__(path, {name: self._arrays[name].shape if name in self._arrays else () for name in names})

    def _block(self, name: str, start: int, stop: int) -> Sequence[Any] | npt.NDArray[Any]:
        block = self._arrays[name].read(start, stop)
        return block if block.ndim == 2 else block.tolist()

    def close(self) -> None:
        for laid in self._arrays.values():
            laid.close()


class _Laid:
    """One array of an .npz file, unpacked to a nameless temporary file."""

    def __init__(self, packed: IO[bytes], folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed with the table
        shutil.copyfileobj(packed, self._file, 1 << 20)
        self._file.seek(0)
        version = np.lib.format.read_magic(self._file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, self._dtype = read_header(self._file)
        self.shape = tuple(map(int, shape))  # NumPy lets (4, True) pass
        self._order: Literal["C", "F"] = "F" if fortran else "C"
        self._offset = self._file.tell()
        if self._dtype.hasobject:
            self.close()
            raise DataError("holds Python objects.", "Save it with .astype(float) or .astype(str).")
        size = self._file.seek(0, os.SEEK_END) - self._offset
        # Rows without a number in them would still be rows: there could be a thousand billion.
        claimed = math.prod(self.shape) * self._dtype.itemsize
        if min(self.shape, default=0) < 0 or claimed > size or max((*self.shape[:1], 0)) > size:
            self.close()
            raise DataError(f"is {self.shape} {self._dtype} by its header, and holds less.", "Save it again.")

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        if 0 in self.shape or not self._dtype.itemsize:  # nothing can't be mapped
            return np.empty(self.shape, dtype=self._dtype)[start:stop]
        # Mapped anew: what a mapping has read counts as this process's memory until it is gone.
        mapped = np.memmap(
            self._file, dtype=self._dtype, mode="r", offset=self._offset, shape=self.shape, order=self._order
        )
        return np.array(mapped[start:stop])

    def close(self) -> None:
        self._file.close()


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
