"""The organisers' sample file: which frames a challenge submission is about, in which order.

The header is ``image_location``, or ``image_location,valence,arousal``. A row is ``<video>/00001.jpg``, alone or with
two placeholder numbers, which are ignored. Frames count from 1.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import DataError, UsageError
from common.outside_text import number_of, shortened

HEADER = ("image_location", "valence", "arousal")

_LOCATION = re.compile(r"(.+)/([0-9]{1,9})\.jpg")
_RESTORE = "Take the organisers' sample file as it is."


@dataclass(frozen=True)
class SampleRows:
    """The N rows of a sample file, 9 bytes each; ``row + 2`` is a row's line.

    Attributes
    ----------
    videos : list of str
        Each once, in the order of their first rows.
    video : (N,) int32
        Index into ``videos``.
    frame : (N,) int32
        From 0.
    digits : (N,) uint8
        How many digits the file gives the frame's number.
    """

    videos: list[str]
    video: npt.NDArray[np.int32]
    frame: npt.NDArray[np.int32]
    digits: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.frame)

    def locations(self, first: int, stop: int) -> Iterator[str]:
        """``image_location`` of rows ``first`` to ``stop``, as the file has it."""
        parts = (part[first:stop].tolist() for part in (self.video, self.frame, self.digits))
        for video, frame, digits in zip(*parts, strict=True):
            yield f"{self.videos[video]}/{frame + 1:0{digits}d}.jpg"


def read_sample(path: Path) -> SampleRows:
    """Read a sample file strictly.

    Capitals in the header, Windows line ends, a byte-order mark and empty lines at the end are accepted.

    Raises
    ------
    UsageError
        If there is no such file.
    DataError
        With file, line and value: an empty file, another header, a row that isn't ``<video>/<number>.jpg``,
        placeholders that aren't two numbers, no row at all; a frame that is named twice, with both lines.
    """
    if not path.is_file():
        raise UsageError(f"There is no sample file {path}.", "Give --sample-file the organisers' file.")
    index: dict[str, int] = {}
    video, frame, digits = array("i"), array("i"), array("B")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            _check_header(path, next(reader, None))
            ended = False
            for line, cells in enumerate(reader, start=2):
                if not cells:
                    ended = True
                    continue
                if ended:
                    raise DataError(f"{path}, line {line - 1} is empty, and lines follow.", _RESTORE)
                name, number = _row(path, line, cells)
                video.append(index.setdefault(name, len(index)))
                frame.append(int(number) - 1)
                digits.append(len(number))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} isn't UTF-8 text (byte 0x{error.object[error.start]:02x}).", _RESTORE) from error
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num} can't be read: {error}.", _RESTORE) from error
    if not frame:
        raise DataError(f"{path} has a header and no rows.", _RESTORE)
    rows = SampleRows(list(index), np.array(video, np.int32), np.array(frame, np.int32), np.array(digits, np.uint8))
    _check_once(path, rows)
    return rows


def _check_header(path: Path, cells: list[str] | None) -> None:
    if cells is None:
        raise DataError(f"{path} is empty.", _RESTORE)
    names = tuple(cell.strip().lower() for cell in cells)
    if names not in (HEADER, HEADER[:1]):
        cure = f"The header must be {','.join(HEADER)}, or {HEADER[0]} alone."
        raise DataError(f"{path}, line 1 is {shortened(','.join(cells))}.", cure)


def _row(path: Path, line: int, cells: list[str]) -> tuple[str, str]:
    """Video and number of a row."""
    found = _LOCATION.fullmatch(cells[0])
    if found is None or not found[1].isprintable():
        cure = "A row begins with <video>/<number>.jpg, as in video1/00001.jpg."
        raise DataError(f"{path}, line {line} is {shortened(','.join(cells))}.", cure)
    if int(found[2]) == 0:
        raise DataError(
            f"{path}, line {line} is {shortened(cells[0])}.", "Frames count from 1: 00001.jpg is the first."
        )
    if len(cells) not in (1, len(HEADER)) or not all(_is_number(cell) for cell in cells[1:]):
        cure = "After the image's location come two numbers, which are ignored, or nothing."
        raise DataError(f"{path}, line {line} is {shortened(','.join(cells))}.", cure)
    return found[1], found[2]


def _is_number(text: str) -> bool:
    try:
        number_of(text)
    except ValueError:
        return False
    return True


def _check_once(path: Path, rows: SampleRows) -> None:
    key = (rows.video.astype(np.int64) << 32) | rows.frame
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(np.diff(key[order]) == 0)
    if len(again):
        first = again[np.argmin(order[again + 1])]
        one, two = (int(row) for row in order[first : first + 2])
        (location,) = rows.locations(two, two + 1)
        raise DataError(f"{path}: {location!r} is on line {one + 2} and again on line {two + 2}.", "Keep one of them.")
