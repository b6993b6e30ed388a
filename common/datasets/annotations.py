"""Annotation files of valence and arousal: read strictly, and fitted to the frames of their video.

The header ``valence,arousal``, then one row per frame; -5 stands for "not annotated". Capitals in the header, Windows
line ends, a byte-order mark and empty lines at the end are accepted.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import DataError
from common.outside_text import lines_of, number_of, shortened
from common.schema import NOT_ANNOTATED
from common.unpacking import check_text_size

Labels = npt.NDArray[np.float32]

#: Annotation rows may differ from decoded frames by this share (at least by MENDED_ROWS) and are mended.
MENDED_SHARE = 0.01
MENDED_ROWS = 5


def read_annotation(path: Path) -> Labels:
    """Read one annotation file.

    Returns
    -------
    (rows, 2) float32, valence and arousal in [-1, 1]; NaN where -5 says "not annotated" (either column masks both)

    Raises
    ------
    DataError
        With file, line number and value, for a missing or empty file, another header, a row that isn't two finite
        numbers, or a value outside [-1, 1].
    """
    labels, faults = scan_annotation(path)
    if faults:
        raise faults[0]
    return labels


def scan_annotation(path: Path) -> tuple[Labels, list[DataError]]:
    """Read one annotation file to its end, whatever is wrong with it.

    Returns
    -------
    labels : (rows, 2) float32
        As `read_annotation` gives them; a faulty row is NaN too. No rows where the file can't be read as a whole.
    faults : list of DataError
        What `read_annotation` would refuse, in the order of the lines.
    """
    nothing = np.empty((0, 2), dtype=np.float32)
    try:
        lines = _lines(path)
    except DataError as fault:
        return nothing, [fault]
    rows, faults = np.full((len(lines) - 1, 2), np.nan, dtype=np.float32), []
    for number, line in enumerate(lines[1:], start=2):
        try:
            rows[number - 2] = _row(path, number, line)
        except DataError as fault:
            faults.append(fault)
    return rows, faults


def fit_to_frames(labels: Labels, frames: int, path: Path) -> tuple[Labels, str | None]:
    """Give each of ``frames`` decoded frames its label, where the two counts nearly agree.

    Row i belongs to frame i. Up to 1 % (at least 5 rows) of surplus rows are cut off at the end, and as many frames
    without a row become NaN; the second value returned says so in a sentence.

    Raises
    ------
    DataError
        With both numbers, if they differ by more.
    """
    rows = len(labels)
    if rows == frames:
        return labels, None
    if abs(rows - frames) > max(MENDED_ROWS, math.ceil(MENDED_SHARE * frames)):
        raise DataError(
            f"{path} has {rows} rows, its video {frames} frames.",
            "Check that they belong together; up to 1 % (or 5 rows) of difference is mended.",
        )
    mended = np.full((frames, 2), np.nan, dtype=np.float32)
    shared = min(rows, frames)
    mended[:shared] = labels[:shared]
    what = "surplus rows were cut off" if rows > frames else "last frames have no label"
    return mended, f"{path.name}: {rows} rows for {frames} frames; the {abs(rows - frames)} {what}"


def _lines(path: Path) -> list[str]:
    """The header and at least one row."""
    check_text_size(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"There is no annotation file {path}.", "Restore it, or remove its clip.") from error
    try:
        lines = lines_of(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line} isn't UTF-8 text (byte 0x{content[error.start]:02x}).", "Save it as plain text."
        ) from error
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{path} is empty.", "Restore it, or remove its clip.")
    header = [cell.strip().lower() for cell in lines[0].split(",")]
    if header != ["valence", "arousal"]:
        raise DataError(f"{path}, line 1 is {shortened(lines[0])}.", "The header must be valence,arousal.")
    if len(lines) == 1:
        raise DataError(f"{path} has a header and no rows.", "Restore it, or remove its clip.")
    return lines


def _row(path: Path, number: int, line: str) -> tuple[float, float]:
    cells = line.split(",")
    try:
        valence, arousal = (number_of(cell) for cell in cells)
    except ValueError as error:
        raise DataError(
            f"{path}, line {number} is {shortened(line)}.", "A row is two numbers, valence,arousal."
        ) from error
    if NOT_ANNOTATED in (valence, arousal):
        return math.nan, math.nan
    for name, value in (("valence", valence), ("arousal", arousal)):
        if not -1 <= value <= 1:  # also NaN and infinities
            raise DataError(
                f"{path}, line {number}: {name} is {value}.",
                "It lies in [-1, 1], or is -5 where not annotated.",
            )
    return valence, arousal
