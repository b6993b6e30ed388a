"""Additive attention (eq. 21-24), forward and backward, against the formula as PyTorch code: time and peak memory.

    python -m benchmarks.additive [--quick] [--device cuda] [--json FILE]

Four windows of T frames without padding, d = 256, float32. The formula stores the tanh of all pairs of frames (B, T, T,
d). First of all, output and gradients of ours, compiled and not, must agree with the formula in float64 to 1e-5 of the
largest number in each; then, before each line, all ways with each other to 1e-4: the formula adds up the gradient of v
less exactly in float32 than ours does.

Two limits: a tanh of each pair and channel, once forward and once backward, which is the formula's own; and a division
instead, which is what ours has in its innermost loop. Both on numbers that lie in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.additive_ways import (
    BATCH,
    COMPILED,
    COMPILED_FORMULA,
    FORMULA,
    OURS,
    UNCOMPILED,
    WIDTH,
    formula_fits,
    made,
    peak_mib,
    step,
)
from benchmarks.alone import alone
from benchmarks.device_clock import seconds_of
from benchmarks.measure import in_turns, row
from benchmarks.row import Row

_TOLERANCE, _TOLERANCE_OF_FLOAT32 = 1e-5, 1e-4
_CHECKED_FRAMES = 100
_TANH, _DIVISION = "a tanh per pair, twice", "a division per pair, twice"
#: Pairs times channels that the limits are measured on, at least and at most; scaled to all of them.
_LIMIT_ELEMENTS = 2**28, 2**30


def rows(quick: bool, device: str) -> list[Row]:
    """Time for each T, and peak memory for one."""
    from common.device import torch_device

    place = torch_device(device)
    check(place)
    if place.type == "cpu":
        lengths: tuple[int, ...] = (128, 300, 512) if quick else (128, 256, 512, 1024, 2048)
    else:  # fewer frames don't keep it busy
        lengths = (512, 1024) if quick else (512, 1024, 2048, 4096)
    found = [_time(frames, place, quick) for frames in lengths]
    on_cpu = place.type == "cpu"
    frames = 512 if quick and on_cpu else 1024
    counted = place.type == "cuda" or (on_cpu and Path("/proc/self/clear_refs").exists())
    if counted and formula_fits(frames, place):
        # A GPU's allocator counts exactly: once is enough.
        found.append(_memory(frames, place.type, turns=(2 if quick else 3) if on_cpu else 1))
    return found


def _time(frames: int, place: Any, quick: bool) -> Row:
    from stage2_beit.additive_kernels import compiles

    fits, compiled = formula_fits(frames, place), compiles(place)
    names = [OURS, UNCOMPILED]
    if fits:
        names = [OURS, FORMULA, *([COMPILED_FORMULA] if compiled and not quick else []), UNCOMPILED]
    module, h = made(frames, str(place))
    runs = {name: step(name, module, h) for name in names}
    agree({name: run() for name, run in runs.items()}, _TOLERANCE_OF_FLOAT32)
    pairs = BATCH * frames**2 * WIDTH
    limits = {_TANH: _operation("tanh_", pairs, place), _DIVISION: _operation("reciprocal_", pairs, place)}
    ways: dict[str, Callable[[], object]] = {
        name: lambda run=run: seconds_of(run, place)
        for name, run in (runs | {name: run for name, (run, _) in limits.items()}).items()
    }
    costs = in_turns(ways, turns=2 if quick or frames > 1000 else 5)
    for name, (_, factor) in limits.items():
        costs[name] = [factor * cost for cost in costs[name]]
    bars = {name: 2.0 if name == FORMULA else None for name in (*names[1:], _TANH)}
    notes = [] if compiled else ["Nothing can be compiled here: ours is uncompiled, too."]
    if not fits:
        gib = 4 * pairs / 2**30
        notes.append(f"The formula isn't run: each of its tensors would be {gib:.0f} GiB, and there are several.")
    what = f"additive attention, T={frames}, forward and backward (B={BATCH}, d={WIDTH}, float32)"
    return row(what, "s", costs, ours=OURS, alternatives=bars, limit=(_DIVISION, None), note=" ".join(notes))


def check(place: Any) -> None:
    """Ours must say what the formula says in float64, where the device has it."""
    import copy

    kind = "cpu" if place.type == "mps" else str(place)
    module, h = made(_CHECKED_FRAMES, kind)
    exact = step(FORMULA, copy.deepcopy(module).double(), h.detach().double().requires_grad_())()
    agree({name: step(name, module, h)() for name in (COMPILED, UNCOMPILED)} | {"float64": exact}, _TOLERANCE)


def agree(results: dict[str, list[Any]], tolerance: float) -> None:
    """All must say what the last one does.

    Raises
    ------
    SystemExit
        If the largest difference of two tensors, in units of the largest number, is beyond ``tolerance``.
    """
    last = list(results)[-1]
    for name, found in results.items():
        for one, other in zip(found, results[last], strict=True):
            error = float((one - other).abs().max()) / float(other.abs().max())
            if not error <= tolerance:
                raise SystemExit(f"{name} and {last} differ by {error:.1e}; nothing was measured.")


def _operation(name: str, pairs: int, place: Any) -> tuple[Callable[[], None], float]:
    """One operation on a cache's worth of numbers, repeated; by what to multiply its time for all pairs, twice."""
    import torch

    x = torch.rand(2**18 if place.type == "cpu" else 2**24, device=place) + 0.5
    least, most = _LIMIT_ELEMENTS
    times = min(max(pairs, least), most) // x.numel()
    function = getattr(torch.Tensor, name)

    def run() -> None:
        for _ in range(times):
            function(x)

    return run, 2 * pairs / (times * x.numel())


def _memory(frames: int, device: str, turns: int) -> Row:
    ways = [OURS, FORMULA, UNCOMPILED]
    peaks: dict[str, Sequence[float]] = {way: [peak_mib(way, frames, device) for _ in range(turns)] for way in ways}
    what = f"peak memory of additive attention, T={frames}, forward and backward (B={BATCH}, d={WIDTH}, float32)"
    note = "beyond module and input, in a process of its own"
    return row(what, "MiB", peaks, ours=OURS, alternatives={FORMULA: 20.0, UNCOMPILED: None}, note=note)


main = alone(rows)

if __name__ == "__main__":
    main()
