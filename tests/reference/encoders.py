"""Equations 1 to 12, the parts of frozen encoders that the paper prints; what each encoder adds to them is named."""

from __future__ import annotations

import numpy as np

from tests.reference.attention import layer_norm, softmax
from tests.reference.refinement import gelu


def patch_partition(picture, patch):
    """Eq. 1: a picture (H, W, 3) as rows (HW / P^2, P^2 * 3), a row per patch, pixel by pixel."""
    H, W, _ = picture.shape
    corners = [(y, x) for y in range(0, H, patch) for x in range(0, W, patch)]
    return np.array([picture[y : y + patch, x : x + patch].reshape(-1) for y, x in corners])


def patch_embedding(X_p, W_p, b_p):
    """Eq. 2."""
    return X_p @ W_p + b_p


def heads_concatenated(F, query, key, value, output, heads, bias=None):
    """Eq. 3, 9 and 10: eq. 3 in each head with d_k = d / h, heads side by side, then W_O; all with (W, b).

    ``bias`` (h, N, N): what Swin adds to the scores and the paper leaves out, its relative position bias.
    """
    d_k = F.shape[1] // heads
    Q, K, V = (F @ W + b for W, b in (query, key, value))
    outputs = []
    for h in range(heads):
        columns = slice(h * d_k, (h + 1) * d_k)
        rows = []
        for i in range(len(F)):
            scores = np.array([Q[i, columns] @ K[j, columns] / np.sqrt(d_k) for j in range(len(F))])
            rows.append(softmax(scores if bias is None else scores + bias[h, i]) @ V[:, columns])
        outputs.append(np.array(rows))
    W_O, b_O = output
    return np.concatenate(outputs, axis=1) @ W_O + b_O


def audio_cnn(wave, kernels, strides, norm, projection):
    """Eq. 6, with the waveform (N,) in place of X_A: HuBERT's convolutions, then its projection to d_a.

    ``kernels``: (out, in, width) each. After the first, HuBERT normalises each channel over time; after every one
    comes a GELU; before the projection, a LayerNorm.
    """
    x = wave[:, None]
    for number, (kernel, stride) in enumerate(zip(kernels, strides, strict=True)):
        width = kernel.shape[2]
        starts = range(0, len(x) - width + 1, stride)
        x = np.array([np.einsum("oik,ki->o", kernel, x[s : s + width]) for s in starts])
        if number == 0:
            gain, bias = norm["channels"]
            x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) * gain + bias
        x = gelu(x)
    W, b = projection
    return np.array([layer_norm(row, *norm["rows"]) for row in x]) @ W + b


def token_embedding(tokens, E_token, E_pos, first_position):
    """Eq. 8; RoBERTa counts positions from ``first_position``."""
    return np.array([E_token[token] + E_pos[first_position + i] for i, token in enumerate(tokens)])


def interpolate(F_T, frames):
    """Eq. 12: the first token on the first frame, the last on the last, straight lines between."""
    place = np.linspace(0, len(F_T) - 1, frames)
    return np.stack([np.interp(place, np.arange(len(F_T)), column) for column in F_T.T], axis=1)
