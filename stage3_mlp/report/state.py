"""What there is of a run, in whatever state it is, and what is missing, in sentences with their cures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.artefacts import RECORD
from common.curves import Rows
from common.errors import CacheError, MavenError, UsageError
from common.history import history_so_far, unfinished
from common.manifest import MANIFEST, Manifest, read_manifest
from common.outside_text import json_of, yaml_of
from stage3_mlp.outcome import outcome_of
from stage3_mlp.report.studied import MISSING, Study, of_this_model, read_studies
from stage3_mlp.test import TEST, scored_clips, scoring_of
from stage3_mlp.train import FUSED, HEAD
from stage3_mlp.trained import FUSION, check_exported

#: A trained part of a run: its folder, its name in a sentence, the command that trains it.
_PARTS = ((FUSION, "stage 2", "make train-beit"), (HEAD, "stage 3", "make train-mlp"))


@dataclass(frozen=True)
class State:
    """A run as it is.

    Attributes
    ----------
    missing : a sentence for each thing that is not there, or not up to date
    manifest : None where stage 1 has not come to its end
    histories : a stage's name to its rows so far, one per epoch
    metrics : what metrics.json holds, also where it is of an earlier state of the run; None where there is no score
    recipe : as JSON values; empty where there is none
    """

    run: Path
    missing: list[str]
    manifest: Manifest | None = None
    histories: Mapping[str, Rows] = field(default_factory=dict)
    studies: list[Study] = field(default_factory=list)
    metrics: dict[str, Any] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)


def state_of(run: Path, cache: Path) -> State:
    """Look at a run; nothing in it is changed, and no model is loaded.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    if not run.is_dir():
        raise UsageError(f"There is no run in {run}.", "Name the folder of a run, or make one with `make embeddings`.")
    missing: list[str] = []
    manifest = _manifest(run, cache, missing)
    recipe = _recipe(run)
    histories: Mapping[str, Rows] = {}
    try:
        histories = history_so_far(run)
    except CacheError as error:
        missing.append(str(error))
    trained = [_is_trained(run, *part, missing) for part in _PARTS]
    exported = trained[0] and manifest is not None and _is_exported(run, manifest, missing)
    metrics = _metrics(run, missing)
    current = False
    if all(trained) and exported:
        current = _is_scored(run, metrics, missing)
    else:
        missing.append("There is no score of the run as it is: `make test` does all that it needs, and scores.")
    studies = read_studies(run, recipe) if manifest is not None else []
    if metrics is not None and current:
        studies = of_this_model(studies, outcome_of(metrics.get("classes", [])).row(metrics))
    else:
        studies = _without_withheld(studies, missing)
    return State(run, missing, manifest, histories, studies, metrics, recipe)


def _manifest(run: Path, cache: Path, missing: list[str]) -> Manifest | None:
    try:
        manifest = read_manifest(run)
    except CacheError as error:
        there = (run / MANIFEST).is_file()
        missing.append(str(error) if there else "Stage 1 has not come to its end: `make embeddings` goes on with it.")
        return None
    if manifest.failures:
        every = len(manifest.clips) + len(manifest.failures)
        missing.append(f"{len(manifest.failures)} of {every} clips could not be done; the reasons are below.")
    if manifest.clips and not (cache / manifest.folder).is_dir():
        missing.append(f"The features are not in {cache / manifest.folder}: `make embeddings` computes them again.")
    for split, what in (("train", "train on"), ("validation", "select epochs on")):
        if not any(clip.labelled for clip in manifest.clips if clip.split == split):
            missing.append(f"There is no labelled {split} clip, so there is nothing to {what}.")
    try:
        scored_clips(manifest)
    except MavenError as error:
        missing.append(str(error))
    return manifest


def _recipe(run: Path) -> dict[str, Any]:
    """That of the head, which is scored; else the one that stage 1 was done with."""
    try:
        found = json_of((run / HEAD / RECORD).read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        try:
            found = yaml_of((run / "recipe.yaml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
    return found if isinstance(found, dict) else {}


def _is_trained(run: Path, part: str, name: str, command: str, missing: list[str]) -> bool:
    """Is there a model? One that is being trained, or whose training was stopped, is said besides."""
    record = run / part / RECORD
    trained = record.is_file()
    ended = _fingerprint(record) if trained else None
    latest = unfinished(run, part, ended)
    if latest is not None:
        missing.append(
            f"The training of {name} was stopped, or is going on, after epoch {round(latest.get('epoch') or 0)} of at "
            f"most {latest.get('num_train_epochs', '?')}: `{command}` goes on from there."
        )
    elif not trained:
        missing.append(f"{name.capitalize()} is not trained: `{command}` does it.")
    return trained


def _fingerprint(record: Path) -> str | None:
    try:
        found = json_of(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found.get("fingerprint") if isinstance(found, dict) else None


def _is_exported(run: Path, manifest: Manifest, missing: list[str]) -> bool:
    """Are the refined features there, and of the features and the fusion of now?"""
    command = "`make train-beit`"
    try:
        fused = read_manifest(run / FUSED)
    except CacheError:
        missing.append(f"The refined features of stage 2 are not exported: {command} does it.")
        return False
    if [(clip.id, clip.split) for clip in fused.clips] != [(clip.id, clip.split) for clip in manifest.clips]:
        missing.append(f"The refined features are of other clips than those of stage 1: {command} makes them anew.")
        return False
    try:
        check_exported(run)
    except CacheError as error:
        missing.append(str(error))
        return False
    return True


def _metrics(run: Path, missing: list[str]) -> dict[str, Any] | None:
    path = run / TEST / "metrics.json"
    if not path.is_file():
        return None
    try:
        metrics: dict[str, Any] = json_of(path.read_text(encoding="utf-8"))
        outcome = outcome_of(metrics.get("classes", []))
        outcome.row(metrics), outcome.interval(metrics)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        missing.append(f"{path} is not as this version writes it: `make test` writes it anew.")
        return None
    return metrics


def _is_scored(run: Path, metrics: dict[str, Any] | None, missing: list[str]) -> bool:
    """Is there a score, and is it of the head, the clips and the studies of now?"""
    try:
        known = scoring_of(run).known()
    except MavenError as error:
        missing.append(str(error))
        return False
    if known is None and metrics is None:
        missing.append("The run is trained but not scored: `make test` scores it.")
    elif known is None:
        missing.append(
            "The score is of an earlier state of the run, or from before a study: `make test` makes it anew."
        )
    return known is not None


def _without_withheld(studies: list[Study], missing: list[str]) -> list[Study]:
    """The studies without that of withheld modalities: only a score tells whether it is of this model."""
    if any(study.kind == MISSING and not study.outdated for study in studies):
        missing.append(
            f"The study in {MISSING}/ is not shown: without a score of the run as it is, it can't be told whether it "
            "is about this model. `make test` scores it."
        )
    return [study for study in studies if study.kind != MISSING or study.outdated]
