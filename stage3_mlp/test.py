"""Score a trained head on a split it has not seen: predictions, metrics, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.artefacts import load_trained, read_record
from common.errors import DataError
from common.files import write_json
from common.manifest import CachedClip, Manifest, check_splits, read_manifest
from common.provenance import provenance
from common.recipe import Recipe, fingerprint
from common.schema import Split
from stage3_mlp.ledger import scored_before
from stage3_mlp.predictions import ClipPrediction, predict_clip, write_predictions
from stage3_mlp.scoring import figures, references
from stage3_mlp.smoothing import smoother_of
from stage3_mlp.train import FUSED, HEAD, MADE_BY

#: Raise when the same head would be scored or reported otherwise.
CODE_VERSION = 2

Say = Callable[[str], None]


def test(cache: Path, run: Path, device: str, say: Say) -> dict[str, Any]:
    """Score a run and write ``run/test/{predictions.csv, metrics.json, report.html}``.

    The test split is scored; where it has no labels (Aff-Wild2's are not public), the validation split is, and every
    output says that the epochs were selected on it.

    Returns
    -------
    dict
        What metrics.json holds.
    """
    manifest = read_manifest(run / FUSED)
    record = read_record(run / HEAD, made_by=MADE_BY)
    check_splits(manifest)
    split, clips, remarks = scored_clips(manifest)
    model = fingerprint("scored", record["weights_sha256"], asdict(smoother_of(record)))
    key = fingerprint("test", CODE_VERSION, model, split, [(c.id, c.content) for c in clips])
    folder = run / "test"
    known = _known(folder, key)
    if known is not None:
        say(f"Stage 3: {folder} holds the score of this head on these clips; nothing to do, no model loaded.")
        _table(known, folder, say)
        return known
    predictions = predict_clips(run / HEAD, cache, manifest, clips, device)
    metrics = _metrics(run, cache, split, manifest, record, predictions)
    if split == "test":
        remarks += _seen_before(scored_before(cache, clips, model, run.name))
    metrics |= {"remarks": [*manifest.remarks, *remarks], "fingerprint": key}
    write_predictions(folder / "predictions.csv", predictions)
    _report(run, folder, metrics, predictions, record)
    write_json(folder / "metrics.json", metrics)  # last: it says that the others are complete
    _table(metrics, folder, say)
    return metrics


def predict_clips(
    head_folder: Path, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], device: str
) -> list[ClipPrediction]:
    """Predictions of the head in ``head_folder`` for each clip of a fused manifest, smoothed as it says."""
    from stage3_mlp.head import PolarHead

    record = read_record(head_folder, made_by=MADE_BY)
    pool_frames = Recipe.model_validate(record["recipe"]).stage3.head.pool_frames
    smoother = smoother_of(record)
    head = load_trained(PolarHead, head_folder, device, made_by=MADE_BY)
    return [smoother.over(predict_clip(head, cache, manifest, clip, pool_frames)) for clip in clips]


def scored_predictions(cache: Path, run: Path, device: str) -> list[ClipPrediction]:
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


def _metrics(
    run: Path,
    cache: Path,
    split: Split,
    manifest: Manifest,
    record: dict[str, Any],
    predictions: Sequence[ClipPrediction],
) -> dict[str, Any]:
    return {
        "run": run.name,
        "split": split,
        **figures(predictions, record["seed"]),
        "references": references(cache, manifest, predictions),
        "smoothing": {**record["smoothing"], "text": str(smoother_of(record))},
        "seed": record["seed"],
        "data": manifest.data,
        "data_kind": manifest.data_kind,
        "recipe": record["recipe"],
        "provenance": provenance(),
    }


def _seen_before(others: int) -> list[str]:
    if not others:
        return []
    return [
        f"These test clips have been scored with {others} other model{'s' if others > 1 else ''} from this cache; "
        "the best of several is selected on test, and its score is too good."
    ]


def _report(
    run: Path, folder: Path, metrics: dict[str, Any], predictions: Sequence[ClipPrediction], record: dict[str, Any]
) -> None:
    from stage3_mlp.report import write_test_report

    fusion = read_record(run / "fusion", made_by="make train-beit")
    histories = {"Stage 2": fusion["history"], "Stage 3": record["history"]}
    write_test_report(folder / "report.html", metrics=metrics, predictions=predictions, histories=histories)


def _known(folder: Path, key: str) -> dict[str, Any] | None:
    try:
        metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = all((folder / name).is_file() for name in ("predictions.csv", "report.html"))
    return metrics if whole and metrics.get("fingerprint") == key else None


def _table(metrics: dict[str, Any], folder: Path, say: Say) -> None:
    intervals = metrics["intervals"]
    say("")
    say(f"{metrics['split']} split, {metrics['clips']} clips, {metrics['frames']} frames")
    say("            CCC   95 % interval      RMSE   Pearson")
    for axis in ("valence", "arousal"):
        say(
            f"{axis:9}{_number(metrics['ccc'][axis])}   {_interval(intervals[f'ccc_{axis}'])}   "
            f"{_number(metrics['rmse'][axis])}   {_number(metrics['pearson'][axis])}"
        )
    say(f"{'mean':9}{_number(metrics['ccc']['mean'])}   {_interval(intervals['ccc_mean'])}")
    if metrics["ccc_unsmoothed"]:
        say(f"  without smoothing ({metrics['smoothing']['text']}): {metrics['ccc_unsmoothed']['mean']:.4f}")
    for row in metrics["references"]:
        say(f"  beside it, {row['name']}: {row['mean']:.4f}")
    for remark in metrics["remarks"]:
        say(f"Note: {remark}")
    say(f"Report: {folder / 'report.html'}")


def _number(value: float | None) -> str:
    return "      -" if value is None or value != value else f"{value:7.4f}"


def _interval(values: Sequence[float | None]) -> str:
    low, high = values
    return f"[{_number(low).strip()}, {_number(high).strip()}]".ljust(17)
