"""Faces found in single frames, with OpenCV's detectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import cv2
import cv2.data
import numpy as np
import numpy.typing as npt

from common.errors import ModelError, UsageError
from stage1_embeddings.faces.align import TEMPLATE_PX, TEMPLATE_SIZE_PX, Picture, align, similarity
from stage1_embeddings.faces.yunet import yunet_weights

__all__ = [
    "TEMPLATE_PX",
    "Detector",
    "Face",
    "Picture",
    "align",
    "area",
    "detector",
    "iou",
    "similarity",
    "yunet_weights",
]

Floats = npt.NDArray[np.float32]

#: YuNet finds nothing, or nonsense, in a picture of 32 px; enlarged to 160 px it finds what is there.
_LEAST_DETECT_PX = 160

#: Landmarks in a frontal Haar box, as fractions of it: the median over 212 boxes where YuNet found the same face;
#: half of the faces lie within 0.02 of it.
_HAAR_LANDMARKS = np.array([[0.317, 0.39], [0.683, 0.39], [0.5, 0.61], [0.345, 0.78], [0.655, 0.78]])
_HAAR_LEAST_SIDE = 0.1


@dataclass(frozen=True)
class Face:
    """Where a face is, in pixels of the frame.

    Attributes
    ----------
    box : (4,) float32
        x, y, width, height; may reach beyond the frame.
    landmarks : (5, 2) float32
        x, y as the viewer sees them: left eye, right eye, nose tip, left and right corner of the mouth.
    score : float
        The detector's confidence in [0, 1]; 1 where it gives none.
    """

    box: Floats
    landmarks: Floats
    score: float


class Detector(ABC):
    """Finds faces in one frame."""

    #: Whether each frame is one face by definition: there is nothing to find, and nothing to follow.
    whole_frame: ClassVar[bool] = False

    @abstractmethod
    def detect_all(self, frame: Picture) -> list[Face]:
        """Every face in ``frame``, (H, W, 3) uint8 RGB, in no particular order."""

    def detect(self, frame: Picture) -> Face | None:
        """The face with the largest box; None where there is none."""
        return max(self.detect_all(frame), key=area, default=None)


def detector(
    kind: Literal["yunet", "haar", "none"], *, weights: Path | None, min_score: float, detect_width_px: int
) -> Detector:
    """Make a detector.

    Parameters
    ----------
    kind : {"yunet", "haar", "none"}
        ``yunet``: a small network, the best of the three. ``haar``: the cascade that comes with OpenCV, for frontal
        faces, needs no file. ``none``: every frame is a crop of one face already.
    weights : Path or None
        YuNet's ONNX file; None fetches it (`yunet_weights`). The other kinds take no notice of it.
    min_score : float
        YuNet's threshold, in [0, 1]. The cascade has no score.
    detect_width_px : int
        The frame's longer side when a face is looked for; a smaller frame is enlarged only up to 160 px.

    Raises
    ------
    UsageError
        If a value is out of range.
    ModelError
        If the weights can't be had or loaded.
    """
    if not 0 <= min_score <= 1:
        raise UsageError(f"faces.min_score is {min_score}.", "Give a number from 0 to 1.")
    if detect_width_px < 1:
        raise UsageError(f"faces.detect_width_px is {detect_width_px}.", "Give a width in pixels, such as 320.")
    if kind == "yunet":
        return _YuNet(weights if weights is not None else yunet_weights(), min_score, detect_width_px)
    if kind == "haar":
        return _Haar(detect_width_px)
    if kind == "none":
        return _WholeFrame()
    raise UsageError(f"faces.detector is {kind!r}.", "Choose yunet, haar or none.")


def iou(one: Floats, other: Floats) -> float:
    """Intersection over union of two boxes (x, y, width, height), in [0, 1]."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    both = float(np.prod(np.maximum(high - low, 0)))
    either = float(np.prod(one[2:]) + np.prod(other[2:])) - both
    return both / either if either > 0 else 0.0


class _YuNet(Detector):
    def __init__(self, weights: Path, min_score: float, detect_width_px: int) -> None:
        self._width_px = detect_width_px
        try:
            self._net: Any = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), min_score)
        except cv2.error as error:
            raise ModelError(f"{weights} can't be loaded as YuNet: {error.err}.", "Fetch it again.") from None

    def detect_all(self, frame: Picture) -> list[Face]:
        small, zoom = _scaled(frame, self._width_px)
        self._net.setInputSize((small.shape[1], small.shape[0]))
        rows = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
        # YuNet's right and left are the person's, so that its order is the viewer's from the left.
        rows = np.zeros((0, 15), np.float32) if rows is None else rows
        points = rows[:, :14].reshape(-1, 7, 2) * zoom
        faces = [Face(p[:2].reshape(4), p[2:], float(row[14])) for p, row in zip(points, rows, strict=True)]
        return [face for face in faces if _inside(face, frame)]


class _Haar(Detector):
    def __init__(self, detect_width_px: int) -> None:
        self._width_px = detect_width_px
        # On 14 real videos alt2 finds what the default cascade finds, with a quarter of its false faces.
        path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"
        self._cascade: Any = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise ModelError(f"OpenCV can't load {path}.", "Install opencv-python-headless again.")

    def detect_all(self, frame: Picture) -> list[Face]:
        small, zoom = _scaled(frame, self._width_px)
        gray = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        least = int(_HAAR_LEAST_SIDE * min(gray.shape))
        boxes = self._cascade.detectMultiScale(gray, 1.1, 3, minSize=(least, least))
        return [_with_template(np.asarray(box).reshape(2, 2) * zoom, _HAAR_LANDMARKS) for box in boxes]


class _WholeFrame(Detector):
    whole_frame = True

    def detect_all(self, frame: Picture) -> list[Face]:
        height, width = frame.shape[:2]
        return [_with_template(np.array([[0.0, 0.0], [width, height]]), TEMPLATE_PX / TEMPLATE_SIZE_PX)]


def _with_template(box: npt.NDArray[np.float64], places: npt.NDArray[np.float64]) -> Face:
    """A face with its landmarks at fixed places of its box, (2, 2): corner and size."""
    return Face(box.reshape(4).astype(np.float32), (box[0] + places * box[1]).astype(np.float32), 1.0)


def _scaled(frame: Picture, width_px: int) -> tuple[Picture, Floats]:
    """The frame to look for faces in, and what its x and y are to be multiplied with, (2,)."""
    height, width = frame.shape[:2]
    longer = max(height, width)
    scale = min(width_px, max(longer, _LEAST_DETECT_PX)) / longer
    if scale == 1:
        return frame, np.ones(2, dtype=np.float32)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return small, np.array([width / size[0], height / size[1]], dtype=np.float32)


def _inside(face: Face, frame: Picture) -> bool:
    """Whether the numbers of a face are finite and its middle lies in the frame."""
    middle = face.box[:2] + face.box[2:] / 2
    within = (middle >= 0).all() and (middle < [frame.shape[1], frame.shape[0]]).all()
    return bool(np.isfinite(face.landmarks).all() and (face.box[2:] > 0).all() and within)


def area(face: Face) -> float:
    """Of a face's box, in square pixels."""
    return float(face.box[2] * face.box[3])
