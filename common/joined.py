"""Tensors of all processes joined by their rows, with a gradient; sums over all processes, with a gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


class _Joined(torch.autograd.Function):
    """(N, ...) of each process -> (sum of N, ...), the same in all of them.

    The loss of the joined rows is the same in all processes, so each knows the gradient of its own rows by itself.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        world, rank = distributed.get_world_size(), distributed.get_rank()
        sizes = torch.zeros(world, dtype=torch.int64, device=rows.device)
        sizes[rank] = len(rows)
        distributed.all_reduce(sizes)
        counts: list[int] = sizes.tolist()
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(parts, padded)
        ctx.own = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
        ctx.world = world
        return torch.cat([part[:size] for part, size in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        own: Tensor = ctx.world * gradient[ctx.own]
        return own


class _Summed(torch.autograd.Function):
    """A tensor added up over all processes, of which each goes on with rows of its own: so do gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def joined(rows: Tensor) -> Tensor:
    """(N, ...) -> the rows of all processes, one process after the other; the gradient as in `rows_of_all`."""
    together: Tensor = _Joined.apply(rows)  # type: ignore[no-untyped-call]
    return together


def summed(values: Tensor) -> Tensor:
    """The sum over all processes, in each of them."""
    total: Tensor = _Summed.apply(values)  # type: ignore[no-untyped-call]
    return total
