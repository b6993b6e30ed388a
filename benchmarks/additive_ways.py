"""Ways of additive attention, forward and backward: the formula as PyTorch code, and ours.

    python -m benchmarks.additive_ways WAY FRAMES DEVICE      the peak memory of one step in MiB, as JSON

On a CPU, that is by how much the peak of the process's resident memory (VmHWM, so Linux alone) exceeds what it was with
module and input in place; on a GPU, the same of what torch has allocated.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import in_own_process, resident_mib

BATCH, WIDTH = 4, 256
FORMULA, COMPILED_FORMULA = "the formula", "the formula, torch.compile"
OURS, COMPILED, UNCOMPILED = "ours", "ours, compiled", "ours, uncompiled"
_KERNELS = {OURS: "auto", COMPILED: "compiled", UNCOMPILED: "eager"}
#: Tensors (B, T, T, E) that the formula has at a time, at its worst.
_FORMULA_TENSORS = 3.5


def made(frames: int, device: str) -> tuple[Any, Any]:
    """A module with random weights, and h (B, T, E)."""
    import torch

    from stage2_beit.additive import AdditiveAttention

    torch.manual_seed(0)
    return AdditiveAttention(WIDTH).to(device), torch.randn(BATCH, frames, WIDTH, device=device, requires_grad=True)


def formula(module: Any, h: Any) -> Any:
    """Eq. 21-24 as they are written, for windows without padding."""
    scores = (module.query(h)[:, :, None] + module.key(h)[:, None]).tanh() @ module.v
    return scores.softmax(dim=-1) @ h


def step(way: str, module: Any, h: Any) -> Callable[[], list[Any]]:
    """What runs ``way`` forward and backward; it returns the output and all gradients."""
    import torch

    mask = torch.ones(h.shape[:2], dtype=torch.bool, device=h.device)
    compute = torch.compile(formula) if way == COMPILED_FORMULA else formula

    def run() -> list[Any]:
        h.grad = None
        module.zero_grad()
        if way in _KERNELS:
            module.kernel = _KERNELS[way]
            out = module(h, mask)
        else:
            out = compute(module, h)
        out.square().mean(dim=1).sum().backward()
        return [out.detach(), h.grad, *(p.grad for p in module.parameters())]

    return run


def formula_fits(frames: int, device: Any) -> bool:
    """Is there memory for the formula?"""
    import psutil
    import torch

    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return bool(_FORMULA_TENSORS * 4 * BATCH * frames**2 * WIDTH < free)


def peak_mib(way: str, frames: int, device: str = "cpu") -> float:
    """Peak memory of one step in MiB beyond module and input, in a process of its own."""
    return float(in_own_process("benchmarks.additive_ways", way, str(frames), device))


def _measured(way: str, frames: int, device: str) -> float:
    # Compiling, and what is loaded on first use, are no part of it; 40 frames alone wouldn't be worth compiling.
    step(COMPILED if way == OURS else way, *made(40, device))()
    module, h = made(frames, device)
    run = step(way, module, h)
    if device == "cpu":
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
        before = resident_mib("VmRSS")
        run()
        return resident_mib("VmHWM") - before
    import torch

    torch.cuda.reset_peak_memory_stats()
    allocated = torch.cuda.memory_allocated()
    run()
    return (torch.cuda.max_memory_allocated() - allocated) / 2**20


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measured(sys.argv[1], int(sys.argv[2]), sys.argv[3])) + "\n")
