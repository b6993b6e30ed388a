"""Peak memory of a look at the six paths over a long window: rows a few at a time, against whole maps.

    python -m benchmarks.attention [--quick] [--frames 8000]

One window of 2,000 frames and one of 8,000, of the paper's widths, all rows present, each in a process of its own.
Measured is by how much the peak of its resident memory (VmHWM, so Linux alone) exceeds what it was with model and
features in place, and how long the work takes. Both ways stop before the BEiT encoders. First of all, both must say the
same of 500 frames.
"""

from __future__ import annotations

import json
import time
from typing import Any

import click

from benchmarks.measure import in_own_process, resident_mib

_SHORT = 2000
_CHECKED = 500
_WAYS = ("blocks", "maps")


def made(frames: int) -> tuple[Any, dict[str, Any]]:
    """A fusion of the paper's widths with random weights, and a window for it."""
    import torch

    from common.schema import MODALITIES
    from stage2_beit.config import FusionConfig
    from stage2_beit.model import FusionModel

    torch.manual_seed(0)
    model = FusionModel(FusionConfig(beit_layers=1)).eval()
    inputs = {m: torch.randn(1, frames, width) for m, width in model.config.dims.items()}
    inputs |= {f"present_{m}": torch.ones(1, frames, dtype=torch.bool) for m in MODALITIES}
    return model, inputs | {"frame_mask": torch.ones(1, frames, dtype=torch.bool)}


def look(way: str, model: Any, inputs: dict[str, Any]) -> Any:
    """(T, 6) attention that each frame got, 1 being an even share."""
    import numpy as np
    import torch

    from stage2_beit.listening import cross_inputs, window_listening

    with torch.inference_mode():
        features, present = cross_inputs(model, inputs)
        if way == "maps":
            maps = model.cross(features, present, need_weights=True)[1]
            return np.stack([one[0].sum(dim=0).numpy() for one in maps.values()], axis=1)  # as many keys as ask
        return window_listening(
            model.cross, {m: x[0] for m, x in features.items()}, {m: x[0] for m, x in present.items()}
        )[1]


def measure(way: str, frames: int) -> dict[str, float]:
    """One window in this process."""
    look(way, *made(10))  # what is loaded on first use is no part of it
    model, inputs = made(frames)
    before, began_s = resident_mib("VmRSS"), time.perf_counter()
    look(way, model, inputs)
    return {"mib": resident_mib("VmHWM") - before, "seconds": time.perf_counter() - began_s}


def check() -> None:
    """Both ways must say the same."""
    import numpy as np

    model, inputs = made(_CHECKED)
    blocks, maps = (look(way, model, inputs) for way in _WAYS)
    np.testing.assert_allclose(blocks, maps, atol=1e-4)


@click.command()
@click.option("--quick", is_flag=True, help="500 and 2,000 frames.")
@click.option("--frames", default=8000, show_default=True)
@click.option("--one", nargs=2, type=(click.Choice(_WAYS), int), hidden=True)
def main(quick: bool, frames: int, one: tuple[str, int] | None) -> None:
    if one:
        print(json.dumps(measure(*one)))
        return
    check()
    lengths = (_CHECKED, _SHORT) if quick else (_SHORT, frames)
    print(f"{'way':10}{'frames':>8}{'MiB on top':>12}{'seconds':>10}")
    for way in _WAYS:
        found = []
        for length in lengths:
            found.append(in_own_process("benchmarks.attention", "--one", way, str(length)))
            print(f"{way:10}{length:8d}{found[-1]['mib']:12.0f}{found[-1]['seconds']:10.1f}", flush=True)
        ratio = found[1]["mib"] / found[0]["mib"]
        print(f"{way:10}memory, ratio of {lengths[1]} to {lengths[0]} frames: {ratio:.1f}")


if __name__ == "__main__":
    main()
