"""Equations 13 to 25 in a row, for one window, from the weights of a saved model."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.reference import attention, refinement, weights
from tests.reference.attention import MODALITIES


def fuse(state, rows, present, frame_mask, *, pathway, encoder, arrangement, heads, beit_heads, layers):
    """F_refined (T, d_beit), the head's valence and arousal (T, 2), and the six maps.

    ``rows`` and ``present`` by modality: (T, d_m) and (T,). ``encoder``: bare (eq. 21-24 alone), additive (in BEiT's
    block) or beit (the block with its own attention).
    """
    present = {m: present[m] & frame_mask for m in MODALITIES}
    F = {}
    for m in MODALITIES:
        mean, scale, absent = (state[f"inputs.{m}.{name}"] for name in ("mean", "scale", "absent"))
        F[m] = np.array(
            [(row - mean) * scale if there else absent for row, there in zip(rows[m], present[m], strict=True)]
        )
    enhanced, maps = attention.cross_modal(F, present, pathway=pathway, **weights.cross_modal(state, "cross."))
    within = [
        attention.self_attention(enhanced[m], present[m], weights.self_attention(state, f"within.{m}."), heads)
        for m in MODALITIES
    ]
    h = refinement.project(within, *weights.linear(state, "projection"))
    encoders = [_encoder(state, f"beit.layers.{n}.", encoder, frame_mask, beit_heads) for n in range(layers)]
    h = refinement.compose(encoders, h, arrangement)
    normed = np.array([attention.layer_norm(row, *weights.norm(state, "head.0")) for row in h])
    W, b = weights.linear(state, "head.2")
    return h, normed @ W + b, maps


def _encoder(state, prefix, kind, valid, heads):
    if kind == "bare":
        p = weights.additive_attention(state, f"{prefix}attention.")
        return lambda h: refinement.additive_attention(h, valid, *p)
    p = weights.beit_block(state, prefix)
    return partial(refinement.beit_block, valid=valid, p=p, heads=heads if kind == "beit" else None)
