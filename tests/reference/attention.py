"""Equations 13 to 18, for one window: features (T, d), masks (T,)."""

from __future__ import annotations

import numpy as np

MODALITIES = ("visual", "audio", "text")


def softmax(scores):
    shifted = np.exp(scores - scores.max())
    return shifted / shifted.sum()


def attend(Q, K, V, present_keys):
    """Eq. 13, row by row; a row over no key is zero."""
    T, d_k = Q.shape
    out = np.zeros((T, V.shape[1]))
    weights = np.zeros((T, len(K)))
    keys = np.flatnonzero(present_keys)
    for t in range(T):
        if len(keys) == 0:
            continue
        a = softmax(np.array([Q[t] @ K[j] / np.sqrt(d_k) for j in keys]))
        for weight, j in zip(a, keys, strict=True):
            out[t] += weight * V[j]
            weights[t, j] = weight
    return out, weights


def cross_modal(F, present, W_Q, W_K, W_V, W_O, pathway, residual=True):
    """Eq. 13-14: F_enhanced per modality and the six maps; matrices act from the right, as in the paper."""
    enhanced = {n: F[n].copy() if residual else np.zeros_like(F[n]) for n in MODALITIES}
    maps = {}
    for m in MODALITIES:
        for n in MODALITIES:
            if m == n:
                continue
            if pathway == "paper":
                A, weights = attend(F[m] @ W_Q[m], F[n] @ W_K[n], F[n] @ W_V[n], present[n])
                asks = m
            else:
                A, weights = attend(F[n] @ W_Q[n], F[m] @ W_K[m], F[m] @ W_V[m], present[m])
                A = A @ W_O[n]
                asks = n
            for t in range(len(A)):
                if not present[asks][t]:
                    A[t] = 0
                    weights[t] = 0
            enhanced[n] += A
            maps[f"{m}->{n}"] = weights
    return enhanced, maps


def layer_norm(row, gain, bias, eps=1e-5):
    return (row - row.mean()) / np.sqrt(((row - row.mean()) ** 2).mean() + eps) * gain + bias


def self_attention(F, present, p, heads):
    """Eq. 18; ``p`` maps query, key, value, output to (matrix, bias) and norm to (gain, bias)."""
    width = F.shape[1] // heads
    Q, K, V = (F @ p[name][0] + p[name][1] for name in ("query", "key", "value"))
    per_head = []
    for head in range(heads):
        columns = slice(head * width, (head + 1) * width)
        per_head.append(attend(Q[:, columns], K[:, columns], V[:, columns], present)[0])
    multi = np.concatenate(per_head, axis=1) @ p["output"][0] + p["output"][1]
    return np.array([layer_norm(multi[t] + F[t], *p["norm"]) for t in range(len(F))])
