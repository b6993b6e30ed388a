"""K folds over training and validation, and their ensemble: every clip trains, every clip selects, none does both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import DataError
from common.manifest import CachedClip, Manifest, read_manifest
from common.recipe import Recipe
from common.schema import Split
from common.splits import check_splits
from stage3_mlp.report.studied import FOLDS
from studies.chain import Places, Scored, train_and_score
from studies.together import score_together


def fold_of(clips: Sequence[CachedClip], folds: int, *, rows: str = "frames") -> dict[str, int]:
    """Deal clips over folds of nearly equal numbers of frames; the people of one video stay together.

    The longest go first, each to the fold with the fewest frames; the same clips are dealt alike on every machine.
    A dialogue, or a sentence, is a source of its own; dialogues that are the same stay together.

    Raises
    ------
    DataError
        If there are fewer sources than folds.
    """
    sources: dict[str, list[CachedClip]] = {}
    for clip in clips:
        sources.setdefault(clip.source if rows == "frames" else clip.video or clip.id, []).append(clip)
    if len(sources) < folds:
        raise DataError(f"{len(sources)} labelled videos can't be dealt over {folds} folds.", "Set folds lower.")

    def order(source: str) -> tuple[int, str]:
        ids = ",".join(sorted(clip.id for clip in sources[source]))
        return -sum(clip.frames for clip in sources[source]), hashlib.sha256(ids.encode()).hexdigest()

    sizes = [0] * folds
    dealt: dict[str, int] = {}
    for source in sorted(sources, key=order):
        fold = int(np.argmin(sizes))
        sizes[fold] += sum(clip.frames for clip in sources[source])
        dealt |= {clip.id: fold for clip in sources[source]}
    return dealt


def fold_manifest(manifest: Manifest, dealt: dict[str, int], fold: int) -> Manifest:
    """The manifest with the clips of ``fold`` as validation and all others of training and validation as training."""

    def split(clip: CachedClip) -> Split:
        if clip.id not in dealt:
            return clip.split
        return "validation" if dealt[clip.id] == fold else "train"

    return replace(manifest, clips=tuple(replace(clip, split=split(clip)) for clip in manifest.clips))


def train_folds(
    recipe: Recipe, manifest: Manifest, folder: Path, places: Places
) -> tuple[list[Scored], list[Any], dict[str, int]]:
    """Train ``folder/<fold>`` for each fold; the runs, their ensemble on the test split, and which clip was in which.

    Raises
    ------
    DataError
        If the test split has no labels: validation clips were trained on, and can't give a score.
    """
    check_splits(manifest)
    if not any(clip.labelled for clip in manifest.of("test")):
        raise DataError(
            f"{manifest.data} has no labelled test clip.",
            "Folds train on the validation clips as well, so only a test split can score their ensemble.",
        )
    labelled = [clip for clip in manifest.of("train", "validation") if clip.labelled]
    dealt = fold_of(labelled, recipe.folds, rows=manifest.rows)
    runs = []
    for fold in range(recipe.folds):
        runs.append(train_and_score(recipe, fold_manifest(manifest, dealt, fold), folder / str(fold), places))
        places.say(f"  fold {fold}: {runs[-1].outcome.title} {runs[-1].score:.4f}")
    predictions = [runs[0].outcome.ensemble(clip) for clip in zip(*(run.predictions for run in runs), strict=True)]
    return runs, predictions, dealt


def study_folds(recipe: Recipe, places: Places) -> dict[str, Any]:
    """Train a run per fold, each selected on its own fold, and score their ensemble on the test split.

    Writes ``run/folds/{folds.csv, folds.json, predictions.csv, metrics.json}``. Errors as in `train_folds`.
    """
    manifest, folder = read_manifest(places.run), places.run / FOLDS
    places.say(f"Folds: {recipe.name}, {recipe.folds} trainings")
    runs, predictions, dealt = train_folds(recipe, manifest, folder, places)
    by_name = {str(fold): run for fold, run in enumerate(runs)}
    return score_together(
        folder, by_name, predictions, recipe, places, column="fold", together="ensemble", split="test", folds=dealt
    )
