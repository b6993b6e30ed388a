"""The report of a categorical run as a single HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from common.bootstrap import REPEATS
from common.class_metrics import FIGURES
from common.errors import DataError
from common.schema import NO_EMOTION
from stage3_mlp.emotions.pictures import History, Pictures, draw
from stage3_mlp.emotions.predictions import EmotionPrediction
from stage3_mlp.page import Cell, interval, number, write_page
from stage3_mlp.report.histories import best_epoch
from stage3_mlp.report.studied import Study
from stage3_mlp.report.study_tables import left_out, study_tables

TEMPLATE = "emotions/emotions.html.j2"

#: Dialogues that are shown with their utterances, of the best and of the worst; and utterances of one.
SHOWN_DIALOGUES = 3
SHOWN_UTTERANCES = 60

_NO_LABEL = "no utterance is labelled"


def write_emotion_report(
    path: Path,
    *,
    metrics: dict[str, Any],
    predictions: Sequence[EmotionPrediction],
    classes: Sequence[str],
    histories: Mapping[str, History],
    distribution: Mapping[str, npt.ArrayLike],
    studies: Sequence[Study] = (),
) -> Pictures:
    """Write the score of a run: figures, classes, confusions, training curves, dialogues, settings.

    Parameters
    ----------
    path : of the HTML file, written whole
    metrics : what ``metrics.json`` holds; a figure that is None or NaN is shown as a dash with its reason
    predictions : of the clips in ``metrics["per_clip"]``, at least one
    classes : K names, in the order of the labels
    histories : a stage's name to its rows, one per epoch
    distribution : a split's name to how often each class is a label there, (K,)
    studies : of this run, shown or left out with a word

    Returns
    -------
    Pictures
        What the page shows, for ``pictures.write_pictures``.

    Raises
    ------
    DataError
        If there is no prediction, one isn't shaped as it should be, or clips or classes differ from those in
        ``metrics``.
    """
    _check(metrics, predictions, classes, distribution)
    pictures = draw(metrics, predictions, classes, histories, distribution)
    context = {
        "heading": f"Run {metrics['run']}",
        "metrics": metrics,
        "draws": REPEATS,
        "unit": "block of rows" if metrics["protocol"] == "published" else "dialogue",
        "scores": [(not place, *row) for place, row in enumerate(_scores(metrics))],
        "per_class": _per_class(metrics),
        "occurring": sum(row["support"] > 0 for row in metrics["per_class"]),
        "pictures": pictures,
        "histories": {stage: (best_epoch(rows), pictures.curves[stage]) for stage, rows in histories.items()},
        "studies": study_tables(studies),
        "left_out": left_out(studies),
        "dialogues": _dialogues(metrics["per_clip"], predictions, classes),
        "per_clip": [(row["clip"], row["rows"], _accuracy(row)) for row in metrics["per_clip"]],
        "recipe": yaml.safe_dump(metrics["recipe"], sort_keys=False, allow_unicode=True),
        "remarks": metrics["remarks"],
        "provenance": metrics["provenance"],
    }
    write_page(path, TEMPLATE, context)
    return pictures


def _check(
    metrics: dict[str, Any],
    predictions: Sequence[EmotionPrediction],
    classes: Sequence[str],
    distribution: Mapping[str, npt.ArrayLike],
) -> None:
    if not predictions:
        raise DataError("There is no prediction to report.", "Score at least one clip.")
    if [prediction.clip for prediction in predictions] != [row["clip"] for row in metrics["per_clip"]]:
        raise DataError(
            f"The metrics of run {metrics['run']!r} and its predictions are of different clips.",
            "Score the run again with `make test`.",
        )
    counts = {np.shape(each) for each in distribution.values()} | {np.shape(metrics["training_counts"])}
    if list(classes) != list(metrics["classes"]) or not counts <= {(len(classes),)}:
        raise DataError(
            f"The metrics of run {metrics['run']!r} are of {len(metrics['classes'])} classes, counts of shape "
            f"{sorted(counts)}; the predictions are of {len(classes)}: {', '.join(classes)}.",
            "Score the run again with `make test`.",
        )
    for prediction in predictions:
        rows = len(prediction.order)
        parts: tuple[Sized, ...] = (
            prediction.labels,
            prediction.texts,
            prediction.speakers,
            prediction.fused,
            *prediction.present.values(),
        )
        lengths = {len(part) for part in parts}
        if rows == 0 or prediction.probabilities.shape != (rows, len(classes)) or lengths != {rows}:
            raise DataError(
                f"Clip {prediction.clip!r} has {rows} rows, probabilities of shape {prediction.probabilities.shape}, "
                f"and labels, texts, speakers, features and masks of lengths {sorted(lengths)}.",
                f"A clip of T >= 1 rows has probabilities (T, {len(classes)}) and T of each of the others.",
            )


def _scores(metrics: dict[str, Any]) -> list[tuple[str, list[Cell]]]:
    """Rows of the score table: a name, then accuracy, weighted F1 and macro F1."""
    few = "fewer than two clips have labels"
    ours = [number(metrics[name], _NO_LABEL) for name in FIGURES]
    bounds = [interval(metrics["intervals"][name], few) for name in FIGURES]
    return [
        ("This run", ours),
        ("95\N{NO-BREAK SPACE}% interval", bounds),
        *(
            (reference["name"], [number(reference[name], "not given") for name in FIGURES])
            for reference in metrics["references"]
        ),
    ]


def _per_class(metrics: dict[str, Any]) -> list[tuple[str, list[Cell], list[int]]]:
    """Per class its figures, and how often it is true, predicted, and a label in training."""
    predicted = np.sum(metrics["confusion"], axis=0).tolist()
    rows = []
    for row, times, training in zip(metrics["per_class"], predicted, metrics["training_counts"], strict=True):
        absent, unused = not row["support"], not times
        cells = [
            Cell("", "the class is never predicted") if unused else number(row["precision"], ""),
            Cell("", "the class does not occur") if absent else number(row["recall"], ""),
            Cell("", "the class neither occurs nor is predicted") if absent and unused else number(row["f1"], ""),
        ]
        rows.append((row["class"], cells, [row["support"], times, int(training)]))
    return rows


def _dialogues(
    rows: Sequence[dict[str, Any]], predictions: Sequence[EmotionPrediction], classes: Sequence[str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The worst and the best clips by accuracy, longer ones first where it is equal; none is in both."""
    ranked = sorted(
        (pair for pair in zip(rows, predictions, strict=True) if pair[0]["rows"]),
        key=lambda pair: (pair[0]["accuracy"], -pair[0]["rows"]),
    )
    worst = ranked[: min(SHOWN_DIALOGUES, (len(ranked) + 1) // 2)]
    best = sorted(ranked[len(worst) :], key=lambda pair: (-pair[0]["accuracy"], -pair[0]["rows"]))[:SHOWN_DIALOGUES]
    groups = (("Fewest right", worst), ("Most right", best))
    return [(name, [_dialogue(*pair, classes) for pair in pairs]) for name, pairs in groups if pairs]


def _dialogue(row: dict[str, Any], prediction: EmotionPrediction, classes: Sequence[str]) -> dict[str, Any]:
    predicted, seen = prediction.predicted, prediction.anything
    utterances = []
    for place, label in enumerate(prediction.labels[:SHOWN_UTTERANCES]):
        true = "" if label == NO_EMOTION else classes[label]
        guess = predicted[place]
        utterances.append(
            {
                "number": place,
                "speaker": prediction.speakers[place],
                "text": prediction.texts[place],
                "true": Cell(true, "not annotated"),
                "predicted": classes[guess],
                "probability": number(float(prediction.probabilities[place, guess]), "", ".0%"),
                "wrong": label not in (NO_EMOTION, guess),
                "nothing": not seen[place],
            }
        )
    return {
        "clip": row["clip"],
        "rows": row["rows"],
        "accuracy": _accuracy(row),
        "utterances": utterances,
        "left_out": len(predicted) - len(utterances),
    }


def _accuracy(row: dict[str, Any]) -> Cell:
    return number(row["accuracy"], _NO_LABEL, ".0%")
