"""What predicted classes are worth: the figures of metrics.json, and what they are to be held against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.class_metrics import FIGURES, bootstrap_over_dialogues, class_score, figures_of
from common.labels import class_counts
from common.manifest import CachedClip, Manifest
from common.schema import SPLITS
from common.windows import CachedArrays
from stage3_mlp.emotions.predictions import EmotionPrediction, clip_classes

Counts = npt.NDArray[np.int64]

#: Accuracy and macro F1 on MELD as the classifier's authors give them, shown beside scores on MELD only.
PUBLISHED = {
    "name": "the classifier's authors, as published (leaking: copies of test rows in training)",
    "accuracy": 0.94,
    "weighted_f1": None,
    "macro_f1": 0.94,
}


def figures(predictions: Sequence[EmotionPrediction], classes: Sequence[str], seed: int) -> dict[str, Any]:
    """Pooled, per-class and per-clip figures, and 95 % intervals over clips.

    Every labelled row counts, also one with nothing behind it: the model has an answer there too.

    Parameters
    ----------
    predictions : of labelled clips
    classes : K names, in the order of the labels
    seed : of the bootstrap's draws
    """
    pairs = [(prediction.predicted, prediction.labels) for prediction in predictions]
    pooled = class_score(pairs, len(classes))
    per_class = zip(classes, pooled.precision, pooled.recall, pooled.f1, pooled.support, strict=True)
    clips = [
        (prediction.clip, class_score([pair], len(classes)))
        for prediction, pair in zip(predictions, pairs, strict=True)
    ]
    intervals = bootstrap_over_dialogues(pairs, len(classes), seed=seed)
    return {
        **{name: getattr(pooled, name) for name in FIGURES},
        "intervals": {name: list(bounds) for name, bounds in intervals.items()},
        "per_class": [
            dict(zip(("class", "precision", "recall", "f1", "support"), row, strict=True)) for row in per_class
        ],
        "confusion": pooled.confusion.tolist(),
        "rows": pooled.rows,
        "clips": pooled.clips,
        "per_clip": [{"clip": clip, "rows": found.rows, "accuracy": found.accuracy} for clip, found in clips],
    }


def references(
    data_kind: str, predictions: Sequence[EmotionPrediction], classes: Sequence[str], counts: Sequence[int]
) -> list[dict[str, Any]]:
    """What a score is to be held against: two guesses that look at nothing, and published figures.

    The guesses are the most frequent class of training, always, and a draw by training's frequencies. A draw's
    figures are those of its expected confusion matrix: for the accuracy that is its expectation, for F1 close to it.

    Parameters
    ----------
    data_kind : of the manifest
    counts : K, how often each class is a label in training
    """
    rows: list[dict[str, Any]] = []
    training = np.asarray(counts, dtype=np.int64)
    if training.any():
        true = class_score([(p.predicted, p.labels) for p in predictions], len(classes)).support
        most = int(training.argmax())
        guesses = np.stack([np.eye(len(classes))[most], training / training.sum()])
        found = figures_of(np.asarray(true)[:, None] * guesses[:, None, :])
        names = (f"always {classes[most]}, the most frequent in training", "a draw by the frequencies of training")
        rows = [{"name": name} | {key: float(found[key][i]) for key in FIGURES} for i, name in enumerate(names)]
    if data_kind == "meld":
        rows.append(dict(PUBLISHED))
    return rows


def label_counts(cache: Path, manifest: Manifest, clips: Sequence[CachedClip], classes: int) -> Counts:
    """(K,) int64: how often each class is the label of a row of ``clips``."""
    folder = cache / manifest.folder
    arrays = (
        (CachedArrays(folder / f"{clip.id}.h5", clip.content, clip.frames), clip) for clip in clips if clip.labelled
    )
    return class_counts((clip_classes(one, clip.frames, classes) for one, clip in arrays), classes)


def class_distribution(cache: Path, manifest: Manifest) -> dict[str, Counts]:
    """Per split that has labels, how often each of the manifest's classes is one: (K,) int64."""
    counts = {split: label_counts(cache, manifest, manifest.of(split), len(manifest.classes)) for split in SPLITS}
    return {split: each for split, each in counts.items() if each.any()}


def classification_report_text(metrics: dict[str, Any]) -> str:
    """The score as plain text: what was scored, every remark, the pooled figures, then scikit-learn's table per class.

    Parameters
    ----------
    metrics : what metrics.json holds
    """
    classes = [_one_line(name) for name in metrics["classes"]]
    lines = [
        f"Run {metrics['run']}, {metrics['split']} split of {metrics['data']} ({metrics['protocol']} protocol): "
        f"{metrics['rows']} labelled utterances of {metrics['clips']} clips.",
        *(f"Note: {_one_line(remark)}" for remark in metrics["remarks"]),
        "",
        *(_pooled(name, metrics) for name in FIGURES),
        "",
    ]
    occurring = sum(row["support"] > 0 for row in metrics["per_class"])
    if occurring < len(classes):
        sentence = f"macro_f1 is over the {occurring} of {len(classes)} classes that occur; macro avg is over all."
        lines[-1:] = [sentence, ""]
    return "\n".join([*lines, _table(metrics["confusion"], classes)]).rstrip() + "\n"


def _table(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    from sklearn.metrics import classification_report

    counts = np.asarray(confusion).ravel()
    if not counts.any():
        return "No row is labelled, so there is no table per class."
    true, predicted = (np.repeat(index.ravel(), counts) for index in np.indices((len(classes), len(classes))))
    names = [name or f"class {number}" for number, name in enumerate(classes, start=1)]
    text: str = classification_report(
        true, predicted, labels=range(len(classes)), target_names=names, digits=4, zero_division=0
    )
    return text


def _pooled(name: str, metrics: dict[str, Any]) -> str:
    low, high = metrics["intervals"][name]
    return f"{name:12} {_figure(metrics[name])}   95 % interval [{_figure(low)}, {_figure(high)}]"


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4f}"


def _one_line(text: str) -> str:
    """Names come from outside: a line break in one must not look like a line of the report."""
    return " ".join(text.split())
