"""The same recipe with several seeds: how much of a score is luck."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.bootstrap import REPEATS, interval
from common.errors import UsageError
from common.manifest import Manifest, read_manifest
from common.recipe import Recipe
from stage3_mlp.report.studied import SEEDS
from stage3_mlp.tables import in_lines, write_study
from studies.chain import Places, Scored, notes, train_and_score


def seed_recipes(recipe: Recipe, number: int) -> list[Recipe]:
    """``number`` recipes that differ in their seed alone, from the recipe's own seed on.

    Raises
    ------
    UsageError
        If ``number`` is below 1.
    """
    if number < 1:
        raise UsageError(f"{number} seeds can't be trained.", "Give --seeds 1 or more.")
    return [recipe.model_copy(update={"seed": recipe.seed + index}) for index in range(number)]


def run_seeds(recipe: Recipe, manifest: Manifest, folder: Path, number: int, places: Places) -> list[Scored]:
    """Train and score ``folder/<seed>`` for each of ``number`` seeds."""
    runs = []
    for one in seed_recipes(recipe, number):
        runs.append(train_and_score(one, manifest, folder / str(one.seed), places))
        places.say(f"  {folder.name}, seed {one.seed}: {runs[-1].outcome.title} {runs[-1].score:.4f}")
    return runs


def summary(runs: Sequence[Scored], repeats: int = REPEATS) -> dict[str, Any]:
    """Mean of each figure over seeds; of the one that counts also the standard deviation (n - 1) over seeds, and a 95 %
    interval over clips and seeds."""
    outcome = runs[0].outcome
    (draws,) = outcome.draws([[run.pairs for run in runs]], repeats)
    low, high = interval(draws)
    return {
        **{name: float(np.mean([run.row[name] for run in runs])) for name in outcome.figures},
        "spread": float(np.std([run.score for run in runs], ddof=1)) if len(runs) > 1 else None,
        "low": low,
        "high": high,
    }


def study_seeds(recipe: Recipe, number: int, places: Places) -> dict[str, Any]:
    """Mean and spread of the score over seeds: ``run/seeds/seeds.csv`` and ``.json``."""
    manifest = read_manifest(places.run)
    folder = places.run / SEEDS
    places.say(f"Seeds: {recipe.name}, {number} trainings")
    runs = run_seeds(recipe, manifest, folder, number, places)
    found = summary(runs)
    rows = [{"seed": run.metrics["seed"], **run.row} for run in runs]
    outcome = runs[0].outcome
    path = write_study(
        folder, SEEDS, rows, **notes(manifest, places), summary=found, recipe=recipe.model_dump(mode="json")
    )
    for line in in_lines(rows):
        places.say(line)
    spread = "" if found["spread"] is None else f" \N{PLUS-MINUS SIGN} {found['spread']:.4f} over seeds"
    places.say(
        f"{outcome.title} {found[outcome.figures[-1]]:.4f}{spread}, "
        f"95 % [{found['low']:.4f}, {found['high']:.4f}] over clips and seeds"
    )
    places.say(f"Table: {path}")
    return found
