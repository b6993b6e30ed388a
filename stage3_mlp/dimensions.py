"""Runs that predict valence and arousal: CCC, with and without smoothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.artefacts import load_trained, read_record, recipe_of
from common.bootstrap import mean_ccc_draws
from common.manifest import CachedClip, Manifest, Protocol
from common.metrics import AXES, score
from common.polar import to_polar
from stage3_mlp.outcome import Outcome
from stage3_mlp.predictions import ClipPrediction, predict_clip, write_predictions
from stage3_mlp.scoring import figures, references
from stage3_mlp.smoothing import smoother_of
from stage3_mlp.train import MADE_BY


class Dimensions(Outcome):
    """Valence and arousal per frame; the mean of their CCCs counts."""

    figures = ("valence", "arousal", "mean")
    title = "mean CCC"
    interval_of = "ccc_mean"
    files = ("predictions.csv", "report.html")

    def predict(
        self, head: Path, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], device: str
    ) -> list[ClipPrediction]:
        from stage3_mlp.head import PolarHead

        record = read_record(head, made_by=MADE_BY)
        pool_frames = recipe_of(head, record, made_by=MADE_BY).stage3.head.pool_frames
        smoother = smoother_of(record)
        model = load_trained(PolarHead, head, device, made_by=MADE_BY)
        return [smoother.over(predict_clip(model, cache, manifest, clip, pool_frames)) for clip in clips]

    def identity(self, record: dict[str, Any]) -> Any:
        return asdict(smoother_of(record))

    def measured(self, predictions: Sequence[Any], record: dict[str, Any]) -> dict[str, Any]:
        return figures(predictions, record["seed"])

    def metrics(
        self, cache: Path, manifest: Manifest, predictions: Sequence[Any], record: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            **self.measured(predictions, record),
            "references": references(cache, manifest, predictions),
            "smoothing": {**record["smoothing"], "text": str(smoother_of(record))},
        }

    def write_predictions(self, path: Path, predictions: Iterable[Any], protocol: Protocol = "honest") -> int:
        return write_predictions(path, predictions)

    def write_report(self, folder: Path, predictions: Sequence[Any], **known: Any) -> None:
        from stage3_mlp.report.split_labels import split_labels
        from stage3_mlp.report.test_page import write_test_report

        write_test_report(
            folder / "report.html",
            metrics=known["metrics"],
            predictions=predictions,
            histories=known["histories"],
            labels=split_labels(known["cache"], known["manifest"]),
            studies=known["studies"],
            pages=known.get("pages"),
        )

    def lines(self, metrics: dict[str, Any]) -> list[str]:
        intervals = metrics["intervals"]
        lines = [
            f"{metrics['split']} split, {metrics['clips']} clips, {metrics['frames']} frames",
            "            CCC   95 % interval      RMSE   Pearson",
        ]
        for axis in AXES:
            lines.append(
                f"{axis:9}{_number(metrics['ccc'][axis])}   {_interval(intervals[f'ccc_{axis}'])}   "
                f"{_number(metrics['rmse'][axis])}   {_number(metrics['pearson'][axis])}"
            )
        lines.append(f"{'mean':9}{_number(metrics['ccc']['mean'])}   {_interval(intervals['ccc_mean'])}")
        if metrics["ccc_unsmoothed"]:
            without = metrics["ccc_unsmoothed"]["mean"]
            lines.append(f"  without smoothing ({metrics['smoothing']['text']}): {without:.4f}")
        return [*lines, *(f"  beside it, {row['name']}: {row['mean']:.4f}" for row in metrics["references"])]

    def row(self, metrics: dict[str, Any]) -> dict[str, float]:
        return {name: metrics["ccc"][name] for name in self.figures}

    def pair(self, prediction: Any) -> tuple[Any, Any]:
        return prediction.values, prediction.labels

    def score(self, pairs: Sequence[Any]) -> float:
        return score(pairs).ccc_mean

    def draws(self, groups: Sequence[Sequence[Sequence[Any]]], repeats: int) -> npt.NDArray[np.float64]:
        return mean_ccc_draws(groups, repeats)

    def nothing(self, metrics: dict[str, Any]) -> float:
        """A constant's CCC is 0 by definition."""
        return 0.0

    def ensemble(self, members: Sequence[Any]) -> ClipPrediction:
        """In both forms; the mean is unsmoothed as a whole."""
        values = np.asarray(np.mean([member.values for member in members], axis=0, dtype=np.float64))
        intensity, theta = to_polar(values[:, 0], values[:, 1])
        mean: ClipPrediction = replace(
            members[0],
            values=values.astype(np.float32),
            intensity=intensity.astype(np.float32),
            theta=theta.astype(np.float32),
            unsmoothed=None,
        )
        return mean


def _number(value: float | None) -> str:
    return "      -" if value is None or value != value else f"{value:7.4f}"


def _interval(values: Sequence[float | None]) -> str:
    low, high = values
    return f"[{_number(low).strip()}, {_number(high).strip()}]".ljust(17)
