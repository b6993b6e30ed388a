"""From a feeling to what a face does with it: mouth, brows, eyes, head, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.datasets.demo.path import Floats, smooth_noise

_BLINK_S = 0.18
_BETWEEN_BLINKS_S = (2.0, 5.0)
_HIGHEST_ROLL_DEG = 8.0


@dataclass(frozen=True)
class Expression:
    """All (T,). Shifts are shares of half the face's height; x to the right, y down.

    ``smile`` in about [-1, 1] bends the mouth; ``opening`` in [0, 1] parts the lips; ``lid`` is the height of the
    open eye, 1 at rest; ``brow`` in about [-1, 1] lifts the brows; ``frown`` in about [-1, 1] pulls their inner ends
    down; ``roll_deg`` tilts the head, ``scale`` is its size, 1 at rest.
    """

    smile: Floats
    opening: Floats
    lid: Floats
    brow: Floats
    frown: Floats
    shift_x: Floats
    shift_y: Floats
    roll_deg: Floats
    scale: Floats


def express(feeling: Floats, jaw: Floats, rate_hz: int, rng: np.random.Generator) -> Expression:
    """Move a face.

    Parameters
    ----------
    feeling : (T, 2) valence and arousal as they show
    jaw : (T,) in [0, 1], how far speech opens the mouth
    rate_hz : int, frames per second
    """
    time_s = np.arange(len(feeling)) / rate_hz
    valence, arousal = feeling.T
    lively = 0.25 + 0.75 * (arousal + 1) / 2
    twitch = [smooth_noise(time_s, rng, low_hz=0.1, high_hz=0.6) for _ in range(3)]
    sway = [smooth_noise(time_s, rng, low_hz=0.3, high_hz=1.3) * lively for _ in range(4)]
    return Expression(
        smile=valence + 0.08 * twitch[0],
        opening=np.clip(0.85 * jaw * (0.65 + 0.35 * arousal) + 0.07 * (arousal + 1), 0, 1),
        lid=(1 + 0.38 * arousal) * _blinks(time_s, rng),
        brow=0.85 * arousal + 0.08 * twitch[1],
        frown=-0.85 * valence + 0.15 * arousal + 0.08 * twitch[2],
        shift_x=0.07 * sway[0],
        shift_y=0.05 * sway[1],
        roll_deg=_HIGHEST_ROLL_DEG * np.tanh(0.45 * sway[2]),
        scale=1 + 0.025 * sway[3],
    )


def _blinks(time_s: Floats, rng: np.random.Generator) -> Floats:
    """(T,) 1 while open, close to 0 for the middle of a blink."""
    openness = np.ones(len(time_s))
    middle_s = rng.uniform(0.5, _BETWEEN_BLINKS_S[1])
    while middle_s < time_s[-1]:
        openness -= 0.9 * np.exp(-(((time_s - middle_s) / (_BLINK_S / 2.5)) ** 2))
        middle_s += rng.uniform(*_BETWEEN_BLINKS_S)
    return np.clip(openness, 0.08, 1)
