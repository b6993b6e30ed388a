"""Smooth random movement: the valence-arousal path of a clip, and everything else that should not jump."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: A feeling takes a second or more to turn; annotators follow no faster.
SLOWEST_HZ = 0.09
FASTEST_HZ = 0.27

_COMPONENTS = 8
_SWING = 0.62
_GAIN = 1.25


def smooth_noise(time_s: Floats, rng: np.random.Generator, *, low_hz: float, high_hz: float) -> Floats:
    """(T,) a band-limited random signal of variance 1 on average: sinusoids of random frequency and phase.

    Parameters
    ----------
    time_s : (T,) float64, seconds
    low_hz, high_hz : the band
    """
    frequency_hz = rng.uniform(low_hz, high_hz, size=_COMPONENTS)
    phase = rng.uniform(0, 2 * np.pi, size=_COMPONENTS)
    waves = np.cos(2 * np.pi * frequency_hz * time_s[:, None] + phase)
    return np.asarray(waves.sum(axis=1) * np.sqrt(2 / _COMPONENTS), dtype=np.float64)


def valence_arousal_path(time_s: Floats, mood: tuple[float, float], rng: np.random.Generator) -> Floats:
    """(T, 2) valence and arousal, each inside (-1, 1): swings around ``mood``, pressed into range by tanh.

    Near the corners of the plane the intensity sqrt(v^2 + a^2) exceeds 1, as it does in real annotations.
    """
    swings = [smooth_noise(time_s, rng, low_hz=SLOWEST_HZ, high_hz=FASTEST_HZ) for _ in mood]
    return np.tanh(_GAIN * (np.array(mood) + _SWING * np.stack(swings, axis=1)))


def as_shown(path: Floats, rate_hz: int, blur: tuple[float, float], rng: np.random.Generator) -> Floats:
    """(T, 2) the path as one channel (face, voice, words) gives it away: with moods of its own added.

    No channel is certain alone; what they share is the feeling.

    Parameters
    ----------
    path : (T, 2) valence and arousal
    rate_hz : int, frames per second
    blur : standard deviation of what is added to valence and to arousal
    """
    time_s = np.arange(len(path)) / rate_hz
    other = [size * smooth_noise(time_s, rng, low_hz=SLOWEST_HZ, high_hz=FASTEST_HZ) for size in blur]
    return np.clip(path + np.stack(other, axis=1), -1.1, 1.1)
