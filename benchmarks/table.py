"""Turns and tables: two ways of doing one thing, measured alternately in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def in_turns(ways: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Seconds of each way, ``turns`` times in alternation after one turn that isn't counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if turn > 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def print_table(seconds: dict[str, list[float]], *, units: float, unit: str, limit: str) -> dict[str, float]:
    """Print units per second of each way and its ratio to ``limit`` turn by turn; return the median ratios."""
    ratios = {}
    print(f"{'way':44}{unit + '/s':>14}{'ratio to limit':>16}{'min':>8}{'max':>8}")
    for name, values in seconds.items():
        pairs = [bound / own for bound, own in zip(seconds[limit], values, strict=True)]
        ratios[name] = statistics.median(pairs)
        rate = units / statistics.median(values)
        print(f"{name:44}{rate:14.1f}{ratios[name]:16.2f}{min(pairs):8.2f}{max(pairs):8.2f}")
    return ratios
