"""Ways of doing one thing, measured in alternation, and how many times as good one of them is."""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.row import Rival, Row, Spread

#: Seconds, milliseconds of processor time, bytes: whatever is better where it is less. One number per turn.
Costs = Sequence[float]


def in_turns(
    ways: Mapping[str, Callable[[], object]],
    turns: int,
    clock: Callable[[], float] = time.perf_counter,
    *,
    before: Callable[[], object] = gc.collect,
) -> dict[str, list[float]]:
    """Seconds of each way, ``turns`` times in alternation after one turn that isn't counted.

    Parameters
    ----------
    ways : in this order in even turns, in the reverse one in odd turns
    turns : at least 2
    clock : `time.perf_counter`, or `time.process_time` for processor time of all threads
    before : called before each way, outside of what is measured
    """
    if turns < 2:
        raise ValueError(f"{turns} turns have no spread; at least 2 are needed.")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            before()
            began = clock()
            ways[name]()
            spent = clock() - began
            if turn > 0:
                seconds[name].append(spent)
    return seconds


def spread(values: Costs) -> Spread:
    """Median, smallest and largest."""
    return Spread(statistics.median(values), min(values), max(values))


def rate(costs: Costs, work: float) -> list[float]:
    """``work`` units divided by each cost: frames a second from seconds."""
    return [work / cost for cost in costs]


def rival(name: str, ours: Costs, theirs: Costs, *, at_least: float | None = None, work: float | None = None) -> Rival:
    """Another way beside ours: its figure, and turn by turn how many times as good ours is.

    Parameters
    ----------
    ours, theirs : costs of the same turns
    at_least : the bar, in times as good
    work : where the row speaks of a rate, units of work per turn
    """
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return Rival(name, spread(rate(theirs, work) if work else theirs), spread(ratios), at_least)


def row(
    what: str,
    unit: str,
    costs: Mapping[str, Costs],
    *,
    ours: str,
    alternatives: Mapping[str, float | None] | None = None,
    limit: tuple[str, float | None] | None = None,
    work: float | None = None,
    at_most: float | None = None,
    why: str = "",
    note: str = "",
) -> Row:
    """A line of the table from what `in_turns` found.

    Parameters
    ----------
    what : what is done, to which inputs, in which precision
    unit : of the figures: of the costs, or a rate where ``work`` is given
    costs : per way, a cost per turn
    ours : our way's name in ``costs``
    alternatives : names in ``costs``, each with its bar in times as good, or None
    limit : the same for what can't be beaten
    work : units of work per turn, where the figures are rates
    at_most : a bar on our own figure, in ``unit``
    why : the reason where a bar isn't reached
    note : what else must be known to read the line
    """
    own = costs[ours]
    return Row(
        what,
        unit,
        spread(rate(own, work) if work else own),
        tuple(rival(n, own, costs[n], at_least=bar, work=work) for n, bar in (alternatives or {}).items()),
        rival(limit[0], own, costs[limit[0]], at_least=limit[1], work=work) if limit else None,
        at_most,
        why,
        note,
    )


def resident_mib(name: str) -> float:
    """A line of this process's memory: VmRSS, what is resident now, or VmHWM, its peak. Linux alone."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def in_own_process(module: str, *arguments: str) -> Any:
    """What ``python -m MODULE ARGUMENTS`` prints, as JSON. Peaks of memory are a process's own.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails; its error is on the terminal.
    """
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])
