"""Additive attention (eq. 21-24) in memory linear in the frames: nothing of the size of all pairs is ever stored.

Rows t are taken some at a time: their scores for all keys t', softmax and weighted sum. The backward pass computes the
scores again. Each row's softmax sees all of its keys at once, so how many rows there are at a time changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from stage2_beit.additive_kernels import (
    WORTH_COMPILING,
    Way,
    compiles,
    gradients,
    parts,
    prepared,
    scores,
    within_limit,
)
from stage2_beit.attention import open_mask

Kernel = Literal["auto", "eager", "compiled"]

#: Scores (B, rows, T) that exist at a time: what a cache holds; what keeps a GPU busy.
SCORES_CPU: Final = 2**18
SCORES_GPU: Final = 2**24


class AdditiveAttention(nn.Module):
    """Additive self-attention over the frames of a window (eq. 21-24).

    a_{t,t'} = softmax over t' of v' tanh(W h_t + W' h_t' + b), and l_t = sum over t' of a_{t,t'} h_t'.

    Computed in float32, also under autocast, or in float64. Memory beyond input, result and their gradients: a few
    (B, T, E), a few (B, rows, T), and one tile of pairs; of these, none grows faster than T.

    Parameters
    ----------
    dim : width E of h; W, W' and v have the same
    dropout : on the attention weights, in training
    rows : rows t at a time; by default what suits the device
    kernel : ``eager``; ``compiled``, by torch.compile, where that is possible; ``auto``: compiled in training steps
        that are large enough to earn the seconds of compilation back. Results agree to 1e-5.
    """

    def __init__(self, dim: int, *, dropout: float = 0.0, rows: int | None = None, kernel: Kernel = "auto") -> None:
        super().__init__()
        self.dropout = dropout
        self.rows = rows
        self.kernel = kernel
        self.query = nn.Linear(dim, dim)  # W and b
        self.key = nn.Linear(dim, dim, bias=False)  # W'
        self.v = nn.Parameter(torch.empty(dim))
        nn.init.normal_(self.v, std=dim**-0.5)

    def forward(self, h: Tensor, frame_mask: Tensor) -> Tensor:
        """Refine (B, T, E) float; frames whose ``frame_mask`` (B, T) is False are never attended.

        Returns (B, T, E) of h's dtype; 0, with a zero gradient, in a window without a single frame.
        """
        dtype = torch.promote_types(h.dtype, torch.float32)
        query, key, v, values = (x.to(dtype) for x in (self.query(h), self.key(h), self.v, h))
        plan = self._plan(query, key, frame_mask)
        out = _Attention.apply(query, key, v, values, open_mask(frame_mask), plan)
        return torch.where(frame_mask.any(dim=-1)[:, None, None], out, 0).to(h.dtype)

    def _plan(self, query: Tensor, key: Tensor, frame_mask: Tensor) -> _Plan:
        B, T, E = query.shape
        factored = within_limit(query, key, frame_mask)
        wanted = self.kernel == "compiled"
        if self.kernel == "auto":
            wanted = torch.is_grad_enabled() and query.requires_grad and B * T * T * E >= WORTH_COMPILING
        way = Way(factored, compiled=factored and wanted and compiles(query.device))
        most = SCORES_CPU if query.device.type == "cpu" else SCORES_GPU
        rows = self.rows or max(1, most // (B * T))
        dropout = self.dropout if self.training else 0.0
        # Drawn on the CPU, whose generator's state checkpoints of training and gradient checkpointing restore.
        seed = int(torch.randint(2**62, ())) if dropout else 0
        return _Plan(way, rows, dropout, seed)


@dataclass(frozen=True)
class _Plan:
    """How the forward pass went about it, for the backward pass to do the same.

    Attributes
    ----------
    seed : of the generator of the weights that are dropped; drawn again in the backward pass, not kept
    """

    way: Way
    rows: int
    dropout: float
    seed: int


class _Attention(torch.autograd.Function):
    """softmax over the open keys of ``scores``, times the values; all float, (B, T, E), but v (E,)."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, v: Tensor, values: Tensor, keys_open: Tensor, plan: _Plan
    ) -> Tensor:
        ctx.save_for_backward(query, key, v, values, keys_open)
        ctx.plan = plan
        out = torch.empty_like(values)
        with torch.autocast(query.device.type, enabled=False):
            q, k = prepared(query, plan.way), prepared(key, plan.way)
            for rows, weights, kept in _weights(q, k, v, keys_open, plan):
                out[:, rows] = _times(weights, kept) @ values
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, v, values, keys_open = ctx.saved_tensors
        of_query, of_key, of_v, of_values = (torch.zeros_like(x) for x in (query, key, v, values))
        with torch.autocast(query.device.type, enabled=False):
            q, k = prepared(query, ctx.plan.way), prepared(key, ctx.plan.way)
            for rows, weights, kept in _weights(q, k, v, keys_open, ctx.plan):
                of_values += _times(weights, kept).mT @ of_out[:, rows]
                of_weights = _times(of_out[:, rows] @ values.mT, kept)
                of_scores = weights * (of_weights - (weights * of_weights).sum(dim=-1, keepdim=True))
                of_query[:, rows], keys, vector = gradients(q[:, rows], k, v, of_scores, ctx.plan.way)
                of_key += keys
                of_v += vector
        return of_query, of_key, of_v, of_values, None, None


def _weights(
    q: Tensor, k: Tensor, v: Tensor, keys_open: Tensor, plan: _Plan
) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
    """For some rows at a time: which, their weights (B, rows, T), and by what dropout multiplies them, if it does."""
    generator = torch.Generator(q.device).manual_seed(plan.seed)
    stay = 1 - plan.dropout
    for rows in parts(q.shape[1], plan.rows):
        found = scores(q[:, rows], k, v, plan.way).masked_fill_(~keys_open[:, None], float("-inf"))
        kept = None
        if plan.dropout:
            kept = torch.empty_like(found).bernoulli_(stay, generator=generator)
            kept = kept.div_(stay) if stay else kept
        yield rows, found.softmax(dim=-1), kept


def _times(x: Tensor, kept: Tensor | None) -> Tensor:
    return x if kept is None else x * kept
