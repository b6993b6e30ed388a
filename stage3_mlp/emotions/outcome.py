"""Runs that predict emotion classes: accuracy, weighted and macro F1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.artefacts import load_trained
from common.class_metrics import FIGURES, class_score, weighted_f1_draws
from common.files import write_text
from common.manifest import CachedClip, Manifest, Protocol
from stage3_mlp.emotions.predictions import EmotionPrediction, predict_clip, write_predictions
from stage3_mlp.emotions.scoring import class_distribution, classification_report_text, figures, references
from stage3_mlp.outcome import Outcome
from stage3_mlp.train import MADE_BY

_TITLES = {"accuracy": "accuracy", "weighted_f1": "weighted F1", "macro_f1": "macro F1"}


class Emotions(Outcome):
    """A class per utterance; the weighted F1 counts, as is usual on MELD."""

    figures = ("accuracy", "macro_f1", "weighted_f1")
    title = "weighted F1"
    interval_of = "weighted_f1"

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes

    def predict(
        self, head: Path, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], device: str
    ) -> list[EmotionPrediction]:
        from stage3_mlp.classifier import ClassifierHead

        model = load_trained(ClassifierHead, head, device, made_by=MADE_BY)
        return [predict_clip(model, cache, manifest, clip, self.classes) for clip in clips]

    def identity(self, record: dict[str, Any]) -> Any:
        return None

    def measured(self, predictions: Sequence[Any], record: dict[str, Any]) -> dict[str, Any]:
        return figures(predictions, self.classes, record["seed"])

    def metrics(
        self, cache: Path, manifest: Manifest, predictions: Sequence[Any], record: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            **self.measured(predictions, record),
            "references": references(manifest.data_kind, predictions, self.classes, record["counts"]),
            "classes": list(self.classes),
            "protocol": manifest.protocol,
            "training_counts": record["counts"],
        }

    def write_predictions(self, path: Path, predictions: Iterable[Any], protocol: Protocol = "honest") -> int:
        return write_predictions(path, predictions, self.classes, protocol)

    def write_report(self, folder: Path, predictions: Sequence[Any], **known: Any) -> None:
        from stage3_mlp.emotions.pictures import write_pictures
        from stage3_mlp.emotions.report import write_emotion_report

        metrics = known["metrics"]
        write_text(folder / "classification_report.txt", classification_report_text(metrics))
        drawn = write_emotion_report(
            folder / "report.html",
            metrics=metrics,
            predictions=predictions,
            classes=self.classes,
            histories=known["histories"],
            distribution=class_distribution(known["cache"], known["manifest"]),
            studies=known["studies"],
        )
        write_pictures(folder, drawn, metrics["protocol"])

    @property
    def files(self) -> tuple[str, ...]:
        from stage3_mlp.emotions.pictures import PICTURES

        return ("predictions.csv", "report.html", "classification_report.txt", *PICTURES)

    def lines(self, metrics: dict[str, Any]) -> list[str]:
        what = "dialogues" if metrics["protocol"] == "honest" else "blocks of shuffled rows"
        lines = [
            f"{metrics['split']} split, {metrics['clips']} {what}, {metrics['rows']} utterances",
            f"             score   95 % interval over {what}",
        ]
        for name in FIGURES:
            low, high = metrics["intervals"][name]
            lines.append(f"{_TITLES[name]:12}{_number(metrics[name])}   [{_number(low)}, {_number(high)}]")
        for row in metrics["references"]:
            lines.append(f"  beside it, {row['name']}: weighted F1 {_number(row['weighted_f1'])}")
        return lines

    def row(self, metrics: dict[str, Any]) -> dict[str, float]:
        return {name: metrics[name] for name in self.figures}

    def pair(self, prediction: Any) -> tuple[Any, Any]:
        return prediction.predicted, prediction.labels

    def score(self, pairs: Sequence[Any]) -> float:
        return class_score(pairs, len(self.classes)).weighted_f1

    def draws(self, groups: Sequence[Sequence[Sequence[Any]]], repeats: int) -> npt.NDArray[np.float64]:
        return weighted_f1_draws(groups, len(self.classes), repeats)

    def nothing(self, metrics: dict[str, Any]) -> float:
        """Always the most frequent class of training."""
        return float(metrics["references"][0]["weighted_f1"])

    def ensemble(self, members: Sequence[Any]) -> EmotionPrediction:
        """Mean probabilities, with the first member's fused features."""
        mean = np.mean([member.probabilities for member in members], axis=0, dtype=np.float64)
        first: EmotionPrediction = replace(members[0], probabilities=mean.astype(np.float32))
        return first


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4f}"
