"""How attention grows with the frames of a window: time in this process, memory in processes of their own.

    python -m benchmarks.growth_frames WAY FRAMES        memory of one window, as JSON

A step is forward and backward of one window of the paper's widths, without dropout. Memory is by how much the peak of
the process's resident memory (VmHWM, so Linux alone) exceeds what it was with model and features in place, each tensor
being mapped by itself: what an allocator keeps for later differs from run to run by half.
"""

from __future__ import annotations

import ctypes
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.device_clock import synchronise
from benchmarks.growth_fit import grown, in_alternation
from benchmarks.measure import in_own_process, resident_mib
from benchmarks.row import Row

WAYS = ("six paths", "additive")
_DIM = 768

#: M_MMAP_THRESHOLD of glibc's malloc.h: a block of 64 KiB or more is mapped by itself and given back at once, so that
#: what is resident is what is in use.
_EACH_BY_ITSELF = (-3, 1 << 16)

#: Frames of the windows whose memory is measured: both above those up to which whole maps are kept.
_KEPT = (1000, 4000)


def rows(quick: bool, device: Any) -> list[Row]:
    """Exponents over the frames: of time, and on Linux (a full run, on the CPU) of memory."""
    if device.type == "cpu":
        frames = {"six paths": (250, 500, 1000), "additive": (400, 800, 1600)}
    else:
        frames = dict.fromkeys(WAYS, (2000, 4000, 8000))
    found = []
    for way in WAYS:
        ways = {count: timed(way, count, device) for count in frames[way]}
        for seconds in ways.values():
            seconds()  # what is compiled on first use
        note = "Each frame is compared with each: 2 is what the formula asks for."
        what = f"{way} over the frames of a window, forward and backward, float32"
        costs = in_alternation(ways, 2 if quick else 3)
        found.append(grown(what, costs, 2.0, of="frames, seconds", note=note))
        if not quick and device.type == "cpu" and Path("/proc/self/status").is_file():
            costs = in_alternation({count: peak(way, count) for count in _KEPT}, 2, warm=False)
            what, note = f"{way} over the frames of a window, peak memory", "On top of model and features."
            found.append(grown(what, costs, 1.05, of="frames, MiB", note=note))
    return found


def step(way: str, frames: int, device: Any) -> Callable[[], None]:
    """Forward and backward of one window."""
    import torch

    from common.schema import MODALITIES
    from stage2_beit.attention import CrossModalAttention
    from stage2_beit.beit import AdditiveAttention

    torch.manual_seed(0)
    if way == "additive":
        additive = AdditiveAttention(_DIM).to(device)
        h = torch.randn(1, frames, _DIM, device=device, requires_grad=True)
        mask = torch.ones(1, frames, dtype=torch.bool, device=device)
        return lambda: additive(h, mask).sum().backward()
    dims = {"visual": 1024, "audio": 768, "text": 768}
    paths = CrossModalAttention(dims, d_k=256).to(device)  # type: ignore[arg-type]
    features = {m: torch.randn(1, frames, dims[m], device=device, requires_grad=True) for m in MODALITIES}
    present = {m: torch.ones(1, frames, dtype=torch.bool, device=device) for m in MODALITIES}

    def both() -> None:
        sum(one.sum() for one in paths(features, present)[0].values()).backward()  # type: ignore[union-attr]

    return both


def timed(way: str, frames: int, device: Any) -> Callable[[], float]:
    """Seconds of a step, measured when called."""
    run = step(way, frames, device)

    def seconds() -> float:
        synchronise(device)
        began_s = time.perf_counter()
        run()
        synchronise(device)
        return time.perf_counter() - began_s

    return seconds


def peak(way: str, frames: int) -> Callable[[], float]:
    """MiB of a step in a process of its own."""
    return lambda: float(in_own_process("benchmarks.growth_frames", way, str(frames)))


@click.command()
@click.argument("way", type=click.Choice(WAYS))
@click.argument("frames", type=int)
def main(way: str, frames: int) -> None:
    import torch

    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(*_EACH_BY_ITSELF)
    run = step(way, frames, torch.device("cpu"))
    run()  # what is loaded, compiled and kept from the first time on is no part of it
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before = resident_mib("VmRSS")
    run()
    click.echo(json.dumps(resident_mib("VmHWM") - before))


if __name__ == "__main__":
    main()
