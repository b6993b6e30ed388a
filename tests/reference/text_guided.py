"""The text-guided fusion in evaluation, one row at a time, from the weights of a saved model."""

from __future__ import annotations

import numpy as np

from tests.reference.attention import MODALITIES, attend
from tests.reference.weights import linear


def fuse(state, rows, present, frame_mask, *, parts, heads):
    """What is refined (T, E) and what the head makes of it (T, K), for one window.

    ``rows`` and ``present`` by modality: (T, d_m) and (T,). ``parts``: widths of the sound's parts, in order.
    """
    refined, out = [], []
    for t in range(len(frame_mask)):
        x, there = {}, {}
        for m in MODALITIES:
            mean, scale, absent = (state[f"inputs.{m}.{name}"] for name in ("mean", "scale", "absent"))
            there[m] = present[m][t] and frame_mask[t]
            x[m] = (rows[m][t] - mean) * scale if there[m] else absent
        text = relu(layer(state, "text.0", x["text"]))
        heard = seen = text
        if there["audio"]:
            heard = text + one_key(state, "asks.audio.", text, sound(state, x["audio"], parts), heads)
        if there["visual"]:
            seen = text + one_key(state, "asks.visual.", text, branch(state, "visual", x["visual"]), heads)
        refined.append(relu(layer(state, "asks.combined.0", np.concatenate([heard, seen]))))
        out.append(layer(state, "head.3", relu(layer(state, "head.0", refined[-1]))))
    return np.array(refined), np.array(out)


def sound(state, x, parts):
    """Parts of 128 columns or more have a branch each; the others share the last one."""
    branches, narrow, start = [], [], 0
    for width in parts:
        part = x[start : start + width]
        start += width
        if width >= 128:
            branches.append(branch(state, f"audio.wide.{len(branches)}", part))
        else:
            narrow.extend(part)
    if narrow:
        branches.append(branch(state, "audio.narrow", np.array(narrow)))
    return relu(layer(state, "audio.combined.0", np.concatenate(branches)))


def branch(state, name, x):
    """Linear, ReLU, batch normalisation by the running statistics."""
    y = relu(layer(state, f"{name}.0", x))
    mean, variance, gain, bias = (state[f"{name}.2.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
    return (y - mean) / np.sqrt(variance + 1e-5) * gain + bias


def one_key(state, prefix, query, key, heads):
    """Multi-head attention of one query to one key, with all that goes into it."""
    biases = np.split(state[f"{prefix}in_proj_bias"], 3)
    q, k, v = (
        state[f"{prefix}{name}_proj_weight"] @ x + b
        for name, x, b in zip("qkv", (query, key, key), biases, strict=True)
    )
    width = len(query) // heads
    answers = []
    for head in range(heads):
        columns = slice(head * width, (head + 1) * width)
        answer, weights = attend(q[None, columns], k[None, columns], v[None, columns], [True])
        assert weights == 1
        answers.extend(answer[0])
    return layer(state, f"{prefix}out_proj", np.array(answers))


def layer(state, name, x):
    W, b = linear(state, name)
    return x @ W + b


def relu(x):
    return np.maximum(x, 0)
