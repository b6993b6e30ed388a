"""A face cut out upright at a fixed size, its landmarks where ArcFace's training data has them."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from common.errors import DataError

Picture = npt.NDArray[np.uint8]

#: Where ArcFace's training data has its landmarks in a crop of 112 px (insightface's reference points).
TEMPLATE_PX: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
TEMPLATE_SIZE_PX: Final = 112

#: x and y as one complex number.
_PLANE: Final = np.array([1, 1j])

#: Neighbours beyond the crop that a shrunk pixel at its edge is mixed with, in shrunk pixels.
_MARGIN = 2


def similarity(source: npt.ArrayLike, target: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The rotation, scale and shift that bring ``source`` closest to ``target`` in the least-squares sense.

    With points as complex numbers, q = a p + b, the solution is a = sum(conj(p) q) / sum(|p|^2) about the means:
    Umeyama (1991) in two dimensions, without its reflection.

    Parameters
    ----------
    source, target : (N, 2) float, x and y, N >= 2

    Returns
    -------
    (2, 3) float64, to be multiplied with (x, y, 1)

    Raises
    ------
    DataError
        If the source points aren't finite, or all lie in one place.
    """
    p = np.asarray(source, dtype=np.float64) @ _PLANE
    q = np.asarray(target, dtype=np.float64) @ _PLANE
    p_mean, q_mean = p.sum() / len(p), q.sum() / len(q)
    apart = p - p_mean
    spread = float(np.vdot(apart, apart).real)
    if not math.isfinite(spread) or spread < 1e-6:
        raise DataError(f"No face can be aligned by the landmarks {np.asarray(source).tolist()}.", "Detect it again.")
    a = np.vdot(apart, q - q_mean) / spread
    b = q_mean - a * p_mean
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def align(frame: Picture, landmarks: npt.ArrayLike, *, size_px: int = TEMPLATE_SIZE_PX) -> Picture:
    """Cut a face out so that its landmarks lie where ArcFace expects them; black beyond the frame.

    Parameters
    ----------
    frame : (H, W, 3) uint8
    landmarks : (5, 2) pixels of ``frame``, order of `stage1_embeddings.faces.detect.Face.landmarks`
    size_px : int
        Side of the crop; the template grows with it.

    Returns
    -------
    (size_px, size_px, 3) uint8

    Raises
    ------
    DataError
        If the landmarks lie in one place or aren't numbers.
    """
    matrix = similarity(landmarks, TEMPLATE_PX * (size_px / TEMPLATE_SIZE_PX))
    shrink = int(1 / np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrink >= 2:
        # warpAffine reads 4 pixels per pixel: a large face would come out jagged, otherwise in every frame.
        part = _part(matrix, size_px, shrink, frame)
        if part is None:
            return np.zeros((size_px, size_px, *frame.shape[2:]), np.uint8)
        left, top, right, bottom = part
        region = frame[top:bottom, left:right]
        small = (max(1, (right - left) // shrink), max(1, (bottom - top) // shrink))
        zoom = np.array([(right - left) / small[0], (bottom - top) / small[1]])
        frame = cv2.resize(region, small, interpolation=cv2.INTER_AREA)
        # Pixel i of the small region is centred at (i + 1/2) zoom - 1/2 of the large one.
        matrix[:, 2] += matrix[:, :2] @ (zoom / 2 - 0.5 + [left, top])
        matrix[:, :2] *= zoom
    return cv2.warpAffine(frame, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR)


def _part(
    matrix: npt.NDArray[np.float64], size_px: int, shrink: int, frame: Picture
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what a crop reads of the frame, in steps of ``shrink``; None if it's all outside."""
    crop = size_px * np.array([0, 1, 1j, 1 + 1j]) - (0.5 + 0.5j)
    read = (crop - complex(matrix[0, 2], matrix[1, 2])) / complex(matrix[0, 0], matrix[1, 0]) / shrink
    sides = (read.real, frame.shape[1]), (read.imag, frame.shape[0])
    low = [min(max(int(side.min()) - _MARGIN - 1, 0) * shrink, extent) for side, extent in sides]
    high = [min(max(int(side.max()) + _MARGIN + 1, 0) * shrink, extent) for side, extent in sides]
    return (low[0], low[1], high[0], high[1]) if low[0] < high[0] and low[1] < high[1] else None
