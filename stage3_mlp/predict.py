"""Valence and arousal for every frame of videos that need no labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from common.artefacts import read_record
from common.errors import DataError
from common.manifest import read_manifest
from common.polar import quadrant
from common.provenance import provenance
from stage3_mlp.predictions import ClipPrediction, write_predictions
from stage3_mlp.test import predict_clips
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
        ``run/predictions.csv``; beside it one ``<clip>.html`` per clip.
    """
    manifest = read_manifest(run / FUSED)
    if not manifest.clips:
        raise DataError(f"{manifest.data} has no clip that could be done.", "See the reasons above.")
    read_record(head, made_by=MADE_BY)
    predictions = predict_clips(head, cache, manifest, manifest.clips, device)
    from stage3_mlp.report import write_prediction_report

    path = run / "predictions.csv"
    rows = write_predictions(path, predictions)
    for prediction in predictions:
        page = run / ("report.html" if len(predictions) == 1 else f"{prediction.clip}.html")
        write_prediction_report(
            page, title=prediction.clip, prediction=prediction, remarks=manifest.remarks, provenance=provenance()
        )
        say(f"{prediction.clip}: {_in_words(prediction)}; {page}")
    for remark in manifest.remarks:
        say(f"Note: {remark}")
    say(f"Predictions: {path} ({rows} rows)")
    return path


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
