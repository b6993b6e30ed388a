"""Is one run better than another? A paired bootstrap over their test clips, and over seeds where they have some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from common.bootstrap import interval
from common.errors import DataError
from common.manifest import read_manifest
from stage3_mlp.outcome import Outcome, outcome_of
from stage3_mlp.test import scored_predictions
from stage3_mlp.train import FUSED
from studies.chain import Places
from studies.seeds import seeds_of

#: Draws of a comparison.
REPEATS = 10_000


def compare(one: Path, other: Path, places: Places) -> dict[str, Any]:
    """Compare two runs, by the figure that counts, on the clips that both were scored on.

    Returns
    -------
    dict
        ``one``, ``other``: the figure (over seeds), called ``title``; ``difference``, its 95 % ``interval``, ``share``
        of draws in which ``one`` is ahead, and ``verdict``, a sentence.

    Raises
    ------
    DataError
        If the two were scored on different clips, or predict different things.
    """
    manifests = [read_manifest(seeds_of(run)[0] / FUSED) for run in (one, other)]
    classes = [manifest.classes for manifest in manifests]
    if classes[0] != classes[1]:
        raise DataError(f"{one} and {other} predict different things.", "Compare runs of one data set.")
    outcome = outcome_of(classes[0])
    groups = []
    for run in (one, other):
        seeds = [_by_clip(path, outcome, places) for path in seeds_of(run)]
        groups.append(seeds)
    if any(seed.keys() != groups[0][0].keys() for seeds in groups for seed in seeds):
        raise DataError(
            f"{one} and {other} were scored on different clips.", "Compare runs of one data set and one selection."
        )
    names = sorted(groups[0][0])
    draws = outcome.draws([[[seed[name] for name in names] for seed in seeds] for seeds in groups], REPEATS)
    found = [float(np.mean([outcome.score([seed[name] for name in names]) for seed in seeds])) for seeds in groups]
    low, high = interval(draws[0] - draws[1])
    share = float(np.mean(draws[0] > draws[1]))
    ahead = one.name if found[0] > found[1] else other.name
    clear = low > 0 or high < 0
    verdict = (
        f"{ahead} is better." if clear else f"The interval holds 0: these {len(names)} clips can't tell them apart."
    )
    return {
        "title": outcome.title,
        "one": found[0],
        "other": found[1],
        "seeds": [len(seeds) for seeds in groups],
        "clips": len(names),
        "difference": found[0] - found[1],
        "interval": [low, high],
        "share": share,
        "verdict": verdict,
        "remarks": list(dict.fromkeys(remark for manifest in manifests for remark in manifest.remarks)),
    }


def say_comparison(one: Path, other: Path, found: dict[str, Any], places: Places) -> None:
    """The comparison in three lines."""
    for run, key, seeds in ((one, "one", found["seeds"][0]), (other, "other", found["seeds"][1])):
        places.say(f"{run}: {found['title']} {found[key]:.4f} ({seeds} seed{'s' if seeds > 1 else ''})")
    low, high = found["interval"]
    places.say(
        f"difference {found['difference']:+.4f}, 95 % [{low:+.4f}, {high:+.4f}]; "
        f"the first is ahead in {found['share']:.1%} of draws of {found['clips']} clips"
    )
    places.say(found["verdict"])
    for remark in found["remarks"]:
        places.say(f"Note: {remark}")


def _by_clip(run: Path, outcome: Outcome, places: Places) -> dict[str, Any]:
    predictions = scored_predictions(places.cache, run, places.device)
    return {prediction.clip: outcome.pair(prediction) for prediction in predictions}
