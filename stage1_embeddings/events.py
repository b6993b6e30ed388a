"""What decoding a clip hands to encoding it: a task goes one way, these events come back in order.

For one clip: `Frames` until the picture ends, `Sound` until the sound ends, then `Ended`; or `Broken` at any point.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.media.sound import SoundBlock
from common.recipe import Decode, Faces

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Task:
    """What is to be decoded for one clip.

    Attributes
    ----------
    key : str
        The clip's id.
    source : Path
        A video, or a folder of ready crops.
    crops : Path or None
        Folder of ready crops, taken where ``faces.detector`` is crops.
    kept : Path or None
        File of crops that an earlier run kept: then the picture isn't decoded again.
    faces : Faces
        Settings, the policy being that of this clip.
    least_frames : int
        Ready crops without a video: how many frames the labels have.
    picture, sound : bool
        What is wanted.
    keep : bool
        Hand the crops on as PNG too, to be kept.
    decode : Decode
        Largest picture, longest video.
    """

    key: str
    source: Path
    crops: Path | None
    kept: Path | None
    faces: Faces
    least_frames: int
    picture: bool
    sound: bool
    keep: bool
    decode: Decode = field(default_factory=Decode)


@dataclass(frozen=True)
class Frames:
    """The next T frames, and the M faces in them that are wanted.

    Attributes
    ----------
    time_s : (T,) float64
    frame : (M,) int64
        Index from the clip's beginning, not decreasing.
    track : (M,) int64
    box : (M, 4) float32, landmarks : (M, 5, 2) float32, score : (M,) float32
        Pixels of the frame; NaN for ready crops.
    crops : (M, S, S, 3) uint8, RGB
    png : list of bytes, (M), or empty
    """

    time_s: npt.NDArray[np.float64]
    frame: npt.NDArray[np.int64]
    track: npt.NDArray[np.int64]
    box: npt.NDArray[np.float32]
    landmarks: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    crops: npt.NDArray[np.uint8]
    png: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Sound:
    """The next stretch of sound."""

    block: SoundBlock


@dataclass(frozen=True)
class Ended:
    """The clip is decoded to its end."""


@dataclass(frozen=True)
class Broken:
    """The clip can't be decoded. ``lasting``: it will not get better by trying again with the same file."""

    problem: str
    cure: str
    lasting: bool


Event = Frames | Sound | Ended | Broken
