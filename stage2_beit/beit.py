"""The BEiT-based encoder: additive attention (eq. 21-24) or BEiT's own layers, fresh or pretrained (eq. 25)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import BeitConfig, BeitModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.beit.modeling_beit import BeitLayer

from common.errors import ModelError, RecipeError
from common.reasons import reason_of
from stage2_beit.additive import AdditiveAttention
from stage2_beit.attention import open_mask

AttentionKind = Literal["additive", "beit"]
Block = Literal["beit", "bare"]
Arrangement = Literal["series", "parallel"]

#: As in BEiT-base.
LAYER_SCALE = 0.1
LAYER_NORM_EPS = 1e-12
ACTIVATION = "gelu"


class AdditiveBlock(GradientCheckpointingLayer):
    """One encoder with additive attention.

    ``block: beit`` is BEiT's pre-norm residual block with eq. 21-24 in place of its attention: x + lambda_1 attn(LN x),
    then x + lambda_2 MLP(LN x); its parts are named as in ``BeitLayer``, so that a pretrained BEiT's fit.
    ``block: bare`` is eq. 21-24 and nothing else.

    With gradient checkpointing, the whole block is computed again for the backward pass, not the scores alone.

    Parameters
    ----------
    dim : width E
    block : see above
    mlp_ratio : hidden width of the MLP in units of ``dim``
    dropout : on attention weights and on both branches, in training
    """

    def __init__(self, dim: int, *, block: Block = "beit", mlp_ratio: float = 4.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.bare = block == "bare"
        self.attention = AdditiveAttention(dim, dropout=dropout)
        if self.bare:
            return
        self.layernorm_before = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.layernorm_after = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        hidden = round(mlp_ratio * dim)
        parts = {"fc1": nn.Linear(dim, hidden), "activation": nn.GELU(), "fc2": nn.Linear(hidden, dim)}
        self.mlp = nn.Sequential(OrderedDict(parts))
        self.lambda_1 = nn.Parameter(torch.full((dim,), LAYER_SCALE))
        self.lambda_2 = nn.Parameter(torch.full((dim,), LAYER_SCALE))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, T, E) float and (B, T) bool -> (B, T, E)."""
        if self.bare:
            return self.attention(x, frame_mask)
        x = x + self.lambda_1 * self.dropout(self.attention(self.layernorm_before(x), frame_mask))
        return x + self.lambda_2 * self.dropout(self.mlp(self.layernorm_after(x)))


def beit_config(dim: int, *, heads: int, mlp_ratio: float, dropout: float = 0.0) -> BeitConfig:
    """Configuration of BEiT layers over a sequence of frames.

    Frames have no 14 x 14 grid, so there is no relative position bias.

    Raises
    ------
    RecipeError
        If ``heads`` doesn't divide ``dim``.
    """
    if dim % heads:
        raise RecipeError(
            f"{heads} BEiT heads don't divide a width of {dim}.",
            f"Choose stage2.fusion.beit_heads among the divisors of d_proj, {dim}.",
        )
    return BeitConfig(
        hidden_size=dim,
        num_attention_heads=heads,
        intermediate_size=round(mlp_ratio * dim),
        hidden_act=ACTIVATION,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        layer_norm_eps=LAYER_NORM_EPS,
        layer_scale_init_value=LAYER_SCALE,
        attn_implementation="sdpa",
    )


class BeitEncoder(nn.Module):
    """BEiT encoders: F_refined = BEiT_2(BEiT_1(F_projected)) (eq. 25).

    ``arrangement: series`` is as printed. ``parallel`` is as the authors' code has them: each sees F_projected, and
    F_refined is the mean of what they make of it.

    Parameters
    ----------
    dim : width d_proj = d_beit
    layers : how many; two in the paper
    attention : ``additive`` for eq. 21-24, ``beit`` for ``transformers``' BeitLayer
    block : of the additive attention; ``beit`` or ``bare``
    arrangement : see above
    heads : of BEiT's own attention; must divide ``dim``
    mlp_ratio, dropout : of the blocks
    """

    def __init__(
        self,
        dim: int,
        *,
        layers: int = 2,
        attention: AttentionKind = "additive",
        block: Block = "beit",
        arrangement: Arrangement = "series",
        heads: int = 12,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.arrangement = arrangement
        if attention == "beit":
            config = beit_config(dim, heads=heads, mlp_ratio=mlp_ratio, dropout=dropout)
            self.layers = nn.ModuleList(BeitLayer(config) for _ in range(layers))
        else:
            self.layers = nn.ModuleList(
                AdditiveBlock(dim, block=block, mlp_ratio=mlp_ratio, dropout=dropout) for _ in range(layers)
            )

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, T, E) float and ``frame_mask`` (B, T) bool, False on padding -> (B, T, E)."""
        if self.attention == "beit":
            mask = torch.zeros_like(frame_mask, dtype=x.dtype)
            mask = mask.masked_fill(~open_mask(frame_mask), torch.finfo(x.dtype).min)[:, None, None, :]
        else:
            mask = frame_mask
        if self.arrangement == "parallel":
            return torch.stack([layer(x, mask) for layer in self.layers]).mean(dim=0)
        for layer in self.layers:
            x = layer(x, mask)
        return x


@dataclass(frozen=True)
class PretrainedLayers:
    """The first layers of a pretrained BEiT.

    ``state`` fits ``BeitEncoder.layers``; ``shape`` holds the settings the fusion must share; ``unused`` names every
    weight of the checkpoint that has no place over a sequence of frames: patch embedding, position biases, the pooler,
    and the layers that weren't asked for.
    """

    source: str
    state: dict[str, Tensor]
    shape: dict[str, Any]
    unused: tuple[str, ...]


def load_beit_layers(folder: Path, layers: int = 2) -> PretrainedLayers:
    """Read the first ``layers`` encoder layers of a BEiT checkpoint in a local folder, safetensors only.

    Raises
    ------
    ModelError
        If it can't be found or read; isn't a BEiT; or has fewer layers.
    """
    try:
        model, info = BeitModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"The BEiT at {folder} can't be loaded: {reason_of(error)}.",
            "Give a folder with config.json and model.safetensors, or a hub id and a revision that has them.",
        ) from error
    config = model.config
    if config.num_hidden_layers < layers:
        raise ModelError(
            f"The BEiT at {folder} has {config.num_hidden_layers} layers, {layers} were asked for.",
            "Lower stage2.fusion.beit_layers, or take a deeper model.",
        )
    wanted = tuple(f"layers.{index}." for index in range(layers))
    if missing := sorted(name for name in info["missing_keys"] if name.startswith(wanted)):
        raise ModelError(
            f"The checkpoint at {folder} isn't a BEiT's: {len(missing)} weights are missing, as {missing[0]}.",
            "Check that its config.json says model_type: beit.",
        )
    state: dict[str, Tensor] = {}
    unused = list(info["unexpected_keys"])
    for name, value in model.state_dict().items():
        if name.startswith(wanted) and "relative_position" not in name:
            state[name.removeprefix("layers.")] = value
        elif name not in info["missing_keys"]:
            unused.append(name)
    if not config.layer_scale_init_value > 0:  # no layer scale in the checkpoint: the same as a scale of 1
        for index in range(layers):
            state |= {f"{index}.lambda_{i}": torch.ones(config.hidden_size) for i in (1, 2)}
    keys = ("hidden_size", "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps")
    shape = {key: getattr(config, key) for key in keys}
    return PretrainedLayers(str(folder), state, shape, tuple(sorted(unused)))
