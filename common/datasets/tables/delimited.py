"""Comma-separated tables, read a record at a time, with the row numbers that a spreadsheet shows.

The text is UTF-8. Bytes that aren't are read as Windows-1252, one by one: files that passed through Excel on Windows
hold single ones of them (0x92 for an apostrophe) amid UTF-8. Signs between the fields are commas, semicolons or
tabs, whichever the header has the most of.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from common.datasets.tables.cells import Cell, place
from common.errors import DataError

#: The longest cell that is read: 16 million characters, a million numbers.
LONGEST = 1 << 24

_SEPARATORS = ",;\t"
_TOGETHER = 64
_BLOCK = 1 << 20
_OTHERWISE = "utf8-or-windows-1252"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Delimited:
    """A comma-separated table as a source of rows.

    Raises
    ------
    DataError
        If it isn't text, or holds nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        first = next(records(path), None)
        if first is None:
            raise DataError(f"{path} is empty.", "Restore the file.")
        self.names = tuple(name.strip() for name in first[1])
        self.remarks: tuple[str, ...] = ()
        if not is_utf8(path):
            self.remarks = (not_utf8(path),)

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, list[Cell] | DataError]]:
        """The number and these cells of each row that isn't blank; an error where a row has another length.

        Raises
        ------
        DataError
            If the file stops being a table.
        """
        indices = [self.names.index(name) for name in columns]
        for number, fields in islice(records(self.path), 1, None):
            if not any(field.strip() for field in fields):
                continue
            if len(fields) != len(self.names):
                cure = f"A row has {len(self.names)} cells, as the header has."
                yield number, DataError(f"{place(self.path, number)} has {len(fields)} cell(s).", cure)
                continue
            yield number, [fields[index] for index in indices]

    def close(self) -> None:
        """Nothing is kept open."""


def records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number (from 1) and the fields of each record; a blank line is one without fields.

    Raises
    ------
    DataError
        If it can't be read as a table, naming the row.
    """
    codecs.register_error(_OTHERWISE, _as_windows)
    _refuse_utf16(path)
    number = 0
    try:
        with path.open(newline="", encoding="utf-8-sig", errors=_OTHERWISE) as file:
            rows = csv.reader(file, delimiter=_separator(path), strict=True)
            while True:
                with _long_cells():
                    some = list(islice(rows, _TOGETHER))
                if not some:
                    return
                for fields in some:
                    number += 1
                    yield number, fields
    except csv.Error as error:
        text = f"{path}, line {rows.line_num}: this is no comma-separated table: {error}."
        raise DataError(text, "Restore the file, or save it again as CSV (UTF-8).") from error
    except UnicodeDecodeError as error:
        cure = "Save it as UTF-8."
        raise DataError(f"{path} is neither UTF-8 nor Windows-1252 text ({error.reason}).", cure) from error


def is_utf8(path: Path) -> bool:
    """Is every byte of it UTF-8?"""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def not_utf8(path: Path) -> str:
    """The remark about a file that isn't."""
    return f"{path.name} isn't UTF-8 throughout: bytes that aren't were read as Windows-1252."


@contextmanager
def _long_cells() -> Iterator[None]:
    """The module's limit is the process's: it is raised for as long as we read."""
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252"), error.end


def _refuse_utf16(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) in _UTF16:
            raise DataError(f"{path} is UTF-16 text.", "Save it as CSV UTF-8.")


def _separator(path: Path) -> str:
    """That which the first line has the most of."""
    with path.open(newline="", encoding="utf-8-sig", errors=_OTHERWISE) as file:
        header = file.readline(LONGEST)
    return max(_SEPARATORS, key=header.count)
