"""Several runs of one study scored as one: their predictions together, a row of figures each, and one for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.artefacts import read_record
from common.files import write_json
from common.manifest import read_manifest
from common.provenance import provenance
from common.recipe import Recipe
from stage3_mlp.tables import in_lines, write_study
from stage3_mlp.train import FUSED, HEAD, MADE_BY
from studies.chain import Places, Scored, notes


def score_together(
    folder: Path,
    runs: Mapping[str, Scored],
    predictions: Sequence[Any],
    recipe: Recipe,
    places: Places,
    *,
    column: str,
    together: str,
    **details: Any,
) -> dict[str, Any]:
    """Score ``predictions`` and write ``folder/{<folder>.csv, <folder>.json, predictions.csv, metrics.json}``.

    Parameters
    ----------
    runs : by what tells them apart, which the table calls ``column``; ``together`` is the row of all
    predictions : of all runs, put together
    details : further values of metrics.json

    Returns
    -------
    dict
        What metrics.json holds.
    """
    first = next(iter(runs.values()))
    outcome, record = first.outcome, read_record(first.run / HEAD, made_by=MADE_BY)
    manifest = read_manifest(first.run / FUSED)
    noted = notes(manifest, places)
    metrics = {
        "run": places.run.name,
        **noted,
        **outcome.metrics(places.cache, manifest, predictions, record),
        **details,
        "recipe": recipe.model_dump(mode="json"),
        "provenance": provenance(),
    }
    outcome.write_predictions(folder / "predictions.csv", predictions, manifest.protocol)
    write_json(folder / "metrics.json", metrics)
    rows = [{column: name, **run.row} for name, run in runs.items()]
    rows.append({column: together, **outcome.row(metrics)})
    path = write_study(folder, folder.name, rows, **noted)
    for line in in_lines(rows):
        places.say(line)
    low, high = outcome.interval(metrics)
    score = outcome.row(metrics)[outcome.figures[-1]]
    places.say(f"{together}: {outcome.title} {score:.4f}, 95 % [{low:.4f}, {high:.4f}] over clips")
    places.say(f"Table: {path}")
    return metrics
