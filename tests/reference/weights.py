"""Parameters by their names in a saved model, as the matrices of the paper.

``state`` maps names to float64 arrays. The paper multiplies rows from the left, F W, so W is the transpose of what a
linear layer stores.
"""

from __future__ import annotations

from tests.reference.attention import MODALITIES


def linear(state, name):
    """(W, b) of a layer, for F W + b."""
    return state[f"{name}.weight"].T, state[f"{name}.bias"]


def norm(state, name):
    return state[f"{name}.weight"], state[f"{name}.bias"]


def cross_modal(state, prefix=""):
    """W_Q, W_K, W_V and W_O, each by modality; W_O is empty for the paper's pathway."""
    kinds = ("query", "key", "value", "output")
    return {
        f"W_{kind}": {
            m: state[f"{prefix}{name}.{m}.weight"].T for m in MODALITIES if f"{prefix}{name}.{m}.weight" in state
        }
        for kind, name in zip("QKVO", kinds, strict=True)
    }


def self_attention(state, prefix=""):
    layers = {name: linear(state, f"{prefix}{name}") for name in ("query", "key", "value", "output")}
    return {**layers, "norm": norm(state, f"{prefix}norm")}


def additive_attention(state, prefix=""):
    """W, W', b, v of eq. 21-22, for W h_t."""
    return tuple(state[f"{prefix}{name}"] for name in ("query.weight", "key.weight", "query.bias", "v"))


def dot_product_attention(state, prefix=""):
    layers = {name: linear(state, f"{prefix}{name[0]}_proj") for name in ("query", "value", "output")}
    return {**layers, "key": state[f"{prefix}k_proj.weight"].T}


def beit_block(state, prefix=""):
    """Parameters of a block with additive attention, or with BEiT's own."""
    own = f"{prefix}attention.q_proj.weight" in state
    attention = dot_product_attention if own else additive_attention
    return {
        "attention": attention(state, f"{prefix}attention."),
        "layernorm_before": norm(state, f"{prefix}layernorm_before"),
        "layernorm_after": norm(state, f"{prefix}layernorm_after"),
        "fc1": linear(state, f"{prefix}mlp.fc1"),
        "fc2": linear(state, f"{prefix}mlp.fc2"),
        "lambda_1": state[f"{prefix}lambda_1"],
        "lambda_2": state[f"{prefix}lambda_2"],
    }
