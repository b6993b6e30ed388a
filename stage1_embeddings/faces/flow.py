"""Faces carried from frame to frame by the motion of the picture (pyramidal Lucas-Kanade, OpenCV)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from stage1_embeddings.faces.detect import Face

Grey = npt.NDArray[np.uint8]
Points = npt.NDArray[np.complex128]

_WINDOW_PX: Final = (13, 13)
_LEVELS: Final = 2

#: How far beyond the points the picture is looked at: most of the time goes into its pyramid.
_REACH_PX: Final = 40

#: A face this wide is followed at half the size, with the accuracy of a quarter of the time.
_LARGE_PX: Final = 72

#: Beside the landmarks, 4 x 4 points of the box: five alone are lost too easily.
_GRID: Final = np.stack(np.meshgrid(np.linspace(0.2, 0.8, 4), np.linspace(0.2, 0.85, 4)), -1).reshape(-1, 2)
_POINTS: Final = 5 + len(_GRID)

#: Points that must be left for the motion to be believed.
_LEAST_POINTS: Final = 8

#: How far a point may be from where the others say, as a multiple of the median, and in pixels of the small picture.
_OUTLIER: Final = 2.5
_OUTLIER_PX: Final = 0.3

#: A face that grows or shrinks by more than this within a group is searched, not followed.
_MOST_GROWTH: Final = 2.0


def carry(greys: Sequence[Grey], faces: Sequence[Face], *, shrink: int) -> list[list[Face]] | None:
    """Where faces of one frame are in the next ones: each moved, turned and scaled as its points move on the whole.

    Parameters
    ----------
    greys : sequence of (h, w) uint8
        The frame of the faces and those that follow, grey and ``shrink`` times smaller, all of one size.
    faces : sequence of Face
        In pixels of the frame, not of the small picture; at least one.
    shrink : int

    Returns
    -------
    list, for each face its place in each frame but the first; None where one of them was lost
    """
    while min(float(face.box[2:].min()) for face in faces) / shrink > _LARGE_PX:
        size = (greys[0].shape[1] // 2, greys[0].shape[0] // 2)
        greys = [cv2.resize(grey[: 2 * size[1], : 2 * size[0]], size, interpolation=cv2.INTER_AREA) for grey in greys]
        shrink *= 2
    places = [np.concatenate([face.landmarks, face.box[:2] + _GRID * face.box[2:]]) for face in faces]
    places = [np.concatenate(places).astype(np.float32) / shrink]
    extent = (greys[0].shape[1], greys[0].shape[0])
    known: Any = ((places[0] >= 0) & (places[0] < extent)).all(axis=1)
    for before, after in pairwise(greys):
        if np.count_nonzero(known) < _LEAST_POINTS:
            return None
        moved, status = _moved_points(before, after, places[-1], known)
        known = known & status
        places.append(moved)
    both = np.stack(places).reshape(len(places), len(faces), _POINTS, 2)
    tracks: Points = both[..., 0] + 1j * both[..., 1].astype(np.float64)
    carried = []
    for index, face in enumerate(faces):
        motion = _motion(tracks[:, index, known[index * _POINTS : (index + 1) * _POINTS]])
        if motion is None:
            return None
        carried.append(_moved(face, *motion, shrink=shrink))
    return carried


def _moved_points(
    before: Grey, after: Grey, points: npt.NDArray[np.float32], known: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The points in ``after``, and which of them were found, looking only around those that are known."""
    low = np.maximum(points[known].min(0).astype(int) - _REACH_PX, 0)
    high = points[known].max(0).astype(int) + _REACH_PX
    part = np.s_[low[1] : high[1], low[0] : high[0]]
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        before[part], after[part], points - low.astype(np.float32), None, winSize=_WINDOW_PX, maxLevel=_LEVELS
    )
    return moved + low.astype(np.float32), status.ravel() == 1


def _motion(tracks: Points) -> tuple[Points, Points] | None:
    """The similarities q = a p + b from the first place of a face's points to each later one.

    Fitted by least squares twice, the second time without the points that went another way.

    Parameters
    ----------
    tracks : (steps + 1, N) complex128

    Returns
    -------
    a, b : (steps,) complex128; None where they can't be told
    """
    for _ in range(2):
        count = tracks.shape[1]
        if count < _LEAST_POINTS:
            return None
        middle = tracks.sum(1) / count
        apart = tracks - middle[:, None]
        spread = np.vdot(apart[0], apart[0]).real
        if spread == 0:
            return None
        a = apart[1:] @ apart[0].conj() / spread
        b = middle[1:] - a * middle[0]
        off = np.abs(a[:, None] * apart[0] - apart[1:]).max(0)
        tracks = tracks[:, off <= _OUTLIER * np.median(off) + _OUTLIER_PX]
    growth = np.abs(a)
    return (a, b) if growth.min() > 1 / _MOST_GROWTH and growth.max() < _MOST_GROWTH else None


def _moved(face: Face, a: Points, b: Points, *, shrink: int) -> list[Face]:
    """The face after each of the similarities, which are in pixels of the small picture."""
    corner, size = face.box[:2].astype(np.float64), face.box[2:].astype(np.float64)
    places = np.concatenate([face.landmarks, (corner + size / 2)[None]]) @ [1, 1j]
    moved = a[:, None] * places + (b * shrink)[:, None]
    landmarks = np.stack([moved.real, moved.imag], -1)
    sizes = np.abs(a)[:, None] * size
    boxes = np.concatenate([landmarks[:, 5] - sizes / 2, sizes], axis=1).astype(np.float32)
    landmarks = landmarks[:, :5].astype(np.float32)
    return [replace(face, box=box, landmarks=points) for box, points in zip(boxes, landmarks, strict=True)]
