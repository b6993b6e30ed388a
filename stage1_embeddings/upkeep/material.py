"""What a clip's picture is drawn from: a few faces, and the outline of its sound. A long clip takes no more room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import CacheError, LimitError, MavenError
from common.recipe import LARGEST_CROP_PX, Decode
from common.schema import CROP_END, CROP_FRAME, CROP_PNG, FACE_BOX, TIME
from common.store import read_clip, read_locations, validate
from stage1_embeddings.upkeep.clipview import ClipView
from stage1_embeddings.upkeep.folders import CROPS, folders

Picture = npt.NDArray[np.uint8]

#: Side of a face in the strip.
FACE_PX = 112

#: Kept crops belong to a frame whose time is no further off: times are the container's in both files.
_SAME_TIME_S = 1e-6
#: Of the same face, in pixels.
_SAME_BOX_PX = 0.51


@dataclass(frozen=True)
class Glimpse:
    """What is seen at a frame: a face cut out, or, where there is none, the whole picture; None where unknown."""

    frame: int
    picture: Picture | None
    is_face: bool


@dataclass(frozen=True)
class Outline:
    """Lowest and highest sample of each column of time; NaN where there is no sound.

    Attributes
    ----------
    low, high : (columns,) float32 in [-1, 1]
    """

    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]


def glimpses(
    view: ClipView, frames: list[int], cache: Path, on_frame: Callable[[int], None]
) -> tuple[list[Glimpse], str]:
    """The faces at some frames: from kept crops, from the source, or nothing but their places.

    Parameters
    ----------
    frames : indices, rising
    on_frame : told of each frame that is decoded

    Returns
    -------
    glimpses, one for each of ``frames``; and a sentence on where they come from
    """
    for path in [folder / f"{view.video}.h5" for folder in folders(cache, CROPS)]:
        if path.is_file() and (found := _from_crops(view, frames, path)) is not None:
            empty = any(glimpse.picture is None for glimpse in found)
            return found, "Faces: kept crops." + (" Grey: no face." if empty else "")
    if view.source is None:
        return [Glimpse(frame, None, False) for frame in frames], (
            "The source isn't there any more, unchanged: no faces, no waveform."
        )
    try:
        found = list(_from_source(view, frames, view.source, on_frame))
        pale = any(glimpse.picture is not None and not glimpse.is_face for glimpse in found)
        return found, "Faces: cut out of the source again." + (
            " Pale: the whole picture, where no face was found." if pale else ""
        )
    except (MavenError, OSError) as error:
        return [Glimpse(frame, None, False) for frame in frames], f"No faces: {error}"


def outline(view: ClipView, columns: int) -> tuple[Outline | None, str]:
    """The outline of the sound over the clip's time; None and a sentence where there is none."""
    if view.source is None or view.source.is_dir():
        return None, "no source to hear"
    from common.media import decode

    start_s, end_s = float(view.edges_s[0]), float(view.edges_s[-1])
    low = np.full(columns, np.nan, dtype=np.float32)
    high = low.copy()
    width_s = (end_s - start_s) / columns
    heard = False
    try:
        for block in decode.sound(view.source):
            heard = True
            if block.hole or not len(block.samples):
                continue
            times = block.start_s + np.arange(len(block.samples)) / block.rate_hz
            at = np.floor((times - start_s) / width_s).astype(np.int64)
            inside = (at >= 0) & (at < columns)
            np.fmin.at(low, at[inside], block.samples[inside])
            np.fmax.at(high, at[inside], block.samples[inside])
    except (MavenError, OSError) as error:
        return None, f"the sound can't be read: {error}"
    if not heard:
        return None, "the source has no sound"
    return Outline(low, high), ""


def _from_crops(view: ClipView, frames: list[int], path: Path) -> list[Glimpse] | None:
    """Glimpses from a file of kept crops; None where it holds other frames or other faces than this clip's."""
    from common.media.picture import decoded

    try:
        validate(path, deep=False)
        places, _ = read_locations(path)
        kept: dict[str, Any] = dict(read_clip(path, (TIME, CROP_FRAME, CROP_END, FACE_BOX)))
    except CacheError:
        return None  # damaged, or another version's: `verify` says so; the source may still serve
    wanted = [frame for frame in frames if view.present["visual"][frame]]
    chosen: dict[int, int] = {}
    for frame in wanted:
        at = int(np.abs(kept[TIME] - view.time_s[frame]).argmin())
        here = np.flatnonzero(kept[CROP_FRAME] == at)
        off_px = np.abs(kept[FACE_BOX][here] - view.box[frame]).max(axis=1)
        off_px = np.where(np.isnan(off_px), 0, off_px)  # ready crops have no place
        if abs(float(kept[TIME][at]) - view.time_s[frame]) > _SAME_TIME_S or off_px.min(initial=1) > _SAME_BOX_PX:
            return None
        chosen[frame] = int(here[off_px.argmin()])
    place = places[CROP_PNG]
    content = np.memmap(path, place.dtype, "r", place.offset, place.shape) if place.shape[0] else np.zeros(0, np.uint8)
    found = []
    for frame in frames:
        picture: Picture | None = None
        if frame in chosen:
            index = chosen[frame]
            start = int(kept[CROP_END][index - 1]) if index else 0
            stop = int(kept[CROP_END][index])
            try:
                picture = decoded(np.asarray(content[start:stop]), path, LARGEST_CROP_PX**2)
            except LimitError:
                return None
            if picture is None:
                return None
        found.append(Glimpse(frame, picture, frame in chosen))
    return found


def _from_source(view: ClipView, frames: list[int], source: Path, on_frame: Callable[[int], None]) -> Iterator[Glimpse]:
    """Glimpses decoded from a video, or read from a folder of ready crops."""
    if source.is_dir():
        for frame in frames:
            yield _ready(view, frame, source)
        return
    from common.media import decode
    from stage1_embeddings.faces.align import align

    waiting = list(frames)
    for count, (time_s, picture) in enumerate(decode.frames(source)):
        if not waiting:
            return
        on_frame(count)
        frame = waiting[0]
        if time_s < view.time_s[frame] - _SAME_TIME_S:
            continue
        waiting.pop(0)
        there = bool(view.present["visual"][frame]) and bool(np.isfinite(view.landmarks[frame]).all())
        if there:
            yield Glimpse(frame, align(picture, view.landmarks[frame], size_px=FACE_PX), True)
        else:
            yield Glimpse(frame, _small(picture), False)
    yield from (Glimpse(frame, None, False) for frame in waiting)


def _ready(view: ClipView, frame: int, folder: Path) -> Glimpse:
    from common.media.picture import read_picture

    paths = [path for path in sorted(folder.glob(f"{frame + 1:05d}.*")) if path.is_file()]
    try:
        picture = read_picture(paths[0], Decode().max_pixels) if paths else None
    except LimitError:
        picture = None
    there = picture is not None and bool(view.present["visual"][frame])
    return Glimpse(frame, _small(picture) if picture is not None and there else None, there)


def _small(picture: npt.NDArray[Any]) -> Picture:
    """The picture with a longer side of `FACE_PX`."""
    import cv2

    scale = FACE_PX / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
