"""Which modality gives what: every subset trained and scored alike, and exact Shapley values (the paper's Table 2)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from common.bootstrap import REPEATS, interval
from common.errors import UsageError
from common.manifest import read_manifest
from common.recipe import Recipe
from common.schema import MODALITIES, Modality
from stage3_mlp.report.studied import ABLATION, about
from stage3_mlp.tables import in_lines, write_study
from studies.chain import Places, Scored, notes
from studies.seeds import run_seeds, summary

Subset = tuple[Modality, ...]
Values = Mapping[Subset, npt.NDArray[np.float64]]


def subsets(modalities: tuple[Modality, ...]) -> list[Subset]:
    """All that aren't empty, the smaller first, in the project's order of modalities."""
    ordered = [modality for modality in MODALITIES if modality in modalities]
    return [one for size in range(1, len(ordered) + 1) for one in itertools.combinations(ordered, size)]


def shapley(
    values: Values, modalities: tuple[Modality, ...], nothing: float = 0.0
) -> dict[Modality, npt.NDArray[np.float64]]:
    """Each modality's exact Shapley value (Shapley, 1953): its gain, averaged over all orders of joining.

    Parameters
    ----------
    values : subset to its score, a scalar or an array of draws
    nothing : what the empty subset scores: a constant's CCC is 0, the most frequent class has some F1

    Returns
    -------
    modality to its share; with ``nothing`` the shares add up to the score of all modalities
    """
    count = len(modalities)
    shares: dict[Modality, npt.NDArray[np.float64]] = {}
    for modality in modalities:
        others = tuple(m for m in modalities if m != modality)
        share = np.zeros(())
        for before in ((), *subsets(others)):
            weight = math.factorial(len(before)) * math.factorial(count - len(before) - 1) / math.factorial(count)
            joined = tuple(m for m in MODALITIES if m in before or m == modality)
            share = share + weight * (values[joined] - (values[before] if before else nothing))
        shares[modality] = share
    return shares


def ablate(recipe: Recipe, number: int, places: Places) -> dict[str, Any]:
    """Train and score every subset of the recipe's modalities with the same seeds, from one cache.

    Writes ``run/ablation/{ablation,shapley}.csv`` and ``.json``.

    Raises
    ------
    UsageError
        If the recipe has a single modality.
    """
    modalities = tuple(m for m in MODALITIES if m in recipe.stage2.modalities)
    if len(modalities) < 2:
        raise UsageError(f"{recipe.name} has {modalities[0]} alone.", "An ablation needs two modalities or three.")
    manifest, folder = read_manifest(places.run), places.run / ABLATION
    every = subsets(modalities)
    places.say(f"Ablation: {recipe.name}, {len(every)} subsets of modalities, {number} seed(s) each")
    runs: dict[Subset, list[Scored]] = {}
    for subset in every:
        finetune = recipe.stage2.finetune_text and "text" in subset
        stage2 = recipe.stage2.model_copy(update={"modalities": subset, "finetune_text": finetune})
        one = recipe.model_copy(update={"stage2": stage2})
        runs[subset] = run_seeds(one, manifest, folder / "+".join(subset), number, places)
    rows = [{"modalities": " + ".join(subset), "seeds": number, **summary(runs[subset])} for subset in every]
    shares = _shares(runs, modalities)
    noted = notes(manifest, places)
    details = {
        **noted,
        "recipe": recipe.model_dump(mode="json"),
        "about": about(manifest),
        "split": runs[every[0]][0].metrics["split"],
    }
    path = write_study(folder, ABLATION, rows, shapley=shares, **details)
    write_study(folder, "shapley", shares, **details)
    for line in ("", *in_lines(rows), "", *in_lines(shares)):
        places.say(line)
    places.say(f"low, high: 95 % over clips{' and seeds' if number > 1 else ''}. Tables: {path.parent}")
    return {"rows": rows, "shapley": shares}


def _shares(runs: Mapping[Subset, list[Scored]], modalities: tuple[Modality, ...]) -> list[dict[str, Any]]:
    """A row per modality; the intervals are of draws that all subsets share."""
    order = list(runs)
    first = runs[order[0]][0]
    nothing = first.outcome.nothing(first.metrics)
    drawn = first.outcome.draws([[run.pairs for run in runs[subset]] for subset in order], REPEATS)
    draws = shapley(dict(zip(order, drawn, strict=True)), modalities, nothing)
    means = {s: np.asarray(np.mean([run.score for run in runs[s]])) for s in order}
    shares = shapley(means, modalities, nothing)
    rows = []
    for modality in modalities:
        low, high = interval(draws[modality])
        rows.append({"modality": modality, "shapley": float(shares[modality]), "low": low, "high": high})
    return rows
