"""Equations 19 to 25, for one window, and the two ways of putting BEiT encoders together."""

from __future__ import annotations

import math

import numpy as np

from tests.reference.attention import attend, layer_norm, softmax


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


def dot_product_attention(h, valid, p, heads):
    """BEiT's own attention, without its table of relative positions; its keys have no bias."""
    width = h.shape[1] // heads
    Q, K, V = h @ p["query"][0] + p["query"][1], h @ p["key"], h @ p["value"][0] + p["value"][1]
    columns = [slice(head * width, (head + 1) * width) for head in range(heads)]
    per_head = [attend(Q[:, c], K[:, c], V[:, c], valid)[0] for c in columns]
    return np.concatenate(per_head, axis=1) @ p["output"][0] + p["output"][1]


def beit_block(x, valid, p, heads=None):
    """BEiT's pre-norm block, around eq. 21-24 (no ``heads``) or around its own attention; ``p`` by name."""
    normed = np.array([layer_norm(row, *p["layernorm_before"], eps=1e-12) for row in x])
    if heads is None:
        attended = additive_attention(normed, valid, *p["attention"])
    else:
        attended = dot_product_attention(normed, valid, p["attention"], heads)
    x = x + p["lambda_1"] * attended
    normed = np.array([layer_norm(row, *p["layernorm_after"], eps=1e-12) for row in x])
    hidden = gelu(normed @ p["fc1"][0] + p["fc1"][1])
    return x + p["lambda_2"] * (hidden @ p["fc2"][0] + p["fc2"][1])


def compose(encoders, x, arrangement):
    """Eq. 25, BEiT_2(BEiT_1(x)), or the released code's mean of BEiT_1(x) and BEiT_2(x)."""
    if arrangement == "parallel":
        return sum(encoder(x) for encoder in encoders) / len(encoders)
    for encoder in encoders:
        x = encoder(x)
    return x
