"""How cost grows with size: clips, length, frames of a window. One exponent p of cost = c size^p per line.

    python -m benchmarks.growth [--quick] [--device cuda] [--json FILE]

Least squares of log cost on log size, over the medians of at least two turns in alternation; the spread is that of the
exponents of single turns. The bar is 1.05: nothing may grow faster than what it is given. Comparing each frame of a
window with each is quadratic in time, and so has 2. What is the same at every size bends an exponent down; what was
taken off for it is said in each line's note.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import growth_clips, growth_frames, growth_length
from benchmarks.alone import alone
from benchmarks.row import Row


def rows(quick: bool, device: str) -> list[Row]:
    from common.device import torch_device

    place = torch_device(device)
    turns = 2 if quick else 3
    times = (1, 4) if quick else (1, 2, 4, 8)

    def sized(base: int) -> tuple[int, ...]:
        return tuple(base * one for one in times)

    parts: list[Callable[[Path], list[Row]]] = [
        lambda folder: growth_clips.extraction(folder, turns, sized(1), place),
        lambda folder: growth_length.extraction(folder, 2, (1, 3) if quick else (1, 4, 16), place),
        lambda folder: growth_clips.upkeep(folder, 2, sized(15 if quick else 50), place),
        lambda folder: growth_clips.reading(folder, turns, sized(4), place),
        lambda folder: growth_length.export(folder, turns, (1, 4) if quick else (1, 4, 16), place),
        lambda folder: growth_clips.scoring(folder, 2, sized(4), 3000 if quick else 6000, place),
    ]
    if not quick:
        parts.append(lambda folder: growth_length.memory(folder, (1, 4, 16), place))
    found = []
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            found += part(Path(folder))
    return found + growth_frames.rows(quick, place)


main = alone(rows)

if __name__ == "__main__":
    main()
