"""Reports as single HTML files that need no network: the score of a run, and the predictions of one clip."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from common.errors import DataError
from common.metrics import AXES, ccc
from common.polar import QUADRANTS, quadrant
from common.schema import Modality
from common.timeline import frame_edges_s, frame_rate_hz
from stage3_mlp.page import Cell, interval, known, number, write_page
from stage3_mlp.pictures import (
    Cloud,
    angle_distribution,
    circumplex_density,
    circumplex_path,
    clip_timeline,
    intensity_distribution,
    training_curves,
)
from stage3_mlp.predictions import ClipPrediction

TEMPLATE = "report.html.j2"

#: A timeline's size in CSS pixels: beside others or on a phone, and across a page.
NARROW_PX = (400, 400)
WIDE_PX = (1000, 420)

#: In words: nothing there at all, and the start of "... on n of m frames".
_PRESENCE: dict[Modality, tuple[str, str]] = {
    "visual": ("No face was found on any frame.", "A face was found"),
    "audio": ("There is no sound.", "Sound is there"),
    "text": ("There are no words.", "Words are there"),
}


def write_test_report(
    path: Path,
    *,
    metrics: dict[str, Any],
    predictions: Sequence[ClipPrediction],
    histories: dict[str, list[dict[str, float]]],
) -> None:
    """Write the score of a run: figures, distributions, timelines, training curves, settings.

    Parameters
    ----------
    path : of the HTML file, written whole
    metrics : what ``metrics.json`` holds; a figure that is None or NaN is shown as a dash with its reason
    predictions : of the clips in ``metrics["per_clip"]``, at least one
    histories : a stage's name to its rows, one per epoch

    Raises
    ------
    DataError
        If there is no prediction, one isn't shaped as it should be, or clips differ from those in ``metrics``.
    """
    _check(predictions)
    by_clip = {prediction.clip: prediction for prediction in predictions}
    if by_clip.keys() != {row["clip"] for row in metrics["per_clip"]}:
        raise DataError(
            f"The metrics of run {metrics['run']!r} and its predictions are of different clips.",
            "Score the run again with `make test`.",
        )
    clouds = _clouds(predictions)
    distributions = [*circumplex_density(clouds), angle_distribution(clouds), intensity_distribution(clouds)]
    timelines = [
        {"name": name, "clip": row["clip"], "ccc": _concordances(row), "picture": clip_timeline(clip, *NARROW_PX)}
        for name, row in _chosen(metrics["per_clip"])
        for clip in [by_clip[row["clip"]]]
    ]
    test = {
        "metrics": metrics,
        "scores": _scores(metrics),
        "distributions": distributions,
        "labelled": len(clouds) > 1,
        "timelines": timelines,
        "histories": {stage: (_best_epoch(rows), training_curves(rows)) for stage, rows in histories.items()},
        "per_clip": [(row["clip"], row["frames"], _concordances(row)) for row in metrics["per_clip"]],
        "recipe": yaml.safe_dump(metrics["recipe"], sort_keys=False, allow_unicode=True),
    }
    _write(path, test=test, remarks=metrics["remarks"], provenance=metrics["provenance"])


def write_prediction_report(
    path: Path, *, title: str, prediction: ClipPrediction, remarks: Sequence[str], provenance: dict[str, Any]
) -> None:
    """Write what was predicted for one clip, labelled or not.

    Parameters
    ----------
    path : of the HTML file, written whole
    title : heading of the page
    remarks : sentences that every output of the run repeats

    Raises
    ------
    DataError
        If the prediction isn't shaped as it should be, or isn't finite where there is a label.
    """
    _check([prediction])
    finite = np.asarray(np.isfinite(prediction.values).all(axis=1))
    mean = prediction.values[finite].mean(axis=0, dtype=np.float64) if finite.any() else np.full(2, np.nan)
    edges = frame_edges_s(prediction.time_s)
    clip = {
        "title": title,
        "prediction": prediction,
        "duration_s": float(edges[-1] - edges[0]),
        "rate_hz": frame_rate_hz(prediction.time_s),
        "lost": int((~finite).sum()),
        "mean": [number(value, "no prediction is a finite number", "+.3f") for value in mean.tolist()],
        "quadrant": quadrant(*mean.tolist()),
        "shares": _shares_of_time(prediction, finite, np.diff(edges)),
        "presence": _presence(prediction),
        "labels": _agreement(prediction),
        "timelines": [clip_timeline(prediction, *size) for size in (WIDE_PX, NARROW_PX)],
        "path": circumplex_path(prediction) if finite.any() else None,
    }
    _write(path, clip=clip, remarks=remarks, provenance=provenance)


def _write(path: Path, **context: Any) -> None:
    write_page(path, TEMPLATE, {"test": None, "clip": None, **context})


def _check(predictions: Sequence[ClipPrediction]) -> None:
    if not predictions:
        raise DataError("There is no prediction to report.", "Score or predict at least one clip.")
    for prediction in predictions:
        frames = len(prediction.time_s)
        shapes = {prediction.values.shape, prediction.labels.shape}
        masks = {len(mask) for mask in prediction.present.values()}
        if frames == 0 or shapes != {(frames, 2)} or masks != {frames}:
            raise DataError(
                f"Clip {prediction.clip!r} has {frames} frame times, values and labels of shape {sorted(shapes)} and "
                f"masks of length {sorted(masks)}.",
                "A clip of T >= 1 frames has values and labels (T, 2) and masks (T,).",
            )


def _clouds(predictions: Sequence[ClipPrediction]) -> list[Cloud]:
    """Predicted and true points of all annotated frames; where there are none, the predicted of all frames."""
    predicted, true = (np.concatenate([getattr(p, name) for p in predictions]) for name in ("values", "labels"))
    finite = np.isfinite(predicted).all(axis=1)
    annotated = finite & np.isfinite(true).all(axis=1)
    if annotated.any():
        return [("predicted", predicted[annotated]), ("true", true[annotated])]
    if finite.any():
        return [("predicted", predicted[finite])]
    raise DataError("Not one prediction is a finite number.", "Look for where the features or the head lost them.")


def _chosen(rows: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The best, the median and the worst clip by the mean CCC, as far as there are so many."""
    ranked = sorted((row for row in rows if known(row["ccc_mean"])), key=lambda row: -row["ccc_mean"])
    if not ranked:
        return [("First clip; none has a CCC", rows[0])]
    if len(ranked) == 1:
        return [("The only clip with a CCC", ranked[0])]
    best, worst = ("Best clip", ranked[0]), ("Worst clip", ranked[-1])
    return [best, worst] if len(ranked) == 2 else [best, ("Median clip", ranked[len(ranked) // 2]), worst]


def _scores(metrics: dict[str, Any]) -> list[tuple[str, list[Cell]]]:
    """Rows of the score table: a name, then valence, arousal and mean."""
    why = _why_no_ccc(metrics["frames"])
    columns = (*AXES, "mean")
    few = "fewer than two clips have labels" if metrics["clips"] < 2 else "no draw of clips has a CCC"
    rows = [
        ("CCC", [number(metrics["ccc"][name], why) for name in columns]),
        ("95\N{NO-BREAK SPACE}% interval", [interval(metrics["intervals"][f"ccc_{name}"], few) for name in columns]),
    ]
    if before := metrics["ccc_unsmoothed"]:
        name = f"CCC without smoothing ({metrics['smoothing']['text']})"
        rows.append((name, [number(before[column], why) for column in columns]))
    for reference in metrics["references"]:
        rows.append((f"CCC of: {reference['name']}", [number(reference[name], why) for name in columns]))
    per_axis = Cell("", "given for each axis only")
    varies = "the predictions or the labels do not vary"
    for name, key, pattern, reason in (
        ("RMSE", "rmse", ".3f", why),
        ("Pearson’s r", "pearson", ".3f", varies if metrics["frames"] > 1 else why),
        ("Sign agreement", "sign_agreement", ".0%", why),
    ):
        rows.append((name, [*(number(metrics[key][axis], reason, pattern) for axis in AXES), per_axis]))
        if key == "rmse":
            rows += [
                (f"RMSE of: {reference['name']}", [*(number(value, why) for value in reference["rmse"]), per_axis])
                for reference in metrics["references"]
                if "rmse" in reference
            ]
    return rows


def _concordances(row: dict[str, Any]) -> list[Cell]:
    return [number(row[f"ccc_{name}"], _why_no_ccc(row["frames"])) for name in (*AXES, "mean")]


def _why_no_ccc(frames: int) -> str:
    return "fewer than two frames are annotated" if frames < 2 else "neither predictions nor labels vary"


def _best_epoch(rows: Sequence[dict[str, float]]) -> dict[str, Any] | None:
    scored = [row for row in rows if known(row.get("eval_ccc_mean"))]
    if not scored:
        return None
    best = max(scored, key=lambda row: row["eval_ccc_mean"])
    return {"epoch": round(best["epoch"]), "ccc": number(best["eval_ccc_mean"], "").text, "epochs": len(rows)}


def _shares_of_time(
    prediction: ClipPrediction, finite: npt.NDArray[np.bool_], durations_s: npt.NDArray[np.float64]
) -> list[tuple[str, float]]:
    """Percent of the time in each quadrant, in their order, then what else there is."""
    total: dict[str, float] = defaultdict(float, dict.fromkeys(QUADRANTS, 0.0))
    for point, duration_s in zip(prediction.values[finite].tolist(), durations_s[finite].tolist(), strict=True):
        total[quadrant(*point)] += duration_s
    whole_s = sum(total.values())
    return [(name, 100 * time_s / whole_s) for name, time_s in total.items()] if whole_s else []


def _presence(prediction: ClipPrediction) -> list[tuple[bool, str]]:
    """Per modality: is nothing there at all, and what is there, as a sentence."""
    sentences = []
    for modality, (nothing, something) in _PRESENCE.items():
        mask = prediction.present[modality]
        there, frames = int(mask.sum()), len(mask)
        partly = f"{something} on {there:,} of {frames:,} frames ({math.floor(100 * there / frames)} %)."
        sentence = nothing if not there else f"{something} on every frame." if there == frames else partly
        sentences.append((there == 0, sentence))
    return sentences


def _agreement(prediction: ClipPrediction) -> dict[str, Any] | None:
    """CCC of a labelled clip, and how many of its frames have both labels; None without a label."""
    annotated = int(np.isfinite(prediction.labels).all(axis=1).sum())
    if not np.isfinite(prediction.labels).any():
        return None
    valence, arousal = (ccc(prediction.values[:, column], prediction.labels[:, column]) for column in (0, 1))
    why = _why_no_ccc(annotated)
    return {"frames": annotated, "ccc": [number(value, why) for value in (valence, arousal, (valence + arousal) / 2)]}
