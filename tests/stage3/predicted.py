"""Predictions as stage 3 makes them, for its tests."""

import numpy as np

from common.polar import to_polar
from common.schema import MODALITIES
from stage3_mlp.predictions import ClipPrediction


def predicted(clip: str, values, labels, *, rate_hz: float = 30.0, seen=None) -> ClipPrediction:
    """A clip of (T, 2) values and labels; ``seen`` (T,) says behind which frames there is something."""
    values, labels = np.asarray(values, np.float32), np.asarray(labels, np.float32)
    intensity, theta = to_polar(*values.T)
    mask = np.ones(len(values), bool) if seen is None else np.asarray(seen)
    return ClipPrediction(
        clip,
        np.arange(len(values)) / rate_hz,
        values,
        intensity.astype(np.float32),
        theta.astype(np.float32),
        labels,
        {modality: mask for modality in MODALITIES},
    )


def noisy(clip: str, seed: int = 0, frames: int = 240, noise: float = 0.4, rate_hz: float = 30.0) -> ClipPrediction:
    """Slow labels, and predictions that are right but for noise from frame to frame."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(frames) / rate_hz
    labels = 0.6 * np.stack([np.sin(at_s), np.cos(0.7 * at_s + seed)], axis=1)
    return predicted(clip, labels + rng.normal(0, noise, labels.shape), labels, rate_hz=rate_hz)
