"""Predictions for clips that need no labels: valence and arousal of frames, or emotion classes of utterances."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from common.artefacts import read_record
from common.errors import DataError
from common.manifest import Manifest, read_manifest
from common.polar import quadrant
from common.provenance import provenance
from stage3_mlp.outcome import outcome_of
from stage3_mlp.predictions import ClipPrediction
from stage3_mlp.train import FUSED, MADE_BY


def predict(head: Path, cache: Path, run: Path, device: str, say: Callable[[str], None]) -> Path:
    """Predict all clips of a run with a trained head.

    Parameters
    ----------
    head : Path
        Folder of a trained head, of this run or of another.
    cache, run : Path
        Where the refined features and their manifest are.

    Returns
    -------
    Path
        ``run/predictions.csv``; beside it one ``<clip>.html`` per video.
    """
    manifest = read_manifest(run / FUSED)
    if not manifest.clips:
        raise DataError(f"{manifest.data} has no clip that could be done.", "See the reasons above.")
    record = read_record(head, made_by=MADE_BY)
    classes = record.get("classes", [])  # an earlier version knew none
    if manifest.classes and list(manifest.classes) != classes:
        raise DataError(
            f"{head} tells {', '.join(classes) or 'valence and arousal'} apart; {manifest.data} is labelled with "
            f"{', '.join(manifest.classes)}.",
            "Name the same classes in the same order in its table.yaml, or leave the labels out.",
        )
    outcome = outcome_of(classes)
    predictions = outcome.predict(head, cache, manifest, manifest.clips, device)
    path = run / "predictions.csv"
    rows = outcome.write_predictions(path, predictions)
    if not classes:
        _pages(run, predictions, manifest, say)
    for remark in manifest.remarks:
        say(f"Note: {remark}")
    say(f"Predictions: {path} ({rows} rows)")
    return path


def _pages(run: Path, predictions: list[ClipPrediction], manifest: Manifest, say: Callable[[str], None]) -> None:
    from stage3_mlp.report import write_prediction_report

    for prediction in predictions:
        page = run / ("report.html" if len(predictions) == 1 else f"{prediction.clip}.html")
        write_prediction_report(
            page, title=prediction.clip, prediction=prediction, remarks=manifest.remarks, provenance=provenance()
        )
        say(f"{prediction.clip}: {_in_words(prediction)}; {page}")


def _in_words(prediction: ClipPrediction) -> str:
    frames, seen = len(prediction.time_s), prediction.anything
    if not seen.any():
        return f"{frames} frames without a face, sound or words: nothing to predict from"
    valence, arousal = (float(value) for value in prediction.values[seen].mean(axis=0))
    nothing = f", {frames - seen.sum()} of them with nothing behind them" if not seen.all() else ""
    return (
        f"{frames} frames{nothing}, mean valence {valence:+.3f}, mean arousal {arousal:+.3f} "
        f"({quadrant(valence, arousal)})"
    )
