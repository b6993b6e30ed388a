"""Equations 19 to 25, for one window."""

from __future__ import annotations

import math

import numpy as np

from tests.reference.attention import layer_norm, softmax


def project(refined, W_proj, b_proj):
    """Eq. 19-20; ``refined``: visual, audio, text, each (T, d)."""
    return np.concatenate(refined, axis=1) @ W_proj + b_proj


def additive_attention(h, valid, W, W_prime, b, v):
    """Eq. 21-24, one pair of frames at a time; W, W' act from the left: W h_t."""
    T = len(h)
    out = np.zeros_like(h)
    frames = np.flatnonzero(valid)
    for t in range(T):
        if len(frames) == 0:
            continue
        alpha = np.array([v @ np.tanh(W @ h[t] + W_prime @ h[s] + b) for s in frames])
        for a, s in zip(softmax(alpha), frames, strict=True):
            out[t] += a * h[s]
    return out


def gelu(x):
    return np.array([[0.5 * value * (1 + math.erf(value / math.sqrt(2))) for value in row] for row in x])


def additive_block(x, valid, p):
    """BEiT's pre-norm block around eq. 21-24; ``p`` holds its parameters by name."""
    normed = np.array([layer_norm(row, *p["layernorm_before"], eps=1e-12) for row in x])
    x = x + p["lambda_1"] * additive_attention(normed, valid, *p["attention"])
    normed = np.array([layer_norm(row, *p["layernorm_after"], eps=1e-12) for row in x])
    hidden = gelu(normed @ p["fc1"][0] + p["fc1"][1])
    return x + p["lambda_2"] * (hidden @ p["fc2"][0] + p["fc2"][1])
