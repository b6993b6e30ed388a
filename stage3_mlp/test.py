"""Score a trained head on a split it has not seen: predictions, metrics, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common.artefacts import read_record
from common.errors import CacheError, DataError
from common.files import write_json
from common.manifest import CachedClip, Manifest, check_splits, read_manifest
from common.provenance import provenance
from common.recipe import Recipe, fingerprint
from common.schema import Split
from stage3_mlp.ledger import scored_before
from stage3_mlp.outcome import Outcome, outcome_of
from stage3_mlp.train import FUSED, HEAD, MADE_BY, head_fingerprint

#: Raise when the same head would be scored or reported otherwise.
CODE_VERSION = 3

#: Which modality gives what, where an ablation of this run has found it out (`python -m studies ablate`).
CONTRIBUTIONS = Path("ablation") / "shapley.json"

Say = Callable[[str], None]


def test(cache: Path, run: Path, device: str, say: Say) -> dict[str, Any]:
    """Score a run and write ``run/test/{predictions.csv, metrics.json, report.html}``; more for emotion classes.

    The test split is scored; where it has no labels (Aff-Wild2's are not public), the validation split is, and every
    output says that the epochs were selected on it.

    Returns
    -------
    dict
        What metrics.json holds.

    Raises
    ------
    CacheError
        If the head was trained on other clips, labels, splits or features than the run has now.
    """
    manifest = read_manifest(run / FUSED)
    record = read_record(run / HEAD, made_by=MADE_BY)
    check_splits(manifest)
    if head_fingerprint(Recipe.model_validate(record["recipe"]), manifest) != record["fingerprint"]:
        raise CacheError(
            f"The head in {run / HEAD} was trained on other clips, labels, splits or features than {manifest.data} has "
            "now: what is scored may have been trained on.",
            f"Run `{MADE_BY}` with this RUN again.",
        )
    outcome = outcome_of(manifest.classes)
    split, clips, remarks = scored_clips(manifest)
    contributions = _contributions(run, record["recipe"]) if manifest.classes else None
    model = fingerprint("scored", record["weights_sha256"], outcome.identity(record))
    key = fingerprint("test", CODE_VERSION, model, split, [(c.id, c.content) for c in clips], contributions)
    folder = run / "test"
    known = _known(folder, key, outcome)
    if known is not None:
        say(f"Stage 3: {folder} holds the score of this head on these clips; nothing to do, no model loaded.")
        _table(outcome, known, folder, say)
        return known
    predictions = outcome.predict(run / HEAD, cache, manifest, clips, device)
    if split == "test":
        remarks += _seen_before(scored_before(cache, clips, model, run.name))
    metrics = {
        "run": run.name,
        "split": split,
        **outcome.metrics(cache, manifest, predictions, record),
        "seed": record["seed"],
        "data": manifest.data,
        "data_kind": manifest.data_kind,
        "recipe": record["recipe"],
        "provenance": provenance(),
        "remarks": list(dict.fromkeys([*record["remarks"], *manifest.remarks, *remarks])),
        "fingerprint": key,
    }
    outcome.write_predictions(folder / "predictions.csv", predictions, manifest.protocol)
    histories = {"Stage 2": read_record(run / "fusion", made_by="make train-beit")["history"]}
    outcome.write_report(
        folder,
        predictions,
        metrics=metrics,
        histories={**histories, "Stage 3": record["history"]},
        cache=cache,
        manifest=manifest,
        contributions=contributions,
    )
    write_json(folder / "metrics.json", metrics)  # last: it says that the others are complete
    _table(outcome, metrics, folder, say)
    return metrics


def predict_clips(
    head_folder: Path, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], device: str
) -> list[Any]:
    """Predictions of the head in ``head_folder`` for each clip of a fused manifest."""
    return outcome_of(manifest.classes).predict(head_folder, cache, manifest, clips, device)


def scored_predictions(cache: Path, run: Path, device: str) -> list[Any]:
    """The predictions that `test` scores, of a trained run."""
    manifest = read_manifest(run / FUSED)
    return predict_clips(run / HEAD, cache, manifest, scored_clips(manifest)[1], device)


def scored_clips(manifest: Manifest) -> tuple[Split, list[CachedClip], list[str]]:
    """The split that is scored, its labelled clips, and what must be said about it.

    Raises
    ------
    DataError
        If neither the test nor the validation split has labels.
    """
    for split, remark in (
        ("test", []),
        ("validation", ["There are no test labels: this is the validation split, on which epochs were selected."]),
    ):
        clips = [clip for clip in manifest.of(split) if clip.labelled]  # type: ignore[arg-type]
        if clips:
            return split, clips, remark  # type: ignore[return-value]
    raise DataError(f"{manifest.data} has no labelled test or validation clip.", "A score needs labels.")


def _seen_before(others: int) -> list[str]:
    if not others:
        return []
    return [
        f"These test clips have been scored with {others} other model{'s' if others > 1 else ''} from this cache; "
        "the best of several is selected on test, and its score is too good."
    ]


def _contributions(run: Path, recipe: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Shapley values of this run's recipe on its clips; those of another recipe, or of earlier clips, are none."""
    path = run / CONTRIBUTIONS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(found, dict) and found.get("recipe") == recipe and found.get("about") == about(read_manifest(run))
    return found["rows"] if same else None


def about(manifest: Manifest) -> str:
    """A fingerprint of a manifest's clips, their splits and contents: what a study was about."""
    return fingerprint("about", manifest.protocol, [(c.id, c.split, c.content) for c in manifest.clips])


def _known(folder: Path, key: str, outcome: Outcome) -> dict[str, Any] | None:
    try:
        metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = all((folder / name).is_file() for name in outcome.files)
    return metrics if whole and metrics.get("fingerprint") == key else None


def _table(outcome: Outcome, metrics: dict[str, Any], folder: Path, say: Say) -> None:
    for line in ("", *outcome.lines(metrics)):
        say(line)
    for remark in metrics["remarks"]:
        say(f"Note: {remark}")
    say(f"Report: {folder / 'report.html'}")
