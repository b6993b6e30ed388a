"""Aligned crops that are kept, so that another visual encoder needs no video: ``cache/crops/<fingerprint>/<clip>.h5``.

The file records the `Frames` events of a clip: time of each frame; for each face its frame, track, place and picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import CacheError, LimitError
from common.media.picture import decoded
from common.recipe import LARGEST_CROP_PX
from common.rows import Rows, Spool
from common.schema import CROP_END, CROP_FRAME, CROP_PNG, CROP_TRACK, FACE_BOX, FACE_LANDMARKS, FACE_SCORE, TIME
from common.store import read_rows, write_clip
from stage1_embeddings.columns import Columns
from stage1_embeddings.events import Array, Frames

_NUMBERS = (TIME, CROP_FRAME, CROP_TRACK, CROP_END, FACE_BOX, FACE_LANDMARKS, FACE_SCORE)

_CURE = "Delete it; the crops are then made again."

#: Frames of one event that is read back.
_AT_A_TIME = 64


class Keeper:
    """Collects the crops of a clip as they pass."""

    def __init__(self, folder: Path) -> None:
        self._png = Spool((), np.uint8, folder)
        self._ends: list[int] = []
        self._columns = Columns(folder)

    def add(self, event: Frames) -> None:
        for content in event.png:
            self._png.append(np.frombuffer(content, dtype=np.uint8))
            self._ends.append(self._png.shape[0])
        self._columns.add(event)

    def write(self, path: Path, attributes: dict[str, Any]) -> None:
        """Write them, whole or not at all."""
        arrays: dict[str, Rows | Array | list[str]] = {
            TIME: self._columns["time_s"],
            CROP_FRAME: self._columns["frame"],
            CROP_TRACK: self._columns["track"],
            FACE_BOX: self._columns["box"],
            FACE_LANDMARKS: self._columns["landmarks"],
            FACE_SCORE: self._columns["score"],
            CROP_END: np.array(self._ends, dtype=np.int64),
            CROP_PNG: self._png,
        }
        write_clip(path, arrays, attributes)

    def close(self) -> None:
        self._png.close()
        self._columns.close()


def kept_frames(path: Path) -> Iterator[Frames]:
    """Events of a clip whose crops were kept, the same as when they were found.

    Raises
    ------
    CacheError
        If the file is damaged.
    """
    stored = read_rows(path, (*_NUMBERS, CROP_PNG))
    numbers = {name: _whole(stored[name]) for name in _NUMBERS}
    png = stored[CROP_PNG]
    assert not isinstance(png, list)
    starts = np.concatenate([[0], numbers[CROP_END]])
    for first in range(0, len(numbers[TIME]), _AT_A_TIME):
        low, high = np.searchsorted(numbers[CROP_FRAME], (first, first + _AT_A_TIME)).tolist()
        content = png.read(int(starts[low]), int(starts[high]))
        crops = [content[starts[i] - starts[low] : starts[i + 1] - starts[low]] for i in range(low, high)]
        yield Frames(
            time_s=numbers[TIME][first : first + _AT_A_TIME],
            frame=numbers[CROP_FRAME][low:high],
            track=numbers[CROP_TRACK][low:high],
            box=numbers[FACE_BOX][low:high],
            landmarks=numbers[FACE_LANDMARKS][low:high],
            score=numbers[FACE_SCORE][low:high],
            crops=np.stack([_read(crop, path) for crop in crops]) if crops else np.zeros((0, 1, 1, 3), dtype=np.uint8),
        )


def _whole(rows: Rows | list[str]) -> Array:
    assert not isinstance(rows, list)
    return rows.read(0, rows.shape[0])


def _read(content: Array, path: Path) -> Array:
    try:
        picture = decoded(content, path, LARGEST_CROP_PX**2)
    except LimitError as error:
        raise CacheError(error.problem, _CURE) from error
    if picture is None:
        raise CacheError(f"{path} holds a crop that isn't a PNG.", _CURE)
    return picture
