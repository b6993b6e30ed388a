"""Predicted emotions as stage 3 makes them, for its tests: invented, with classes as unequal as in real dialogues."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.schema import MODALITIES
from stage3_mlp.emotions.predictions import EmotionPrediction, softmax
from stage3_mlp.emotions.scoring import figures

CLASSES = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
SHARES = np.array([0.12, 0.03, 0.02, 0.17, 0.46, 0.08, 0.12])
WORDS = "well I never said that you know what this is so great oh my god really come on let us go home now".split()
PROVENANCE = {
    "commit": "abc123",
    "versions": {"python": "3.11", "torch": "2.13.0"},
    "command": "python -m stage3_mlp test --run 'runs/<demo>'",
    "machine": "Linux x86_64",
    "time": "2026-01-02T03:04:05+00:00",
}


def emotional(clip: str, rows: int = 12, seed: int = 0, classes: int = 7, width: int = 16) -> EmotionPrediction:
    """A dialogue: two rows in three are right, one in ten isn't annotated, features lie around their class."""
    rng = np.random.default_rng([seed, sum(map(ord, clip))])
    shares = np.resize(SHARES, classes)
    true = rng.choice(classes, rows, p=shares / shares.sum())
    centres = np.random.default_rng(99).normal(0, 1.2, (classes, width))
    fused = (centres[true] + rng.normal(0, 1, (rows, width))).astype(np.float32)
    leaning = np.where(rng.random(rows) < 0.66, true, rng.choice(classes, rows, p=shares / shares.sum()))
    logits = rng.normal(0, 0.7, (rows, classes)) + 2.5 * np.eye(classes)[leaning]
    return EmotionPrediction(
        clip,
        np.arange(rows, dtype=np.float64),
        softmax(logits),
        np.where(rng.random(rows) < 0.1, -1, true).astype(np.int64),
        {modality: rng.random(rows) < 0.9 for modality in MODALITIES},
        [" ".join(rng.choice(WORDS, rng.integers(1, 22))) for _ in range(rows)],
        [("Ross", "Rachel", "Phoebe Buffay")[i % 3] for i in range(rows)],
        fused,
    )


def metrics_of(
    predictions: list[EmotionPrediction], classes: tuple[str, ...] = CLASSES, **changes: Any
) -> dict[str, Any]:
    """What metrics.json would hold."""
    return {
        "run": "demo",
        "split": "test",
        **figures(predictions, classes, seed=7),
        "references": [
            {"name": "always neutral", "accuracy": 0.46, "weighted_f1": 0.29, "macro_f1": 0.09},
            {"name": "published", "accuracy": 0.94, "weighted_f1": None, "macro_f1": 0.94},
        ],
        "seed": 7,
        "data": "films & more",
        "data_kind": "meld",
        "recipe": {"name": "demo", "stage3": {"classifier": {"hidden": 64}}, "note": "<é>"},
        "provenance": PROVENANCE,
        "remarks": ["The encoders are miniatures & their weights are random."],
        "classes": list(classes),
        "protocol": "honest",
        "training_counts": np.arange(10, 10 + len(classes)).tolist(),
        **changes,
    }


def epochs(count: int) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "loss": 1.8 / epoch, "eval_loss": 1.5 / epoch + 0.01 * epoch, "learning_rate": 1e-3}
        | {
            f"eval_{name}": 0.6 - top / epoch
            for name, top in (("accuracy", 0.2), ("weighted_f1", 0.3), ("macro_f1", 0.5))
        }
        for epoch in range(1, count + 1)
    ]
