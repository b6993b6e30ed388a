"""Ready crops as a clip's faces: ``00001.jpg`` is the first frame, a missing number is a frame without a face.

With the video beside them its presentation times are the clock; without, ``faces.crops_rate_hz`` has to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from common.errors import DataError, MediaError
from common.files import sha256
from common.media import decode
from common.media.picture import read_picture
from common.recipe import Decode, fingerprint
from common.schema import LANDMARKS
from stage1_embeddings.events import Array, Frames, Task

_IMAGE = re.compile(r"(\d+)\.(?:jpe?g|png)", re.IGNORECASE)

#: More crops than frames, up to this many or this share, are passed over: decoders disagree about a video's end.
SURPLUS_FRAMES, SURPLUS_SHARE = 5, 0.01


def images(folder: Path) -> dict[int, Path]:
    """Crops by the index of their frame, from 0.

    Raises
    ------
    DataError
        If two images have one number, or a number is 0.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _IMAGE.fullmatch(path.name)
        if match is None:
            continue
        index = int(match[1]) - 1
        if index < 0:
            raise DataError(f"{path}: crops are numbered from 1.", "Number them as the frames: 00001.jpg is the first.")
        other = found.setdefault(index, path)
        if other is not path:
            raise DataError(f"{other} and {path} are one frame.", "Keep one of them.")
    return found


def listing(folder: Path) -> str:
    """Fingerprint of the names, sizes and times of change of a folder's crops; spares reading those that are known."""
    places = [(index, path.stat()) for index, path in sorted(images(folder).items())]
    return fingerprint([(index, status.st_size, status.st_mtime_ns) for index, status in places])


def content(folder: Path) -> str:
    """Fingerprint of a folder's crops and the frames they belong to."""
    return fingerprint([(index, sha256(path)) for index, path in sorted(images(folder).items())])


def frames(task: Task) -> Iterator[Frames]:
    """Events of a clip whose faces are ready crops.

    Raises
    ------
    MediaError
        If there are none, one can't be read, or there are many more than the video has frames.
    """
    from stage1_embeddings.front_end import Batch

    if task.crops is None:
        raise MediaError(
            f"{task.source} has no ready crops beside it.",
            "Put them into cropped_aligned/<clip>/00001.jpg ..., or choose faces.detector: yunet.",
        )
    found = images(task.crops)
    if not found:
        raise MediaError(f"{task.crops} holds no crop (00001.jpg ...).", "Restore them, or remove the folder.")
    batch, count = Batch(task.faces.crop_px, task.keep), 0
    nowhere = np.full(4, np.nan), np.full((LANDMARKS, 2), np.nan), float("nan")
    for count, time_s in enumerate(_times(task, max(found) + 1), start=1):
        batch.add_frame(time_s)
        if count - 1 in found:
            batch.add_face(1, *nowhere, read_crop(found[count - 1], task.faces.crop_px, task.decode))
        if batch.full:
            yield batch.taken()
    surplus = max(found) + 1 - count
    if surplus > max(SURPLUS_FRAMES, SURPLUS_SHARE * count):
        raise MediaError(
            f"{task.crops} has crops up to number {max(found) + 1}, but {task.source.name} has {count} frames.",
            "Check that they belong together; up to 5 frames (or 1 %) of difference is passed over.",
        )
    yield batch.taken()


def read_crop(path: Path, size_px: int, limits: Decode) -> Array:
    """A ready crop as (size_px, size_px, 3) uint8 RGB, scaled where it has another size."""
    picture = read_picture(path, limits.max_pixels)
    if picture is None:
        raise MediaError(f"{path} can't be read as an image.", "Restore it, or delete it: its frame then has no face.")
    if picture.shape[:2] != (size_px, size_px):
        shrinks = min(picture.shape[:2]) > size_px
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(picture, (size_px, size_px), interpolation=how))
    return picture


def _times(task: Task, highest: int) -> Iterator[float]:
    """Presentation time of each frame."""
    if task.source.is_file():
        return decode.times(task.source, limits=task.decode)
    if task.faces.crops_rate_hz is None:
        raise DataError(
            f"{task.source}: ready crops without their video have no clock.",
            "Put the video beside them, or set stage1.faces.crops_rate_hz to the video's frames a second.",
        )
    rate_hz = task.faces.crops_rate_hz
    return (index / rate_hz for index in range(max(highest, task.least_frames)))
