"""Where a video cuts from one shot to the next, told from small grey pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stage1_embeddings.faces.align import Picture

#: About how wide the small grey picture is; shrinking by a whole number is several times faster than by any other.
GREY_WIDTH_PX = 320

#: Width and height a picture is compared at, and those it is shrunk to on the way: in one step takes six times longer.
_CELLS = (32, 24)
_HALF_WAY = (96, 72)

#: Grey levels, in standard deviations of the picture, by which a cell may differ from all cells around it.
_TOLERANCE = 0.25

#: A picture flatter than this has hardly a structure to compare, grey levels of 255.
_FLAT = 8.0

#: Share of changed cells from which two pictures are of different shots. On ten real videos, with hands and heads
#: moving close to the camera, the most within a shot is 0.09, the least at a cut 0.30.
_CHANGED = 0.2

#: A flash is over after two frames: what returns to the picture before it is no cut.
_FLASH_FRAMES = 2

_AROUND = np.ones((3, 3), np.uint8)


@dataclass(eq=False)
class View:
    """A frame, ready to be followed through.

    Attributes
    ----------
    time_s : float
    picture : (H, W, 3) uint8, RGB
    grey : (h, w) uint8
        The picture, ``shrink`` times smaller.
    shrink : int
    cut : bool
        Whether a new shot begins here; not at the first frame.
    """

    time_s: float
    picture: Picture
    grey: npt.NDArray[np.uint8]
    shrink: int
    cut: bool = False


@dataclass(frozen=True, eq=False)
class _Cells:
    """Brightness of 32 x 24 cells, and the least and the most of each cell and its neighbours."""

    level: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]


def views(frames: Iterable[tuple[float, Picture]]) -> Iterator[View]:
    """Frames with their cuts marked, two frames behind.

    A cut is an abrupt change: more than a fifth of the cells changed by more than motion to a neighbouring cell and
    a change of the light explain, and the picture isn't back within two frames. Fades and dissolves are no cuts.
    """
    ahead: deque[tuple[View, _Cells]] = deque()
    past: deque[_Cells] = deque(maxlen=_FLASH_FRAMES + 1)
    for time_s, picture in frames:
        grey, shrink = _small_grey(picture)
        ahead.append((View(time_s, picture, grey, shrink), _cells(grey)))
        if len(ahead) > _FLASH_FRAMES:
            yield _next(ahead, past)
    while ahead:
        yield _next(ahead, past)


def _next(ahead: deque[tuple[View, _Cells]], past: deque[_Cells]) -> View:
    """The oldest frame of ``ahead``, its cut decided by what was before it and what comes."""
    coming = [cells for _, cells in ahead]
    view, cells = ahead.popleft()
    view.cut = bool(past) and _changed(past[-1], cells) and all(_changed(a, b) for a in past for b in coming)
    if view.cut:
        past.clear()
    past.append(cells)
    return view


def _small_grey(picture: Picture) -> tuple[npt.NDArray[np.uint8], int]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    shrink = min(max(1, round(max(height, width) / GREY_WIDTH_PX)), height, width)
    if shrink == 1:
        return grey, 1
    size = (width // shrink, height // shrink)
    whole = grey[: size[1] * shrink, : size[0] * shrink]
    return cv2.resize(whole, size, interpolation=cv2.INTER_AREA), shrink


def _cells(grey: npt.NDArray[np.uint8]) -> _Cells:
    level = cv2.resize(cv2.resize(grey, _HALF_WAY), _CELLS, interpolation=cv2.INTER_AREA).astype(np.float32)
    mean, spread = cv2.meanStdDev(level)
    level = (level - np.float32(mean[0, 0])) / np.float32(max(spread[0, 0], _FLAT))
    return _Cells(level, cv2.erode(level, _AROUND) - _TOLERANCE, cv2.dilate(level, _AROUND) + _TOLERANCE)


def _changed(one: _Cells, other: _Cells) -> bool:
    """Whether neither picture can be explained by the other with its parts moved a little."""
    return _beyond(one, other) > _CHANGED and _beyond(other, one) > _CHANGED


def _beyond(one: _Cells, other: _Cells) -> float:
    beyond = np.count_nonzero(one.level < other.low) + np.count_nonzero(one.level > other.high)
    return beyond / one.level.size
