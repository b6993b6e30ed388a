"""One cell of a table as numbers, as text, as a place in an order. What it holds is read, never evaluated."""

from __future__ import annotations

import datetime
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import DataError
from common.outside_text import shortened

Numbers = npt.NDArray[np.float32]

#: Files whose columns are arrays.
ARRAY_SUFFIXES = frozenset({".npz", ".h5", ".hdf5"})

#: Where Excel cuts a cell off, without a word.
EXCEL_LIMIT = 32_767

#: What JSON may read: brackets inside the list, names and quotes are not in it, so it can only be numbers or broken.
_PLAIN = re.compile(r"\[[-+.0-9eE,\s]*\]", re.ASCII)
_LIST = re.compile(r"\[(.*)\]", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)
_WHOLE = re.compile(r"([-+]?\d+)\.0+", re.ASCII)

_AS_LIST = "A cell is a list such as [0.25, -1e-3], or empty where there is nothing."


@dataclass(frozen=True)
class Broken:
    """In place of a cell's value where its file has none that could be used.

    Attributes
    ----------
    problem : str
        What follows "column V1".
    cure : str
    """

    problem: str
    cure: str


#: As the sources give it. An array is a row of a two-dimensional column.
Cell = (
    str
    | bytes
    | int
    | float
    | np.generic
    | npt.NDArray[Any]
    | datetime.date
    | datetime.time
    | datetime.timedelta
    | Broken
    | None
)


def place(path: Path, number: int) -> str:
    """How a message names a row of a file: as a spreadsheet counts them, arrays from 0."""
    return f"{path}, row {number}{' (from 0)' if path.suffix.lower() in ARRAY_SUFFIXES else ''}"


def is_empty(cell: Cell) -> bool:
    """Is there nothing in it? Spaces are nothing, and so is a row of NaN."""
    if isinstance(cell, str | bytes):
        return not cell.strip()
    if isinstance(cell, float | np.floating | np.ndarray):
        return _all_nan(cell)
    return cell is None


def numbers_of(cell: Cell) -> Numbers | None:
    """The (D,) float32 numbers of a cell; None where it is empty.

    A cell is a list in a string (separated by commas, or by white space as NumPy prints it), one number, or a row of
    an array.

    Raises
    ------
    DataError
        If it is anything else; if a number isn't finite, or is too large for float32. ``problem`` begins with a verb.
    """
    if isinstance(cell, Broken):
        raise DataError(cell.problem, cell.cure)
    if is_empty(cell):
        return None
    if isinstance(cell, str):
        return _finite(_listed(cell), cell)
    if isinstance(cell, bool | np.bool_ | datetime.date | datetime.time | datetime.timedelta):
        raise DataError(f"is {shortened(cell)}, which is no list of numbers.", _AS_LIST)
    return _finite(cell, cell)


def text_of(cell: Cell) -> str:
    """A cell as text, as it stands; a whole number without its ``.0``, a truth value as a spreadsheet shows it.

    Raises
    ------
    DataError
        If it is a date, a list, or broken; if it isn't text that a file can hold.
    """
    if isinstance(cell, Broken):
        raise DataError(cell.problem, cell.cure)
    if is_empty(cell):
        return ""
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell)).upper()
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    if isinstance(cell, np.ndarray | datetime.date | datetime.time | datetime.timedelta):
        raise DataError(f"is {shortened(cell)}, which is no text.", "Give the column the format Text.")
    try:
        text = cell.decode() if isinstance(cell, bytes) else str(cell)
        text.encode()
    except UnicodeError as error:
        raise DataError(f"is {shortened(cell)}, which isn't UTF-8.", "Save its text as UTF-8.") from error
    if "\0" in text:
        raise DataError(f"is {shortened(text)}, with a NUL in it.", "Remove it.")
    return text


def name_of(cell: Cell) -> str:
    """A cell that names something: without surrounding spaces, ``12.0`` as ``12``."""
    text = text_of(cell).strip()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def order_of(cell: Cell) -> float:
    """A cell that says where a row comes in its dialogue.

    Raises
    ------
    DataError
        If it isn't a finite number.
    """
    text = name_of(cell)
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise DataError(f"is {shortened(text)}, not a number.", "The order of the rows of a dialogue is 0, 1, 2 ...")
    return float(text)


def _listed(cell: str) -> npt.NDArray[np.float64]:
    text = cell.strip()
    if _PLAIN.fullmatch(text):
        try:
            return np.array(json.loads(text), dtype=np.float64)
        except (ValueError, OverflowError):
            pass  # Python's lists may hold what JSON's don't: 1. and .5
    if _NUMBER.fullmatch(text):
        return np.array([float(text)])
    inside = _LIST.fullmatch(text)
    if inside is None:
        cut = f" A cell of {EXCEL_LIMIT:,} characters was cut off by Excel." if len(cell) == EXCEL_LIMIT else ""
        raise DataError(f"is {shortened(text)}, which is no list of numbers.", _AS_LIST + cut)
    body = inside[1]
    parts = [part.strip() for part in body.split(",")] if "," in body else body.split()
    for part in parts:
        if not _NUMBER.fullmatch(part) and not _NOT_FINITE.fullmatch(part):
            raise DataError(f"is {shortened(text)}, where {shortened(part)} isn't a number.", _AS_LIST)
    return np.array([float(part) for part in parts])


def _finite(values: Any, cell: Cell) -> Numbers:
    wide = np.atleast_1d(np.asarray(values))
    if wide.dtype.kind not in "fiu":
        raise DataError(f"is {shortened(cell)}, which is no list of numbers.", _AS_LIST)
    if not wide.size:
        raise DataError(f"is {shortened(cell)}, a list without a number.", "Leave the cell empty where nothing is.")
    with np.errstate(over="ignore"):
        narrow: Numbers = wide.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(narrow))
    if len(bad):
        cure = "A cell has a finite number in every place, or is empty as a whole."
        raise DataError(f"has {wide[bad[0]]} in place {bad[0] + 1} of {len(wide)}, and {len(bad)} such in all.", cure)
    return narrow


def _all_nan(cell: float | np.floating[Any] | npt.NDArray[Any]) -> bool:
    values = np.asarray(cell)
    return values.dtype.kind == "f" and values.size > 0 and bool(np.isnan(values).all())
