"""Draws a speaker's face with an expression: eyes, brows and mouth on the head, the head in front of the wall."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from common.datasets.demo.expression import Expression
from common.datasets.demo.head import BROW_Y, CENTRE_X, CENTRE_Y, EYE_Y, FACE_SHARE, MOUTH_Y, draw_layers
from common.datasets.demo.path import Floats
from common.datasets.demo.plan import Speaker

Picture = npt.NDArray[np.uint8]

#: Drawn at twice the size, then halved: smooth edges and movements smaller than a pixel.
_OVERSAMPLING = 2
_FRACTION_BITS = 4
_CURVE = np.linspace(-1, 1, 21)


class FaceDrawer:
    """Draws one speaker.

    Parameters
    ----------
    speaker : Speaker
    size_px : int, P, side of the square picture
    rng : numpy Generator, for hair and wall
    """

    def __init__(self, speaker: Speaker, size_px: int, rng: np.random.Generator) -> None:
        self._speaker = speaker
        self._size_px = size_px
        self._side_px = size_px * _OVERSAMPLING
        self._unit_px = FACE_SHARE * self._side_px
        layers = draw_layers(speaker, self._side_px, rng)
        self._sad_head = np.round(layers.sad_head * 255).astype(np.uint8)
        self._glad_head = np.round(layers.glad_head * 255).astype(np.uint8)
        self._wall = cv2.resize(layers.wall * 255, (size_px, size_px), interpolation=cv2.INTER_AREA)
        skin = np.array(speaker.skin)
        self._brow = 0.75 * np.array(speaker.hair) + 0.10 * skin
        self._lip = skin * np.array([0.82, 0.48, 0.48])
        self._fold = skin * np.array([0.80, 0.72, 0.70])
        self._crease = skin * np.array([0.62, 0.52, 0.50])

    def draw(self, expression: Expression, frame: int) -> Picture:
        """(P, P, 3) uint8 RGB: the picture of one frame of ``expression``."""
        smile, frown = expression.smile[frame], expression.frown[frame]
        brow, lid = expression.brow[frame], expression.lid[frame]
        glad = float(np.clip((smile + 1) / 2, 0, 1))
        canvas = cv2.addWeighted(self._glad_head, glad, self._sad_head, 1 - glad, 0)
        for side in (-1, 1):
            self._draw_eye(canvas, side, lid, smile)
            self._draw_brow(canvas, side, brow, frown)
        self._blur(canvas, BROW_Y - 0.25, EYE_Y + 0.20)
        self._draw_mouth(canvas, smile, expression.opening[frame])
        self._blur(canvas, MOUTH_Y - 0.25, MOUTH_Y + 0.38)
        return self._place(canvas, expression, frame)

    def _draw_eye(self, canvas: Picture, side: int, lid: float, smile: float) -> None:
        centre_x, half = side * self._speaker.eye_spacing, self._speaker.eye_width
        upper, lower = 0.085 * lid, 0.045 * min(lid, 1) * (1 - 0.35 * max(smile, 0))
        arch = 1 - _CURVE**2
        x = centre_x + half * _CURVE
        top = EYE_Y - upper * arch - 0.012 * side * _CURVE
        bottom = EYE_Y + lower * arch - 0.012 * side * _CURVE
        self._line(canvas, x, top - 0.045, 0.020, self._crease)
        outline = np.concatenate([np.stack([x, top], 1), np.stack([x, bottom], 1)[::-1]])
        self._fill(canvas, outline, np.array([0.93, 0.91, 0.89]))
        iris_y = EYE_Y - 0.35 * (upper - lower)
        for radius, colour in ((0.078, np.array(self._speaker.iris)), (0.036, np.array([0.03, 0.03, 0.03]))):
            self._fill(canvas, _within(_disc(centre_x, iris_y, radius), x, top, bottom), colour)
        self._fill(canvas, _within(_disc(centre_x + 0.025, iris_y - 0.025, 0.014), x, top, bottom), np.ones(3))
        self._line(canvas, x, top, 0.030, np.array([0.10, 0.07, 0.06]))
        self._line(canvas, x, bottom, 0.010, self._crease)

    def _draw_brow(self, canvas: Picture, side: int, brow: float, frown: float) -> None:
        along = (_CURVE + 1) / 2
        x = side * (self._speaker.eye_spacing - 0.19 + 0.40 * along)
        lift = -0.10 * brow + 0.095 * frown * (1 - along) ** 1.2 - 0.03 * frown * along
        y = BROW_Y + lift - 0.055 * np.sin(np.pi * (0.15 + 0.75 * along))
        thick = self._speaker.brow_thickness * (1.05 - 0.75 * along**1.5)
        self._fill(canvas, _band(x, y - thick / 2, y + thick / 2), self._brow)

    def _draw_mouth(self, canvas: Picture, smile: float, opening: float) -> None:
        half = self._speaker.mouth_width * (1 + 0.20 * smile - 0.10 * opening)
        thick = self._speaker.lip_thickness * (1 + 0.35 * min(smile, 0))
        arch = 1 - _CURVE**2
        x = half * _CURVE
        corner_y = MOUTH_Y - 0.13 * smile
        middle_y = MOUTH_Y + 0.07 * smile
        seam = corner_y + (middle_y - corner_y) * arch
        gap = (0.24 * opening + 0.13 * max(smile - 0.1, 0)) * arch
        top, bottom = seam - 0.25 * gap, seam + 0.75 * gap
        for side in (-1, 1):
            fold_x = side * (half - 0.01 + 0.05 * _CURVE + 0.03 * arch)
            self._line(canvas, fold_x, MOUTH_Y - 0.22 + 0.12 * _CURVE - 0.05 * smile, 0.020, self._fold)
        bow = 1 - 0.25 * np.exp(-((_CURVE / 0.18) ** 2))
        self._fill(canvas, _band(x, top - 0.75 * thick * arch * bow, top), self._lip * 0.88)
        self._fill(canvas, _band(x, bottom, bottom + thick * arch), self._lip)
        self._fill(canvas, _band(x, top, bottom), np.array([0.22, 0.07, 0.08]))
        teeth = np.minimum(top + (0.05 + 0.06 * smile) * arch, bottom)
        self._fill(canvas, _band(x * 0.85, top, teeth), np.array([0.84, 0.82, 0.78]))
        self._line(canvas, x, seam if opening < 0.04 else top, 0.014, self._lip * 0.45)

    def _place(self, canvas: Picture, expression: Expression, frame: int) -> Picture:
        """(P, P, 3) ``canvas`` turned, moved and halved in size, in front of the wall."""
        pivot = np.array([CENTRE_X, CENTRE_Y + 0.6 * FACE_SHARE]) * self._side_px
        move = cv2.getRotationMatrix2D(
            tuple(pivot), -expression.roll_deg[frame], expression.scale[frame] / _OVERSAMPLING
        )
        shift = np.array([expression.shift_x[frame], expression.shift_y[frame]]) * FACE_SHARE * self._size_px
        move[:, 2] += pivot / _OVERSAMPLING - pivot + shift
        size = (self._size_px, self._size_px)
        placed = cv2.warpAffine(canvas, move, size, flags=cv2.INTER_LINEAR).astype(np.float32)
        alpha = placed[..., 3:] / 255
        blended = np.round(self._wall + alpha * (placed[..., :3] - self._wall))
        return np.asarray(blended.clip(0, 255), dtype=np.uint8)

    def _blur(self, canvas: Picture, top: float, bottom: float) -> None:
        first, last = (round(CENTRE_Y * self._side_px + y * self._unit_px) for y in (top, bottom))
        strip = canvas[max(first, 0) : last, :, :3]
        canvas[max(first, 0) : last, :, :3] = cv2.GaussianBlur(strip, (0, 0), 0.012 * self._unit_px)

    def _fill(self, canvas: Picture, points: Floats, colour: Floats) -> None:
        at = np.round(self._pixels(points)).astype(np.int32)
        cv2.fillPoly(canvas, [at], _paint(colour), cv2.LINE_AA, _FRACTION_BITS)

    def _line(self, canvas: Picture, x: Floats, y: Floats, thick: float, colour: Floats) -> None:
        at = np.round(self._pixels(np.stack([x, y], axis=1))).astype(np.int32)
        width_px = max(1, round(thick * self._unit_px))
        cv2.polylines(canvas, [at], False, _paint(colour), width_px, cv2.LINE_AA, _FRACTION_BITS)

    def _pixels(self, points: Floats) -> Floats:
        """(N, 2) face units -> pixels of the canvas, in the fixed-point numbers that OpenCV draws with."""
        centre = np.array([CENTRE_X, CENTRE_Y]) * self._side_px
        return np.asarray((points * self._unit_px + centre - 0.5) * 2**_FRACTION_BITS)


def _paint(colour: Floats) -> tuple[float, ...]:
    red, green, blue = np.clip(colour, 0, 1) * 255
    return float(red), float(green), float(blue), 255.0


def _band(x: Floats, top: Floats, bottom: Floats) -> Floats:
    """(2 N, 2) outline of what lies between two curves."""
    return np.concatenate([np.stack([x, top], axis=1), np.stack([x, bottom], axis=1)[::-1]])


def _disc(centre_x: float, centre_y: float, radius: float) -> Floats:
    angle = np.linspace(0, 2 * np.pi, 25)
    return np.stack([centre_x + radius * np.cos(angle), centre_y + radius * np.sin(angle)], axis=1)


def _within(points: Floats, x: Floats, top: Floats, bottom: Floats) -> Floats:
    """``points`` pushed vertically into the open eye."""
    low, high = np.interp(points[:, 0], x, top), np.interp(points[:, 0], x, bottom)
    return np.stack([points[:, 0], np.clip(points[:, 1], low, high)], axis=1)
