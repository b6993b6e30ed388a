"""The trainings of a run as pages show them: curves, and which epoch was best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.canvas import Picture
from common.curves import CLASS_SCORES, Rows, training_curves
from stage3_mlp.page import known, number

#: What selects the epoch, and what it is called.
_SELECTS = {"eval_ccc_mean": "mean CCC", "eval_weighted_f1": "weighted F1"}


def shown_histories(histories: Mapping[str, Rows]) -> dict[str, tuple[dict[str, Any] | None, list[Picture]]]:
    """Per stage its best epoch, as of `best_epoch`, and its curves."""
    return {stage: (best_epoch(rows), _curves(rows)) for stage, rows in histories.items()}


def best_epoch(rows: Rows) -> dict[str, Any] | None:
    """Which epoch was best on the validation split, and its score, in words; None where none was scored."""
    for key, title in _SELECTS.items():
        scored = [row for row in rows if known(row.get(key))]
        if scored:
            best = max(scored, key=lambda row: row[key])
            score = number(best[key], "").text
            return {"epoch": round(best["epoch"]), "score": score, "title": title, "epochs": len(rows)}
    return None


def _curves(rows: Rows) -> list[Picture]:
    if any("eval_weighted_f1" in row for row in rows):
        return training_curves(rows, "validation scores", CLASS_SCORES)
    return training_curves(rows)
