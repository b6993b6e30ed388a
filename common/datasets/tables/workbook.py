"""Workbooks (.xlsx), read a row at a time.

A workbook keeps the text of its cells apart from the sheets, once each. openpyxl holds all of it in memory, which is
the whole table where cells are lists of numbers; here it goes to a nameless temporary file, as far as rows ask for it.
"""

from __future__ import annotations

import lzma
import os
import struct
import tempfile
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import ParseError, iterparse

from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._reader import WorkSheetParser
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from common.datasets.tables.cells import Broken, Cell, place
from common.errors import DataError
from common.outside_text import shortened
from common.reasons import in_a_line
from common.unpacking import check_archive

_STRING = f"{{{SHEET_MAIN_NS}}}si"

#: What a damaged or hostile workbook makes its readers raise.
_DAMAGE = (
    zipfile.BadZipFile, InvalidFileException, ParseError, zlib.error, EOFError, OSError,
    LookupError, ValueError, TypeError, AttributeError, OverflowError, AssertionError, RuntimeError, lzma.LZMAError,
    struct.error,
)  # fmt: skip

#: A sheet has no more rows.
_MOST_ROWS = 1 << 20

_FORMULA = "Copy the column and paste it as values."
_MERGED = "Unmerge them, and fill each cell."


class Workbook:
    """The one sheet of a workbook that has these columns, as a source of rows.

    Parameters
    ----------
    path : Path
    wanted : names of columns, in lower case without other signs; the sheet that has the most of them is read
    plain : brings a column's name into that form
    folder : Path
        Where its strings are laid out: a disk with room for the table.

    Raises
    ------
    DataError
        If it is no workbook; if two sheets have equally many of the columns.
    """

    def __init__(self, path: Path, wanted: frozenset[str], plain: Callable[[str], str], folder: Path) -> None:
        self.path = path
        self._reader = _opened(path, folder)
        with _sentences(path):
            sheets = [sheet for sheet in self._reader.wb.worksheets if hasattr(sheet, "_worksheet_path")]
            headers = {sheet.title: _header(self._parsed(sheet)) for sheet in sheets}
        fits = {title: len(wanted & {plain(name) for name in names}) for title, (_, names) in headers.items()}
        best = [title for title, count in fits.items() if count == max(fits.values())]
        if not best:
            raise DataError(f"{path} has no sheet with cells.", "Restore the file.")
        if len(best) > 1 and fits[best[0]]:
            names = " and ".join(map(repr, best))
            raise DataError(f"{path}: the sheets {names} have the same columns.", "Leave one of them in the workbook.")
        self._sheet = next(sheet for sheet in sheets if sheet.title == best[0])
        self._first, self.names = headers[best[0]]
        others = [repr(title) for title, (_, names) in headers.items() if title != best[0] and names]
        read = f"{path.name}: the sheet {best[0]!r} is read, {', '.join(others)} not."
        self.remarks: tuple[str, ...] = (read,) if others else ()

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, list[Cell] | DataError]]:
        """The number and these cells of each row that isn't blank; last, an error for merged cells among them.

        Raises
        ------
        DataError
            If the file turns out to be damaged.
        """
        places = {self.names.index(name) + 1: index for index, name in enumerate(columns)}
        with _sentences(self.path):
            parser = self._parsed(self._sheet)
            for number, cells in parser.parse():
                if number <= self._first:
                    continue
                if number > _MOST_ROWS:
                    raise DataError(f"{self.path} says that it has a row {number}.", "Save it again as .xlsx.")
                found: list[Cell] = [None] * len(columns)
                for cell in cells:
                    if (index := places.get(cell["column"])) is not None:
                        found[index] = _value(cell)
                if any(cell["value"] not in (None, "") for cell in cells):
                    yield number, found
            for merged in getattr(parser.merged_cells, "mergeCell", ()):
                used = any(merged.min_col <= column <= merged.max_col for column in places)
                if used and merged.max_row > self._first:
                    where = f"{place(self.path, max(merged.min_row, self._first))}: the cells {merged.ref} are merged."
                    yield merged.min_row, DataError(where, _MERGED)

    def close(self) -> None:
        self._reader.archive.close()
        self._reader.shared_strings.close()

    def _parsed(self, sheet: Any) -> Any:
        book = self._reader.wb
        return WorkSheetParser(
            self._reader.archive.open(sheet._worksheet_path),
            self._reader.shared_strings,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )


class Strings:
    """The strings of a workbook, by number: read from it as far as asked for, and kept in a temporary file."""

    def __init__(self, stream: IO[bytes] | None, folder: Path) -> None:
        self._strings = _strings(stream) if stream is not None else iter(())
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed with the workbook
        self._ends = array("Q", [0])

    def __getitem__(self, number: int) -> str:
        while number >= len(self._ends) - 1:
            text = next(self._strings, None)
            if text is None:
                raise IndexError(f"string {number} of {len(self._ends) - 1}")
            content = text.encode("utf-8", "surrogatepass")
            self._file.write(content)
            self._ends.append(self._ends[-1] + len(content))
            if number < len(self._ends) - 1:
                self._file.flush()
        start, stop = self._ends[number], self._ends[number + 1]
        return os.pread(self._file.fileno(), stop - start, start).decode("utf-8", "surrogatepass")

    def close(self) -> None:
        self._file.close()


class _Reader(ExcelReader):  # type: ignore[misc]  # openpyxl has no types
    """openpyxl's own, but for the strings."""

    folder: Path

    def read_strings(self) -> None:
        part = self.package.find(SHARED_STRINGS)
        self.shared_strings = Strings(self.archive.open(part.PartName[1:]) if part is not None else None, self.folder)


def _opened(path: Path, folder: Path) -> Any:
    with _sentences(path):
        check_archive(path)
        reader = _Reader(path, read_only=True, keep_links=False)
        reader.folder = folder
        reader.read()
    return reader


def _strings(stream: IO[bytes]) -> Iterator[str]:
    whole = None
    for event, node in iterparse(stream, events=("start", "end")):
        if whole is None:
            whole = node
        if event == "end" and node.tag == _STRING:
            yield str(Text.from_tree(node).content)
            whole.clear()


def _header(parser: Any) -> tuple[int, tuple[str, ...]]:
    """Number and names of the first row with cells; a column without a name has the empty one."""
    for number, cells in parser.parse():
        named = {cell["column"]: str(cell["value"]).strip() for cell in cells if cell["value"] is not None}
        if any(named.values()):
            return number, tuple(named.get(column, "") for column in range(1, max(named) + 1))
    return 0, ()


def _value(cell: dict[str, Any]) -> Cell:
    kind, value = cell["data_type"], cell["value"]
    if kind == "f":
        formula = shortened(getattr(value, "text", value))
        return Broken(f"({get_column_letter(cell['column'])}) is the formula {formula}.", _FORMULA)
    if kind == "e":
        return Broken(f"is the error {value}.", "Correct it in the workbook.")
    found: Cell = value
    return found


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """What a damaged workbook makes its readers say becomes a `DataError`."""
    try:
        yield
    except _DAMAGE as error:
        reason = in_a_line(error) or type(error).__name__
        raise DataError(f"{path} can't be read as a workbook ({reason}).", "Save it again as .xlsx.") from error
