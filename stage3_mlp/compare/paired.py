"""Differences between runs, each pair of them, with intervals from draws of clips that all runs share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.bootstrap import Interval, interval

#: Draws of a comparison, at least; and for each pair, so that 25 draws lie beyond each end of its widened interval.
REPEATS = 10_000
REPEATS_PER_PAIR = 1_000
LEVEL = 0.95

#: The correction for several comparisons, as it is named beside them.
CORRECTION = "Bonferroni (Dunn, 1961, Journal of the American Statistical Association 56, 52-64)"


@dataclass(frozen=True)
class Difference:
    """How far one run is ahead of another, by the figure that counts.

    Attributes
    ----------
    one, other : the runs, by their place among those compared
    difference : the figure of ``one`` minus that of ``other``
    interval : 95 %, of this comparison alone
    widened : of all comparisons together: with a probability of 95 %, all such intervals hold the true difference
    ahead : share of draws in which ``one`` is ahead, in [0, 1]; NaN where there are none
    better : the run that is ahead wherever in ``widened`` the difference lies, or None
    verdict : a sentence
    """

    one: int
    other: int
    difference: float
    interval: Interval
    widened: Interval
    ahead: float
    better: int | None
    verdict: str


def number_of_pairs(runs: int) -> int:
    return math.comb(runs, 2)


def draws_for(runs: int) -> int:
    """How many draws a comparison of so many runs takes."""
    return max(REPEATS, REPEATS_PER_PAIR * number_of_pairs(runs))


def differences(
    names: Sequence[str], scores: Sequence[float], draws: npt.NDArray[np.float64], clips: int
) -> list[Difference]:
    """Compare all pairs of R runs: m = R (R - 1) / 2 comparisons.

    A widened interval has the level 1 - 0.05 / m. That all m hold their true difference then has a probability of 95 %
    at least, however they depend on each other (Bonferroni's inequality; Dunn, 1961). The verdict goes by it. Holm's
    procedure would find the same or more, but gives no intervals to show.

    Parameters
    ----------
    names : R, of the runs
    scores : R, the figure that counts, over all clips
    draws : (R, repeats) float64
        The same figure over draws of the clips, the same draws in each row. NaN where it isn't defined.
    clips : how many clips were drawn from

    Returns
    -------
    In the order (0, 1), (0, 2), ..., (1, 2), ...
    """
    pairs = list(itertools.combinations(range(len(names)), 2))
    found = []
    for one, other in pairs:
        drawn = draws[one] - draws[other]
        defined = drawn[~np.isnan(drawn)]
        plain, widened = interval(drawn, LEVEL), interval(drawn, 1 - (1 - LEVEL) / len(pairs))
        better = one if widened[0] > 0 else other if widened[1] < 0 else None
        found.append(
            Difference(
                one,
                other,
                scores[one] - scores[other],
                plain,
                widened,
                float(np.mean(defined > 0)) if len(defined) else float("nan"),
                better,
                _verdict(names, (one, other), plain, better, clips, len(pairs)),
            )
        )
    return found


def _verdict(
    names: Sequence[str], pair: tuple[int, int], plain: Interval, better: int | None, clips: int, comparisons: int
) -> str:
    if math.isnan(plain[0]):
        return f"There is no interval: {clips} labelled clip(s) say too little about others."
    if better is not None:
        return f"{names[better]} is better."
    if plain[0] > 0 or plain[1] < 0:
        ahead = names[pair[0] if plain[0] > 0 else pair[1]]
        return f"{ahead} would be better if this were the only comparison; as one of {comparisons}, it can't be told."
    return f"The interval holds 0: these {clips} clips can't tell them apart."
