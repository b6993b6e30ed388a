"""Is one run better than another? A paired bootstrap over their test clips, and over seeds where they have some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from common.bootstrap import interval, mean_ccc_draws
from common.errors import DataError
from stage3_mlp.test import scored_predictions
from studies.chain import Places
from studies.seeds import seeds_of

#: Draws of a comparison.
REPEATS = 10_000


def compare(one: Path, other: Path, places: Places) -> dict[str, Any]:
    """Compare the mean CCC of two runs on the clips that both were scored on.

    Returns
    -------
    dict
        ``one``, ``other``: mean CCC (over seeds); ``difference``, its 95 % ``interval``, ``share`` of draws in which
        ``one`` is ahead, and ``verdict``, a sentence.

    Raises
    ------
    DataError
        If the two were scored on different clips.
    """
    groups = []
    for run in (one, other):
        seeds = [_by_clip(path, places) for path in seeds_of(run)]
        groups.append(seeds)
    if any(seed.keys() != groups[0][0].keys() for seeds in groups for seed in seeds):
        raise DataError(
            f"{one} and {other} were scored on different clips.", "Compare runs of one data set and one selection."
        )
    names = sorted(groups[0][0])
    draws = mean_ccc_draws([[[seed[name] for name in names] for seed in seeds] for seeds in groups], REPEATS)
    found = [_mean(seeds, names) for seeds in groups]
    low, high = interval(draws[0] - draws[1])
    share = float(np.mean(draws[0] > draws[1]))
    ahead = one.name if found[0] > found[1] else other.name
    clear = low > 0 or high < 0
    verdict = (
        f"{ahead} is better." if clear else f"The interval holds 0: these {len(names)} clips can't tell them apart."
    )
    return {
        "one": found[0],
        "other": found[1],
        "seeds": [len(seeds) for seeds in groups],
        "clips": len(names),
        "difference": found[0] - found[1],
        "interval": [low, high],
        "share": share,
        "verdict": verdict,
    }


def say_comparison(one: Path, other: Path, found: dict[str, Any], places: Places) -> None:
    """The comparison in three lines."""
    for run, key, seeds in ((one, "one", found["seeds"][0]), (other, "other", found["seeds"][1])):
        places.say(f"{run}: mean CCC {found[key]:.4f} ({seeds} seed{'s' if seeds > 1 else ''})")
    low, high = found["interval"]
    places.say(
        f"difference {found['difference']:+.4f}, 95 % [{low:+.4f}, {high:+.4f}]; "
        f"the first is ahead in {found['share']:.1%} of draws of {found['clips']} clips"
    )
    places.say(found["verdict"])


def _by_clip(run: Path, places: Places) -> dict[str, Any]:
    predictions = scored_predictions(places.cache, run, places.device)
    return {prediction.clip: (prediction.values, prediction.labels) for prediction in predictions}


def _mean(seeds: list[dict[str, Any]], names: list[str]) -> float:
    from common.metrics import score

    return float(np.mean([score([seed[name] for name in names]).ccc_mean for seed in seeds]))
