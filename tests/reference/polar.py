"""Equations 26 to 31."""

from __future__ import annotations

import cmath

import numpy as np


def pool(features, window_frames, valid):
    """Eq. 26 around each frame, by adding up what is there; NaN where nothing is."""
    T = len(features)
    half = T if window_frames == "clip" else (window_frames - 1) // 2
    out = np.full(features.shape, np.nan)
    for t in range(T):
        rows = [features[s] for s in range(T) if abs(s - t) <= half and valid[s]]
        if rows:
            out[t] = sum(rows) / len(rows)
    return out


def head(pooled, W_1, b_1, W_2, b_2, W_3, b_3):
    """Eq. 27-29: I and theta of (N, d) rows."""
    h_1 = np.maximum(pooled @ W_1 + b_1, 0)
    h_2 = np.maximum(h_1 @ W_2 + b_2, 0)
    out = h_2 @ W_3 + b_3
    return out[:, 0], out[:, 1]


def to_cartesian(intensity, theta):
    """Eq. 30-31, through complex numbers: I e^(i theta)."""
    points = [i * cmath.exp(1j * t) for i, t in zip(intensity, theta, strict=True)]
    return np.array([z.real for z in points]), np.array([z.imag for z in points])


def to_polar(valence, arousal):
    points = [complex(v, a) for v, a in zip(valence, arousal, strict=True)]
    return np.array([abs(z) for z in points]), np.array([cmath.phase(z) for z in points])
