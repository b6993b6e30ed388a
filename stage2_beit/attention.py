"""Masked attention, the six cross-modal paths (eq. 13-14) and self-attention within a modality (eq. 15-18)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from common.errors import RecipeError
from common.schema import MODALITIES, Modality

Pathway = Literal["paper", "released"]

#: Elements of a map that exist at a time where it isn't returned.
BLOCK_ELEMENTS: Final = 2**22

#: The same in `masked_attention`, per window and head, where torch may have no kernel that does without the map.
MAP_ELEMENTS: Final = 2**18

#: The six paths m -> n: (m, n).
PATHS: Final[tuple[tuple[Modality, Modality], ...]] = tuple((m, n) for m in MODALITIES for n in MODALITIES if m != n)


def path_name(source: Modality, target: Modality) -> str:
    """Name of a path in a dict of attention maps, as in ``audio->visual``."""
    return f"{source}->{target}"


def open_mask(present_keys: Tensor) -> Tensor:
    """``present_keys`` (B, T) bool, with windows that have no key at all opened, so that no softmax is over nothing.

    Whoever uses it sets the output of those windows to zero, or never reads it.
    """
    return present_keys | ~present_keys.any(dim=-1, keepdim=True)


def masked_attention(q: Tensor, k: Tensor, v: Tensor, present_keys: Tensor, dropout: float = 0.0) -> Tensor:
    """softmax(Q K' / sqrt d) V over the keys that are present (eq. 13).

    Parameters
    ----------
    q, k : (B, H, T, d) float
    v : (B, H, T, d_v) float
    present_keys : (B, T) bool
        Keys marked False are not attended, whatever their finite value.
    dropout : probability with which a weight is dropped; the caller passes 0 outside training

    Returns
    -------
    (B, H, T, d_v). Zero, with a zero gradient, in a window without any key. Beyond `MAP_ELEMENTS`, rows are taken some
    at a time, so that memory grows with T.
    """
    mask = open_mask(present_keys)[:, None, None, :]
    rows = max(1, MAP_ELEMENTS // k.shape[2])
    if q.device.type == "cuda" or q.shape[2] <= rows:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    else:
        out = torch.cat([_for_rows(some, k, v, mask, dropout) for some in q.split(rows, dim=2)], dim=2)
    return torch.where(present_keys.any(dim=-1)[:, None, None, None], out, 0)


def _for_rows(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dropout: float) -> Tensor:
    """The attention of some rows; their part of the map is computed again for the backward pass, not kept."""
    if not (torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad)):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    return checkpoint(F.scaled_dot_product_attention, q, k, v, mask, dropout, use_reentrant=False)


def attention_weights(q: Tensor, k: Tensor, present_keys: Tensor) -> Tensor:
    """The weights ``masked_attention`` uses, without dropout: (B, H, T, T), rows are queries.

    Rows add up to 1; they are 0 in a window without any key. Shapes as in ``masked_attention``.
    """
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    scores = scores.masked_fill(~open_mask(present_keys)[:, None, None, :], float("-inf"))
    return torch.where(present_keys.any(dim=-1)[:, None, None, None], scores.softmax(dim=-1), 0)


class CrossModalAttention(nn.Module):
    """The six directed paths between the modalities (eq. 13-14), added up at their target.

    Each modality m has one projection to queries and one to keys, both d_m -> d_k, and one to values; its two paths
    share them. None has a bias, as in the paper.

    ``pathway: paper``, as the equations are printed: A_{m->n} = softmax(Q_m K_n' / sqrt d_k) V_n, V_n of width d_n.
    The queries come from m, keys and values from n itself; the printed widths (A_{A->V} in R^{T x d_v}) say the same.

    ``pathway: released``, as the authors' code does it: A_{m->n} = softmax(Q_n K_m' / sqrt d_k) V_m W_O^n. The target
    queries the two others. Their values share the width d_k, and W_O^n (d_k -> d_n) brings them to the target's.

    F_n_enhanced = F_n + sum over m of A_{m->n}. The paper uses F_enhanced without defining it; ``residual=False``
    leaves F_n out. Where the modality that asks is absent, its path adds zero; absent keys are never attended.

    Parameters
    ----------
    dims : width d_m of each modality
    d_k : width of queries and keys
    pathway, residual : see above
    dropout : on the attention weights, in training
    """

    def __init__(
        self,
        dims: Mapping[Modality, int],
        *,
        d_k: int,
        pathway: Pathway = "paper",
        residual: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if pathway not in ("paper", "released"):
            raise RecipeError(f"There is no pathway called {pathway!r}.", "Known: paper, released.")
        self.pathway = pathway
        self.residual = residual
        self.dropout = dropout
        self.query = nn.ModuleDict({m: nn.Linear(dims[m], d_k, bias=False) for m in MODALITIES})
        self.key = nn.ModuleDict({m: nn.Linear(dims[m], d_k, bias=False) for m in MODALITIES})
        value_dims = {m: dims[m] if pathway == "paper" else d_k for m in MODALITIES}
        self.value = nn.ModuleDict({m: nn.Linear(dims[m], value_dims[m], bias=False) for m in MODALITIES})
        self.output = nn.ModuleDict(
            {m: nn.Linear(d_k, dims[m], bias=False) for m in MODALITIES} if pathway == "released" else {}
        )

    def roles(self, source: Modality, target: Modality) -> tuple[Modality, Modality]:
        """Of the path source -> target: the modality that asks, and the one that has the keys and values."""
        return (source, target) if self.pathway == "paper" else (target, source)

    def forward(
        self, features: Mapping[Modality, Tensor], present: Mapping[Modality, Tensor], need_weights: bool = False
    ) -> tuple[dict[Modality, Tensor], dict[str, Tensor] | None]:
        """Let the modalities attend to each other.

        Parameters
        ----------
        features : per modality (B, T, d_m) float
        present : per modality (B, T) bool
        need_weights : also return the six maps

        Returns
        -------
        enhanced : per modality (B, T, d_m)
        maps : by ``path_name``, (B, T, T): rows are the frames that ask, columns those that are attended. Rows where
            the asking modality is absent are 0. None unless asked for.
        """
        q = {m: self.query[m](features[m])[:, None] for m in MODALITIES}  # (B, 1, T, d_k)
        k = {m: self.key[m](features[m])[:, None] for m in MODALITIES}
        v = {m: self.value[m](features[m])[:, None] for m in MODALITIES}
        enhanced = {m: features[m] if self.residual else torch.zeros_like(features[m]) for m in MODALITIES}
        maps: dict[str, Tensor] = {}
        for source, target in PATHS:
            asks, answers = self.roles(source, target)
            rate = self.dropout if self.training else 0.0
            path = masked_attention(q[asks], k[answers], v[answers], present[answers], rate)[:, 0]  # (B, T, d)
            if self.pathway == "released":
                path = self.output[target](path)
            enhanced[target] = enhanced[target] + torch.where(present[asks][..., None], path, 0)
            if need_weights:
                weights = attention_weights(q[asks], k[answers], present[answers])[:, 0]  # (B, T, T)
                maps[path_name(source, target)] = torch.where(present[asks][..., None], weights, 0)
        return enhanced, maps if need_weights else None

    def in_blocks(
        self,
        features: Mapping[Modality, Tensor],
        present: Mapping[Modality, Tensor],
        source: Modality,
        target: Modality,
        rows: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """How much one path adds to each frame of one window, and how much attention each of its keys gets.

        What the map (T, T) of `forward` would say, but its rows exist a few at a time, and only those of frames that
        ask and columns of keys that are there. As `forward` in evaluation: without dropout.

        Parameters
        ----------
        features : per modality (T, d_m) float
        present : per modality (T,) bool
        source, target : the path
        rows : rows that exist at a time; by default as many as make `BLOCK_ELEMENTS`. Doesn't change the result

        Returns
        -------
        added : (Q,) float >= 0
            ||A_{m->n}(t)|| of the Q frames t that ask, in order; 0 where there is no key.
        received : (K,) float >= 0
            Of the K keys that are there, in order: the attention it got, summed over the frames that asked. They add
            up to Q.
        """
        asks, answers = self.roles(source, target)
        keys = features[answers][present[answers]]  # (K, d)
        query = self.query[asks](features[asks][present[asks]])  # (Q, d_k)
        key, value = self.key[answers](keys), self.value[answers](keys)
        query = query * query.shape[-1] ** -0.5
        added, received = [], key.new_zeros(len(keys))
        for block in query.split(rows or max(1, BLOCK_ELEMENTS // max(1, len(keys)))):
            weights = (block @ key.T).softmax(dim=-1)  # (rows, K)
            path = weights @ value
            if self.pathway == "released":
                path = self.output[target](path)
            added.append(path.norm(dim=-1))
            received += weights.sum(dim=0)
        return torch.cat(added), received


class SelfAttention(nn.Module):
    """LayerNorm(MHA(F, F, F) + F) within one modality (eq. 15-18).

    Parameters
    ----------
    dim : width d of the modality
    heads : H; must divide ``dim``
    dropout : on the attention weights, in training

    Raises
    ------
    RecipeError
        If ``heads`` doesn't divide ``dim``.
    """

    def __init__(self, dim: int, *, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % heads:
            raise RecipeError(
                f"{heads} attention heads don't divide a width of {dim}.",
                f"Choose stage2.fusion.heads among the divisors of {dim}.",
            )
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """(B, T, d) float and (B, T) bool -> (B, T, d); rows that aren't present are not attended."""
        B, T, D = features.shape
        q, k, v = (
            project(features).view(B, T, self.heads, D // self.heads).transpose(1, 2)  # (B, H, T, d/H)
            for project in (self.query, self.key, self.value)
        )
        attended = masked_attention(q, k, v, present, self.dropout if self.training else 0.0)
        attended = attended.transpose(1, 2).reshape(B, T, D)
        return self.norm(self.output(attended) + features)
