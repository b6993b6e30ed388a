"""What additive attention spends its time on, for all pairs of frames: scores and their gradients, a tile at a time.

The addition theorem takes tanh out of the inner loop: with x = q + k, and q of one frame, k of another,

    tanh x = 1 - 2 r,    r = 1 / (1 + exp(2q) exp(2k)),    tanh' x = 4 r (1 - r).

The exponentials are of frames, not of pairs; a pair costs one division, a small part of a tanh. Where |q| or |k| is
beyond ``FACTORED_LIMIT``, exp(2q) might leave float32; r is then sigmoid(-2 (q + k)), slower and true for any number.

Each function exists compiled (r stays in the processor's registers) and not (r is a tile that fits its cache).
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import product
from math import isqrt
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from common.reasons import headline_of

_LOG = logging.getLogger(__name__)

#: exp(+-2 * 40) is within float32, as a normal number.
FACTORED_LIMIT: Final = 40.0

#: Elements (windows, rows, keys, E) of a tile: what a core's cache holds; what the compiler has loops enough for; what
#: keeps a GPU busy.
TILE_CPU: Final = 2**18
TILE_COMPILED_CPU: Final = 2**22
TILE_GPU: Final = 2**26

#: A process's first compilation takes seconds; a training step over this many elements (B T T E) earns them back.
WORTH_COMPILING: Final = 2**26


@dataclass(frozen=True)
class Way:
    """How r is computed: from exponentials or not, compiled or not. Results agree to rounding."""

    factored: bool
    compiled: bool = False

    def tile(self, device: torch.device) -> int:
        if device.type != "cpu":
            return TILE_GPU
        return TILE_COMPILED_CPU if self.compiled else TILE_CPU


def within_limit(query: Tensor, key: Tensor, frame_mask: Tensor) -> bool:
    """Are all valid frames' q and k (B, T, E) small enough for their exponentials?"""
    padding = ~frame_mask[..., None]
    reach = torch.maximum(query.masked_fill(padding, 0).abs().amax(), key.masked_fill(padding, 0).abs().amax())
    return bool(reach <= FACTORED_LIMIT)


def prepared(x: Tensor, way: Way) -> Tensor:
    """What the functions below take in place of q or k; what padding holds stays finite if it is."""
    return (2 * x.clamp(-FACTORED_LIMIT, FACTORED_LIMIT)).exp_() if way.factored else -2 * x


def scores(query: Tensor, key: Tensor, v: Tensor, way: Way) -> Tensor:
    """v' tanh(q + k) less v' 1, which no softmax notices: prepared (B, R, E), (B, T, E), and v (E,) -> (B, R, T)."""
    v = -2 * v
    out = query.new_empty(*query.shape[:2], key.shape[1])
    for b, t, s, room in _tiles(query, key, way):
        q, k = query[b, t], key[b, s]
        if way.compiled:
            out[b, t, s] = _compiled(_score_tile)(q[0].clone(), k[0].clone(), v)
        else:
            out[b, t, s] = _ratio(q, k, way, room) @ v
    return out


def gradients(query: Tensor, key: Tensor, v: Tensor, g: Tensor, way: Way) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ``scores`` with respect to q (B, R, E), k (B, T, E) and v (E,), given that of its result (B, R, T).

    Of v, it is the gradient where the rows of g add up to zero, as softmax leaves them.
    """
    of_query, of_key, of_v = torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(v)
    for b, t, s, room in _tiles(query, key, way):
        q, k, weight = query[b, t], key[b, s], g[b, t, s]
        if way.compiled:
            pairs = q[0].clone(), k[0].clone(), weight[0].clone()
            of_r, rows = _compiled(_row_tile)(*pairs)
            keys = _compiled(_key_tile)(*pairs)
        else:
            r = _ratio(q, k, way, room)
            of_r = weight.flatten() @ r.flatten(0, 2)
            slope = torch.addcmul(r, r, r, value=-1, out=r).mul_(weight[..., None])
            rows, keys = slope.sum(2), slope.sum(1)
        of_v += of_r
        of_query[b, t] += rows
        of_key[b, s] += keys
    return of_query.mul_(4 * v), of_key.mul_(4 * v), of_v.mul_(-2)


def parts(length: int, most: int) -> list[slice]:
    """0 to ``length`` in slices of at most ``most``, as even as can be: a size of 1 would be compiled for itself."""
    count = -(-length // most)
    return [slice(n * length // count, (n + 1) * length // count) for n in range(count)]


def _tiles(query: Tensor, key: Tensor, way: Way) -> Iterator[tuple[slice, slice, slice, Tensor]]:
    """Slices of windows, rows and keys; and, where r is to be stored, room for it."""
    B, R, E = query.shape
    T = key.shape[1]
    most = way.tile(query.device)
    rows = min(R, max(1, isqrt(most // E) // 2))
    keys = min(T, max(1, most // (rows * E)))
    windows = 1 if way.compiled else min(B, max(1, most // (rows * keys * E)))
    room = query.new_empty(0 if way.compiled else windows * rows * keys * E)
    for b, t, s in product(parts(B, windows), parts(R, rows), parts(T, keys)):
        yield b, t, s, room


def _ratio(query: Tensor, key: Tensor, way: Way, room: Tensor) -> Tensor:
    """r of all pairs (windows, rows, keys, E), in ``room``."""
    q, k = query[:, :, None], key[:, None]
    shape = torch.broadcast_shapes(q.shape, k.shape)
    r = room[: shape.numel()].view(shape)
    if way.factored:
        return torch.addcmul(q.new_ones(()), q, k, out=r).reciprocal_()
    return torch.add(q, k, out=r).sigmoid_()


# Compiled: factored alone, one window at a time, (R, E) and (K, E); each function is one loop over the pairs, with one
# division in it. They are given copies: of a slice, the compiler would take the place in its tensor for a constant.


def _score_tile(query: Tensor, key: Tensor, v: Tensor) -> Tensor:
    return (v / (1 + query[:, None] * key)).sum(2)


def _row_tile(query: Tensor, key: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    r = 1 / (1 + query[:, None] * key)
    weighted = g[..., None] * r
    return weighted.sum(1).sum(0), (weighted * (1 - r)).sum(1)


def _key_tile(query: Tensor, key: Tensor, g: Tensor) -> Tensor:
    r = 1 / (1 + query[:, None] * key)
    return (g[..., None] * r * (1 - r)).sum(0)


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function, dynamic=True)


@cache
def compiles(device: torch.device) -> bool:
    """Can torch compile for this device? Tried once, which takes seconds; why it can't is logged."""
    reason = _no_compiler(device.type)
    if not reason:
        # No two sizes are equal, or the compiler would take it for a rule.
        query, key = torch.ones(61, 256, device=device), torch.ones(127, 256, device=device)
        try:
            with torch.no_grad(), torch.autocast(device.type, enabled=False):
                _compiled(_score_tile)(query, key, key[0].clone())
                for function in (_row_tile, _key_tile):
                    _compiled(function)(query, key, query @ key.mT)
        # torch's own errors of compilation are RuntimeErrors; Triton calls a compiler itself
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            reason = f"torch.compile failed: {headline_of(error)}"
    if reason:
        _LOG.warning("Additive attention runs uncompiled, several times slower: %s.", reason)
    return not reason


def _no_compiler(kind: str) -> str:
    """Why nothing can be compiled for this kind of device; empty if something can."""
    if kind == "cpu":
        if " " in torch.__file__:
            return (
                f"torch lies in {str(Path(torch.__file__).parent)!r}, and its compiler doesn't take paths with spaces"
            )
        name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
        return "" if shutil.which(name) else f"there is no C++ compiler {name!r}; CXX names another"
    if kind == "cuda":
        return "" if find_spec("triton") else "the package triton isn't installed"
    return f"nothing is compiled for {kind}"
