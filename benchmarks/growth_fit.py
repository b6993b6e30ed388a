"""How a cost grows with a size: the exponent of a power law through measured costs."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.row import Row, Spread

#: Of a size: what one turn costs, in seconds or MiB.
Way = Callable[[], float]


def exponent(costs: Mapping[int, float]) -> float:
    """The p of cost = c size^p: least squares of log cost on log size."""
    slope, _ = np.polyfit(np.log(list(costs)), np.log(list(costs.values())), 1)
    return float(slope)


def in_alternation(ways: Mapping[int, Way], turns: int, *, warm: bool = True) -> dict[int, list[float]]:
    """Costs of each size, ``turns`` times, up and down; if ``warm``, the smallest once before, uncounted."""
    if turns < 2:
        raise ValueError(f"{turns} turns have no spread; at least 2 are needed.")
    found: dict[int, list[float]] = {size: [] for size in ways}
    if warm:
        ways[min(ways)]()
    for turn in range(turns):
        for size in sorted(ways, reverse=turn % 2 == 1):
            gc.collect()
            found[size].append(ways[size]())
    return found


def beyond_smallest(costs: Mapping[int, Sequence[float]]) -> tuple[dict[int, list[float]], float]:
    """Sizes and costs less the smallest size and its median cost, which is returned too: no fixed cost is left.

    Raises
    ------
    ValueError
        If a larger size costs no more.
    """
    smallest = min(costs)
    base = statistics.median(costs[smallest])
    beyond = {size - smallest: [value - base for value in values] for size, values in costs.items() if size > smallest}
    if min(min(values) for values in beyond.values()) <= 0:
        raise ValueError(f"A size of {smallest} costs {base:.3g}, and a larger one no more: take larger sizes.")
    return beyond, base


def grown(
    what: str, costs: Mapping[int, Sequence[float]], at_most: float, *, of: str, note: str = "", why: str = ""
) -> Row:
    """The row of an exponent: of the medians over the turns; its spread is that of single turns.

    Parameters
    ----------
    costs : by size, a cost per turn
    of : the unit of size and cost, as in ``clips, seconds``
    """
    turns = [exponent(dict(zip(costs, turn, strict=True))) for turn in zip(*costs.values(), strict=True)]
    medians = {size: statistics.median(values) for size, values in costs.items()}
    measured = ", ".join(f"{size}: {cost:.3g}" for size, cost in medians.items())
    fit = Spread(exponent(medians), min(turns), max(turns))
    why = why or ("Single turns lie on both sides of the bar." if fit.low <= at_most < fit.high else "")
    return Row(what, "exponent", fit, at_most=at_most, why=why, note=f"{of}: {measured}. {note}".strip())
