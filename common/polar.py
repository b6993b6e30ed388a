"""Valence and arousal as a point of the circumplex in polar form: intensity and angle (eq. 30-31)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NEUTRAL: Final = "neutral"
NOT_ANNOTATED_NAME: Final = "not annotated"
#: Counter-clockwise from angle 0, valence pointing right and arousal up.
QUADRANTS: Final = (
    "high arousal, positive",
    "high arousal, negative",
    "low arousal, negative",
    "low arousal, positive",
)

#: Least and greatest edge of a picture of the circumplex; labels reach 1 on each axis, predictions any value.
REACH: Final = (1.05, 1.55)


def to_polar(valence: npt.ArrayLike, arousal: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Intensity and angle of points (valence, arousal); the inverse of eq. 30-31.

    Parameters
    ----------
    valence, arousal : (...), any real dtype, usually in [-1, 1]
        Broadcast against each other.

    Returns
    -------
    intensity : (...) float64
        Distance from the neutral point, >= 0; up to sqrt 2 where both are in [-1, 1].
    theta : (...) float64
        Angle in radians, in (-pi, pi], counter-clockwise from positive valence; 0 where the intensity is 0.

    NaN in either gives NaN in both.
    """
    v, a = np.broadcast_arrays(np.asarray(valence, np.float64), np.asarray(arousal, np.float64))
    intensity = np.hypot(v, a)
    theta = np.arctan2(a, v)
    theta = np.where(theta <= -np.pi, np.pi, theta)  # arctan2(-0., -1.) is -pi
    return intensity, np.where(intensity == 0, 0.0, theta)


def to_cartesian(intensity: npt.ArrayLike, theta: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Valence = I cos(theta), arousal = I sin(theta): eq. 30-31.

    Parameters
    ----------
    intensity, theta : (...), any real dtype
        Any sign and any angle in radians; broadcast against each other.

    Returns
    -------
    valence, arousal : (...) float64. NaN in either gives NaN in both.
    """
    i, t = np.broadcast_arrays(np.asarray(intensity, np.float64), np.asarray(theta, np.float64))
    return i * np.cos(t), i * np.sin(t)


def canonical_polar(intensity: npt.ArrayLike, theta: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The same points with intensity >= 0 and theta in (-pi, pi].

    Eq. 29 leaves I and theta free: (-I, theta) is the point (I, theta + pi), and turns add up. Points already in
    this form come back unchanged, bit for bit.

    Parameters
    ----------
    intensity, theta : (...), any real dtype, radians

    Returns
    -------
    intensity, theta : (...) float64. theta is 0 where the intensity is 0; NaN in either gives NaN in both.
    """
    i, t = np.broadcast_arrays(np.asarray(intensity, np.float64), np.asarray(theta, np.float64))
    turned = np.where(i < 0, t + np.pi, t)
    wrapped = np.pi - np.mod(np.pi - turned, 2 * np.pi)
    wrapped = np.where(wrapped <= -np.pi, np.pi, wrapped)  # np.mod of a tiny negative rounds up to 2 pi
    inside = (turned > -np.pi) & (turned <= np.pi)
    angle = np.where(inside, turned, wrapped)
    missing = np.isnan(i) | np.isnan(t)
    angle = np.where(i == 0, 0.0, angle)
    return np.where(missing, np.nan, np.abs(i)), np.where(missing, np.nan, angle)


def quadrant(valence: float, arousal: float) -> str:
    """Name of the quadrant of one point: one of ``QUADRANTS``, "neutral" at (0, 0), "not annotated" for NaN.

    A value of exactly 0 on one axis counts as positive, or high.
    """
    if np.isnan(valence) or np.isnan(arousal):
        return NOT_ANNOTATED_NAME
    if valence == 0 and arousal == 0:
        return NEUTRAL
    if arousal >= 0:
        return QUADRANTS[0] if valence >= 0 else QUADRANTS[1]
    return QUADRANTS[3] if valence >= 0 else QUADRANTS[2]


def reach(points: npt.ArrayLike) -> float:
    """Where a picture of points (N, 2) ends on both axes: behind the unit circle, and behind most points."""
    return float(np.clip(np.abs(np.asarray(points)).max(initial=0.0) + 0.05, *REACH))
