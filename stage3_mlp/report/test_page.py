"""The page of a test run as a single HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from common.bootstrap import REPEATS
from common.curves import Rows
from common.errors import DataError
from stage3_mlp.page import write_page
from stage3_mlp.predictions import ClipPrediction
from stage3_mlp.report.chosen import chosen_clips
from stage3_mlp.report.histories import shown_histories
from stage3_mlp.report.pictures import (
    Cloud,
    Floats,
    angle_distribution,
    circumplex_density,
    clip_timeline,
    intensity_distribution,
)
from stage3_mlp.report.score_rows import concordances, score_rows
from stage3_mlp.report.studied import Study
from stage3_mlp.report.study_tables import left_out, study_tables

TEMPLATE = "report/test.html.j2"

#: A timeline's size in CSS pixels.
TIMELINE_PX = (400, 400)


def write_test_report(
    path: Path,
    *,
    metrics: dict[str, Any],
    predictions: Sequence[ClipPrediction],
    histories: Mapping[str, Rows],
    labels: Mapping[str, Floats] | None = None,
    studies: Sequence[Study] = (),
    pages: Mapping[str, str] | None = None,
) -> None:
    """Write the score of a run: figures, distributions, studies, timelines, training curves, settings.

    Parameters
    ----------
    path : of the HTML file, written whole
    metrics : what ``metrics.json`` holds; a figure that is None or NaN is shown as a dash with its reason
    predictions : of the clips in ``metrics["per_clip"]``, at least one
    histories : a stage's name to its rows, one per epoch
    labels : a split's name to valence and arousal of its annotated frames, (N, 2), N >= 1
    studies : of this run, shown or left out with a word
    pages : a clip to the URL of its own page, relative to ``path`` and percent-encoded; others have no link

    Raises
    ------
    DataError
        If there is no prediction, one isn't shaped as it should be, or clips differ from those in ``metrics``.
    """
    _check(metrics, predictions)
    pages = pages or {}
    clouds = _clouds(predictions)
    splits = list((labels or {}).items())
    context = {
        "heading": f"Run {metrics['run']}",
        "metrics": metrics,
        "draws": REPEATS,
        "scores": [(not place, *row) for place, row in enumerate(score_rows(metrics))],
        "distributions": [*circumplex_density(clouds), angle_distribution(clouds), intensity_distribution(clouds)],
        "labelled": len(clouds) > 1,
        "splits": [angle_distribution(splits), intensity_distribution(splits)] if splits else [],
        "studies": study_tables(studies),
        "left_out": left_out(studies),
        "timelines": _timelines(metrics["per_clip"], predictions, pages),
        "histories": shown_histories(histories),
        "per_clip": [
            (row["clip"], pages.get(row["clip"], ""), row["frames"], concordances(row)) for row in metrics["per_clip"]
        ],
        "recipe": yaml.safe_dump(metrics["recipe"], sort_keys=False, allow_unicode=True),
        "remarks": metrics["remarks"],
        "provenance": metrics["provenance"],
    }
    write_page(path, TEMPLATE, context)


def _check(metrics: dict[str, Any], predictions: Sequence[ClipPrediction]) -> None:
    if not predictions:
        raise DataError("There is no prediction to report.", "Score at least one clip.")
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
    if {prediction.clip for prediction in predictions} != {row["clip"] for row in metrics["per_clip"]}:
        raise DataError(
            f"The metrics of run {metrics['run']!r} and its predictions are of different clips.",
            "Score the run again with `make test`.",
        )


def _clouds(predictions: Sequence[ClipPrediction]) -> list[Cloud]:
    """Predicted and annotated points of all labelled frames; where there are none, the predicted of all frames."""
    predicted, labels = (np.concatenate([getattr(p, name) for p in predictions]) for name in ("values", "labels"))
    finite = np.isfinite(predicted).all(axis=1)
    labelled = finite & np.isfinite(labels).all(axis=1)
    if labelled.any():
        return [("predicted", predicted[labelled]), ("annotated", labels[labelled])]
    if finite.any():
        return [("predicted", predicted[finite])]
    raise DataError("Not one prediction is a finite number.", "Look for where the features or the head lost them.")


def _timelines(
    rows: Sequence[dict[str, Any]], predictions: Sequence[ClipPrediction], pages: Mapping[str, str]
) -> list[dict[str, Any]]:
    by_clip = {prediction.clip: prediction for prediction in predictions}
    return [
        {
            "name": chosen.why,
            "clip": chosen.clip,
            "page": pages.get(chosen.clip, ""),
            "ccc": concordances(chosen.row),
            "picture": clip_timeline(by_clip[chosen.clip], *TIMELINE_PX),
        }
        for chosen in chosen_clips(rows)
    ]
