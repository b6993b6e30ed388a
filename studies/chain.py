"""One run inside a study: stages 2 and 3 over features that are there, trained and scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.manifest import Manifest, write_manifest
from common.recipe import Recipe
from common.versions import code_versions
from stage2_beit.export import export
from stage2_beit.train import FUSION
from stage2_beit.train import train as train_fusion
from stage3_mlp.outcome import Outcome, outcome_of
from stage3_mlp.test import scored_predictions
from stage3_mlp.test import test as score_run
from stage3_mlp.train import train as train_head

Say = Callable[[str], None]


@dataclass(frozen=True)
class Places:
    """Where a study works: ``run`` is the run it belongs to; what its trainings say goes to ``detail``."""

    cache: Path
    run: Path
    device: str
    say: Say
    detail: Say = lambda text: None


def notes(manifest: Manifest, places: Places) -> dict[str, Any]:
    """Say what must be said of a data set beside every figure; give it and the code's versions for a study's files."""
    for remark in manifest.remarks:
        places.say(f"Note: {remark}")
    return {
        "data": manifest.data,
        "protocol": manifest.protocol,
        "remarks": list(manifest.remarks),
        "code_versions": code_versions(),
    }


@dataclass(frozen=True)
class Scored:
    """A trained run: what metrics.json holds, and the predictions behind it."""

    run: Path
    outcome: Outcome
    metrics: dict[str, Any]
    predictions: list[Any]

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        """Per clip predictions and labels, as the metrics take them."""
        return [self.outcome.pair(prediction) for prediction in self.predictions]

    @property
    def row(self) -> dict[str, float]:
        """The figures of its score."""
        return self.outcome.row(self.metrics)

    @property
    def score(self) -> float:
        """The figure that counts."""
        return self.row[self.outcome.figures[-1]]


def train_and_score(recipe: Recipe, manifest: Manifest, run: Path, places: Places) -> Scored:
    """Train stages 2 and 3 on a manifest's features, as ``make test`` does, and score the result.

    What is there already is not done again: each stage asks for itself.

    Parameters
    ----------
    recipe : its stage 1 is not used: the features are those of ``manifest``
    run : Path
        Folder of this run, below that of the study.
    """
    cache, device, detail = places.cache, places.device, places.detail
    write_manifest(run, manifest)
    train_fusion(recipe, cache, run, device, detail)
    export(run / FUSION, cache, run, device, detail)
    train_head(recipe, cache, run, device, detail)
    metrics = score_run(cache, run, device, detail, pages="none")
    return Scored(run, outcome_of(manifest.classes), metrics, scored_predictions(cache, run, device))
