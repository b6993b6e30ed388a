"""Arrays of an .npz file, as columns of a table. Nothing is unpickled."""

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
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from common.datasets.tables.arrays import Columns
from common.errors import DataError
from common.reasons import in_a_line
from common.unpacking import check_archive

_SUFFIX = ".npy"

#: What a damaged or hostile .npz file makes its readers raise.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, struct.error, tokenize.TokenError, SyntaxError,
    ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, MemoryError, RuntimeError,
)  # fmt: skip


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
