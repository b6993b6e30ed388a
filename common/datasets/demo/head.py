"""What doesn't move in a drawn face: skin with its shading, nose, ears, hair, neck and the wall behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.datasets.demo.path import Floats
from common.datasets.demo.plan import Speaker

#: Where things are, in units of half the face's height; origin at its centre, x to the right, y down.
EYE_Y = -0.10
BROW_Y = -0.33
MOUTH_Y = 0.55

#: Half the face's height and its centre, as shares of the picture's side.
FACE_SHARE = 0.33
CENTRE_X, CENTRE_Y = 0.50, 0.53

_HAIRLINE_Y = -0.64


@dataclass(frozen=True)
class Layers:
    """``wall`` (P, P, 3) RGB, and the head (P, P, 4) RGBA at both ends of the smile; float32 in [0, 1].

    A head's alpha is its outline. A glad face has round, rosy cheeks, a sad one is pale and drawn.
    """

    wall: npt.NDArray[np.float32]
    sad_head: npt.NDArray[np.float32]
    glad_head: npt.NDArray[np.float32]


def draw_layers(speaker: Speaker, side_px: int, rng: np.random.Generator) -> Layers:
    """Draw the two layers of a speaker, head upright and in the middle.

    Parameters
    ----------
    side_px : int, P, width and height of the layers
    """
    unit_px = FACE_SHARE * side_px
    pixel = np.arange(side_px) + 0.5
    x = np.tile((pixel - CENTRE_X * side_px) / unit_px, (side_px, 1))
    y = np.tile((pixel - CENTRE_Y * side_px) / unit_px, (side_px, 1)).T
    soft = 2.0 / unit_px
    strands = _strands(x, y, speaker, rng)
    return Layers(
        wall=_wall(x, y, soft, speaker, rng).astype(np.float32),
        sad_head=_head(x, y, soft, speaker, strands, smile=-1.0).astype(np.float32),
        glad_head=_head(x, y, soft, speaker, strands, smile=1.0).astype(np.float32),
    )


def _wall(x: Floats, y: Floats, soft: float, speaker: Speaker, rng: np.random.Generator) -> Floats:
    """(P, P, 3) wall, lit from one side, then neck and shoulders in front of it."""
    picture = np.array(speaker.wall) * (1 - 0.12 * y - 0.10 * speaker.light * x)[..., None]
    for _ in range(3):
        spot = _blob(x, y, rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.0), 0.6, 0.5)
        picture = picture * (1 + rng.uniform(-0.08, 0.08) * spot)[..., None]
    neck_side = 0.40 - 0.05 * np.exp(-(((y - 1.1) / 0.25) ** 2))
    shade = 0.62 + 0.25 * np.clip(y - 0.9, 0, 1) - 0.25 * (x / 0.45) ** 2
    neck = np.minimum(neck_side - np.abs(x), y)
    picture = _over(picture, np.array(speaker.skin) * shade[..., None], _step(neck, soft))
    shoulders = 1.0 - np.hypot(x / 1.35, (y - 2.00) / 0.90)
    shoulders = np.minimum(shoulders, np.hypot(x / 0.42, (y - 1.10) / 0.25) - 1)
    cloth = np.array(speaker.clothes) * (1 - 0.25 * np.abs(x))[..., None]
    return np.clip(_over(picture, cloth, _step(shoulders, soft)), 0, 1)


def _head(x: Floats, y: Floats, soft: float, speaker: Speaker, strands: Floats, *, smile: float) -> Floats:
    """(P, P, 4) ears, face and hair, from back to front, with their common outline as alpha."""
    width = speaker.face_width * (1 - 0.10 * np.clip(y, 0, 1) ** 1.5)
    radius = (np.abs(x / width) ** 2.25 + np.abs(y) ** 2.25) ** (1 / 2.25)
    face = _step(1 - radius, soft)
    ears = _step(1 - np.hypot((np.abs(x) - speaker.face_width) / 0.10, (y - 0.02) / 0.20), soft)
    behind = _hair_behind(x, y, soft, speaker)
    picture = strands * 0.75
    picture = _over(picture, np.array(speaker.skin) * np.array([0.80, 0.72, 0.70]), ears)
    picture = _over(picture, _skin(x, y, radius, width, speaker, smile), face)
    skull = _step(1 - np.hypot(x / (speaker.face_width + 0.09), (y + 0.14) / 1.05), soft)
    edge = _HAIRLINE_Y + 0.10 * speaker.parting * x + 0.75 * (np.abs(x) / speaker.face_width) ** 4
    fringe = skull * _step(edge - y, 3 * soft)
    picture = _over(picture, strands, fringe)
    alpha = np.maximum.reduce([face, ears, behind, fringe])
    return np.dstack([np.clip(picture, 0, 1), alpha])


def _hair_behind(x: Floats, y: Floats, soft: float, speaker: Speaker) -> Floats:
    """(P, P) outline of the hair behind the face: a cap, and what hangs down to ``hair_length``."""
    cap = _step(1 - np.hypot(x / (speaker.face_width + 0.09), (y + 0.14) / 1.05), soft)
    side = speaker.face_width + 0.10 - 0.05 * np.clip(y, 0, 1)
    hanging = _step(side - np.abs(x), soft) * _step(speaker.hair_length - y, 4 * soft) * _step(y + 0.3, soft)
    return np.maximum(cap * _step(max(speaker.hair_length, 0.05) - y, 4 * soft), hanging)


def _strands(x: Floats, y: Floats, speaker: Speaker, rng: np.random.Generator) -> Floats:
    """(P, P, 3) hair colour with streaks and a soft shine."""
    along = x * (1.4 + 0.3 * y)
    streaks = np.mean([np.sin(along * rng.uniform(15, 60) + rng.uniform(0, 6.28)) for _ in range(4)], axis=0)
    shine = _blob(x, y, 0.25 * speaker.light, -0.82, 0.35, 0.10)
    picture: Floats = np.array(speaker.hair) * (1 + 0.18 * streaks + 0.45 * shine)[..., None]
    return picture


def _skin(x: Floats, y: Floats, radius: Floats, width: Floats, speaker: Speaker, smile: float) -> Floats:
    """(P, P, 3) the lit face without eyes, brows and mouth."""
    depth = np.sqrt(np.clip(1 - np.minimum(radius, 1) ** 2, 0.02, 1))
    lit = np.clip((speaker.light * x / width - 0.35 * y + 0.85 * depth) / 1.05, 0, 1)
    light = 0.50 + 0.56 * lit
    for side in (-1, 1):
        light -= 0.20 * _blob(x, y, side * speaker.eye_spacing, EYE_Y - 0.03, 0.19, 0.12)
        light += (0.05 + 0.13 * smile) * _blob(x, y, side * 0.42, 0.18, 0.18, 0.15)
        light -= (0.07 + 0.04 * smile) * _blob(x, y, side * 0.32, 0.40, 0.05, 0.13)
    light += _nose_light(x, y, speaker)
    light -= 0.10 * _blob(x, y, 0, MOUTH_Y + 0.17, 0.15, 0.035)
    light += 0.05 * _blob(x, y, 0, 0.82, 0.14, 0.08) + 0.05 * _blob(x, y, 0, -0.45, 0.35, 0.12)
    light -= 0.12 * _blob(x, y, 0, _HAIRLINE_Y + 0.03, 0.6, 0.06)
    picture = np.array(speaker.skin) * light[..., None]
    blush = _blob(x, y, -0.43, 0.24, 0.17, 0.13) + _blob(x, y, 0.43, 0.24, 0.17, 0.13)
    red = 1 - (1 + 1.6 * smile) * blush[..., None] * np.array([-0.02, 0.07, 0.06])
    return np.asarray(picture * red)


def _nose_light(x: Floats, y: Floats, speaker: Speaker) -> Floats:
    """(P, P) what the nose adds to the light: a bright ridge and tip, a dark flank, nostrils, a shadow below."""
    tip_y = speaker.nose_length
    shaded_side = -1.0 if speaker.light > 0 else 1.0
    light = 0.12 * _blob(x, y, 0, tip_y / 2 - 0.06, 0.045, 0.20) + 0.12 * _blob(x, y, 0, tip_y - 0.03, 0.075, 0.06)
    light -= 0.13 * _blob(x, y, shaded_side * 0.105, tip_y / 2 + 0.02, 0.04, 0.17)
    light -= 0.05 * _blob(x, y, -shaded_side * 0.105, tip_y / 2 + 0.05, 0.035, 0.14)
    light -= 0.14 * _blob(x, y, 0, tip_y + 0.09, 0.13, 0.035)
    for side in (-1, 1):
        light -= 0.30 * _blob(x, y, side * 0.065, tip_y + 0.055, 0.030, 0.020)
        light -= 0.12 * _blob(x, y, side * 0.135, tip_y + 0.02, 0.022, 0.05)
    return light


def _blob(x: Floats, y: Floats, at_x: float, at_y: float, wide: float, high: float) -> Floats:
    """(P, P) a bump of height 1."""
    return np.asarray(np.exp(-(((x - at_x) / wide) ** 2) - ((y - at_y) / high) ** 2))


def _step(inside: Floats, soft: float) -> Floats:
    """(P, P) 1 where ``inside`` is positive, 0 where it is negative, a ramp of width ``soft`` between."""
    ramp = np.clip(inside / soft + 0.5, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp))


def _over(below: Floats, above: Floats, alpha: Floats) -> Floats:
    return np.asarray(below + alpha[..., None] * (above - below))
