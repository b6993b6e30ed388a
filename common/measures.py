"""What selects an epoch on the validation split: CCC of valence and arousal, or weighted F1 of emotion classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.class_metrics import class_score
from common.errors import TrainingError
from common.labels import annotated
from common.metrics import ccc


@dataclass(frozen=True)
class Measure:
    """A figure, the higher the better, and others that are shown beside it.

    Attributes
    ----------
    name : str
        Of the figure among those that ``figures`` returns; in a history it is ``eval_<name>``.
    title : str
        As a reader knows it.
    beside : names and titles of further figures
    figures : of the Trainer's ``EvalPrediction`` over the whole validation split
    """

    name: str
    title: str
    beside: tuple[tuple[str, str], ...]
    figures: Callable[[Any], dict[str, float]]

    @property
    def key(self) -> str:
        """Its name in the rows of a history."""
        return f"eval_{self.name}"

    def in_words(self, row: dict[str, float]) -> str:
        """The figures of one epoch."""
        others = ", ".join(f"{title} {row[f'eval_{name}']:.4f}" for name, title in self.beside)
        return f"validation {self.title} {row[self.key]:.4f} ({others})"


def _pooled_ccc(outputs: Any) -> dict[str, float]:
    """CCC over all valid frames of the validation split.

    Raises
    ------
    TrainingError
        If it isn't defined, as where the labels don't vary: no epoch could be selected by it.
    """
    prediction = np.asarray(outputs.predictions, dtype=np.float64).reshape(-1, 2)
    target = np.asarray(outputs.label_ids, dtype=np.float64).reshape(-1, 2)
    valence, arousal = (float(ccc(prediction[:, i], target[:, i])) for i in (0, 1))
    if math.isnan(valence + arousal):
        raise TrainingError(
            f"The validation CCC isn't defined over {int(annotated(target).sum())} annotated frames.",
            "Give the validation split more than one annotated frame, with labels that vary.",
        )
    return {"ccc_mean": (valence + arousal) / 2, "ccc_valence": valence, "ccc_arousal": arousal}


def _class_figures(outputs: Any) -> dict[str, float]:
    """Weighted F1, accuracy and macro F1 over all labelled rows of the validation split."""
    logits = np.asarray(outputs.predictions)
    predicted, true = logits.argmax(axis=-1).reshape(-1), np.asarray(outputs.label_ids).reshape(-1)
    found = class_score([(predicted, true)], logits.shape[-1])
    if not found.rows:
        raise TrainingError("The validation split has no labelled row.", "Give it labels: they select the epoch.")
    return {"weighted_f1": found.weighted_f1, "accuracy": found.accuracy, "macro_f1": found.macro_f1}


CCC = Measure("ccc_mean", "CCC", (("ccc_valence", "valence"), ("ccc_arousal", "arousal")), _pooled_ccc)
WEIGHTED_F1 = Measure(
    "weighted_f1", "weighted F1", (("accuracy", "accuracy"), ("macro_f1", "macro F1")), _class_figures
)


def measure_for(*, categorical: bool) -> Measure:
    """What selects the epochs of a recipe."""
    return WEIGHTED_F1 if categorical else CCC
