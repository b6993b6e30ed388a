"""Aff-Wild2's layout: videos, and annotation files in train, validation and test folders.

    <root>/.../<video>.mp4
    <root>/.../cropped_aligned/<video>/00001.jpg
    <root>/.../VA_Estimation_Challenge/{Train,Validation,Test}_Set/<video>.txt

Either videos or ready crops will do. Where a video shows two people, its annotation files are ``<video>_left.txt`` and
``<video>_right.txt``, and each is a clip. An annotation file has the header ``valence,arousal`` and one row per frame;
-5 stands for "not annotated". Only valence and arousal are ever read.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from common.datasets.folder import natural, ready_crops, videos
from common.errors import DataError
from common.files import safe_name
from common.manifest import Clip
from common.schema import NOT_ANNOTATED, Split

CHALLENGE = "VA_Estimation_Challenge"
SPLIT_FOLDERS: dict[str, Split] = {"Train_Set": "train", "Validation_Set": "validation", "Test_Set": "test"}

_SIDE = re.compile(r"(.+)_(left|right)")
_SIDES: dict[str, Literal["left", "right"]] = {"left": "left", "right": "right"}

#: Annotation rows may differ from decoded frames by this share (at least by MENDED_ROWS) and are mended.
MENDED_SHARE = 0.01
MENDED_ROWS = 5


def annotation_root(root: Path) -> Path | None:
    """The valence-arousal folder at or below ``root`` (two levels), or None where the layout is another."""
    for pattern in (CHALLENGE, f"*/{CHALLENGE}", f"*/*/{CHALLENGE}"):
        for found in sorted(root.glob(pattern)):
            if found.is_dir() and any((found / name).is_dir() for name in SPLIT_FOLDERS):
                return found
    return None


def clips(root: Path) -> list[Clip]:
    """Every annotated video, or person in it, with its split, in natural order.

    Raises
    ------
    DataError
        Listing all annotation files that have no video; and two videos of one name.
    """
    annotations = annotation_root(root)
    if annotations is None:
        raise DataError(f"{root} has no {CHALLENGE} folder.", "See README.md for Aff-Wild2's layout.")
    sources: dict[str, Path] = {}
    for path in videos(root):
        other = sources.setdefault(path.stem, path)
        if other is not path:
            raise DataError(f"Two videos are called {path.stem!r}: {other} and {path}.", "Keep one of them.")
    crops = ready_crops(root)
    found: list[Clip] = []
    orphans: list[str] = []
    for name, split in SPLIT_FOLDERS.items():
        for annotation in sorted((annotations / name).glob("*.txt"), key=lambda path: natural(path.stem)):
            stem = annotation.stem
            source, side = sources.get(stem), None
            if source is None and (two := _SIDE.fullmatch(stem)):
                source = sources.get(two[1])
                side = _SIDES[two[2]] if source else None
            place = source or crops.get(stem)
            if place is None:
                orphans.append(str(annotation))
            else:
                found.append(Clip(safe_name(stem, annotation), place, split, annotation, crops.get(stem), side))
    if orphans:
        listing = ", ".join(orphans[:10]) + (f" and {len(orphans) - 10} more" if len(orphans) > 10 else "")
        raise DataError(
            f"{len(orphans)} annotation file(s) have neither a video nor ready crops below {root}: {listing}.",
            "Add the videos, or move these files away.",
        )
    return found


def read_annotation(path: Path) -> npt.NDArray[np.float32]:
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
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise DataError(f"There is no annotation file {path}.", "Restore it, or remove its clip.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} isn't UTF-8 text.", "Save it as plain text.") from error
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{path} is empty.", "Restore it, or remove its clip.")
    header = [cell.strip().lower() for cell in lines[0].split(",")]
    if header != ["valence", "arousal"]:
        raise DataError(f"{path}, line 1 is {lines[0]!r}.", "The header must be valence,arousal.")
    rows = np.empty((len(lines) - 1, 2), dtype=np.float32)
    for number, line in enumerate(lines[1:], start=2):
        rows[number - 2] = _row(path, number, line)
    return rows


def fit_to_frames(
    labels: npt.NDArray[np.float32], frames: int, path: Path
) -> tuple[npt.NDArray[np.float32], str | None]:
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


def _row(path: Path, number: int, line: str) -> tuple[float, float]:
    cells = line.split(",")
    try:
        valence, arousal = (float(cell) for cell in cells)
    except ValueError as error:
        raise DataError(f"{path}, line {number} is {line!r}.", "A row is two numbers, valence,arousal.") from error
    if NOT_ANNOTATED in (valence, arousal):
        return math.nan, math.nan
    for name, value in (("valence", valence), ("arousal", arousal)):
        if not -1 <= value <= 1:  # also NaN and infinities
            raise DataError(
                f"{path}, line {number}: {name} is {value}.",
                "It lies in [-1, 1], or is -5 where not annotated.",
            )
    return valence, arousal
