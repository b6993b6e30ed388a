"""Score a trained head on a split it has not seen: predictions, metrics, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.artefacts import load_trained, read_record
from common.errors import DataError
from common.files import write_json
from common.manifest import CachedClip, Manifest, read_manifest
from common.metrics import Score, bootstrap_over_clips, score
from common.provenance import provenance
from common.recipe import Recipe, fingerprint
from common.schema import Split
from stage3_mlp.predictions import ClipPrediction, predict_clip, write_predictions
from stage3_mlp.train import FUSED, HEAD, MADE_BY

#: Raise when the same head would be scored or reported otherwise.
CODE_VERSION = 1

#: Pooled CCC (valence, arousal, mean) on Aff-Wild2 as published, shown beside scores on Aff-Wild2 only.
PUBLISHED = (
    ("ResNet-50 baseline, validation, as published", 0.24, 0.20, 0.22),
    ("MAVEN, as published", 0.3068, 0.3054, 0.3061),
)

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
    split, clips, remarks = _scored_clips(manifest)
    key = fingerprint("test", CODE_VERSION, record["weights_sha256"], split, [(c.id, c.content) for c in clips])
    folder = run / "test"
    known = _known(folder, key)
    if known is not None:
        say(f"Stage 3: {folder} holds the score of this head on these clips; nothing to do, no model loaded.")
        _table(known, folder, say)
        return known
    predictions = predict_clips(run / HEAD, cache, manifest, clips, device)
    metrics = _metrics(run, split, manifest, record, predictions)
    metrics |= {"remarks": [*manifest.remarks, *remarks], "fingerprint": key}
    write_predictions(folder / "predictions.csv", predictions)
    _report(run, folder, metrics, predictions, record)
    write_json(folder / "metrics.json", metrics)  # last: it says that the others are complete
    _table(metrics, folder, say)
    return metrics


def predict_clips(
    head_folder: Path, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], device: str
) -> list[ClipPrediction]:
    """Predictions of the head in ``head_folder`` for each clip of a fused manifest."""
    from stage3_mlp.head import PolarHead

    record = read_record(head_folder, made_by=MADE_BY)
    pool_frames = Recipe.model_validate(record["recipe"]).stage3.head.pool_frames
    head = load_trained(PolarHead, head_folder, device, made_by=MADE_BY)
    return [predict_clip(head, cache, manifest, clip, pool_frames) for clip in clips]


def _scored_clips(manifest: Manifest) -> tuple[Split, list[CachedClip], list[str]]:
    for split, remark in (
        ("test", []),
        ("validation", ["There are no test labels: this is the validation split, on which epochs were selected."]),
    ):
        clips = [clip for clip in manifest.of(split) if clip.labelled]  # type: ignore[arg-type]
        if clips:
            return split, clips, remark  # type: ignore[return-value]
    raise DataError(f"{manifest.data} has no labelled test or validation clip.", "A score needs labels.")


def _metrics(
    run: Path, split: Split, manifest: Manifest, record: dict[str, Any], predictions: Sequence[ClipPrediction]
) -> dict[str, Any]:
    pairs = [(prediction.values, prediction.labels) for prediction in predictions]
    pooled = score(pairs)
    intervals = bootstrap_over_clips(pairs, seed=record["seed"])
    return {
        "run": run.name,
        "split": split,
        "ccc": {"valence": pooled.ccc_valence, "arousal": pooled.ccc_arousal, "mean": pooled.ccc_mean},
        "intervals": {name: list(interval) for name, interval in intervals.items()},
        **{
            name: {axis: getattr(pooled, f"{name}_{axis}") for axis in ("valence", "arousal")}
            for name in ("rmse", "pearson", "sign_agreement")
        },
        "frames": pooled.frames,
        "clips": pooled.clips,
        "per_clip": [_row(p.clip, score([pair])) for p, pair in zip(predictions, pairs, strict=True)],
        "references": _references(manifest, predictions),
        "seed": record["seed"],
        "data": manifest.data,
        "data_kind": manifest.data_kind,
        "recipe": record["recipe"],
        "provenance": provenance(),
    }


def _row(clip: str, figures: Score) -> dict[str, Any]:
    return {
        "clip": clip,
        "frames": figures.frames,
        "ccc_valence": figures.ccc_valence,
        "ccc_arousal": figures.ccc_arousal,
        "ccc_mean": figures.ccc_mean,
    }


def _references(manifest: Manifest, predictions: Sequence[ClipPrediction]) -> list[dict[str, Any]]:
    """What a score is to be held against: a constant, whose CCC is 0 by definition, and published figures."""
    zero = [(np.zeros_like(p.labels), p.labels) for p in predictions]
    constant = score(zero)
    rows = [("always (0, 0)", constant.ccc_valence, constant.ccc_arousal, constant.ccc_mean)]
    if manifest.data_kind == "affwild2":
        rows += PUBLISHED
    return [dict(zip(("name", "valence", "arousal", "mean"), row, strict=True)) for row in rows]


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
    for remark in metrics["remarks"]:
        say(f"Note: {remark}")
    say(f"Report: {folder / 'report.html'}")


def _number(value: float | None) -> str:
    return "      -" if value is None or value != value else f"{value:7.4f}"


def _interval(values: Sequence[float | None]) -> str:
    low, high = values
    return f"[{_number(low).strip()}, {_number(high).strip()}]".ljust(17)
