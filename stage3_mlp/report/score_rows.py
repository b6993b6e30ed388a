"""The score of a run of valence and arousal as rows of a table, with the reason wherever a figure is missing."""

from __future__ import annotations

from typing import Any

from common.metrics import AXES
from stage3_mlp.page import Cell, interval, number

COLUMNS = (*AXES, "mean")


def score_rows(metrics: dict[str, Any]) -> list[tuple[str, list[Cell]]]:
    """Rows of the score table: a name, then valence, arousal and mean.

    Parameters
    ----------
    metrics : what ``metrics.json`` holds
    """
    why = _why_no_ccc(metrics["frames"])
    few = "fewer than two clips have labels" if metrics["clips"] < 2 else "no draw of clips has a CCC"
    rows = [
        ("CCC", [number(metrics["ccc"][name], why) for name in COLUMNS]),
        ("95\N{NO-BREAK SPACE}% interval", [interval(metrics["intervals"][f"ccc_{name}"], few) for name in COLUMNS]),
    ]
    if before := metrics["ccc_unsmoothed"]:
        name = f"CCC without smoothing ({metrics['smoothing']['text']})"
        rows.append((name, [number(before[column], why) for column in COLUMNS]))
    for reference in metrics["references"]:
        rows.append((f"CCC of: {reference['name']}", [number(reference[name], why) for name in COLUMNS]))
    return [*rows, *_per_axis(metrics, why)]


def concordances(row: dict[str, Any]) -> list[Cell]:
    """CCC of valence, arousal and their mean, of a row of ``metrics["per_clip"]``."""
    return [number(row[f"ccc_{name}"], _why_no_ccc(row["frames"])) for name in COLUMNS]


def _per_axis(metrics: dict[str, Any], why: str) -> list[tuple[str, list[Cell]]]:
    no_mean = Cell("", "given for each axis only")
    varies = "the predictions or the labels do not vary"
    rows = []
    for name, key, pattern, reason in (
        ("RMSE", "rmse", ".3f", why),
        ("Pearson’s r", "pearson", ".3f", varies if metrics["frames"] > 1 else why),
        ("Sign agreement", "sign_agreement", ".0%", why),
    ):
        rows.append((name, [*(number(metrics[key][axis], reason, pattern) for axis in AXES), no_mean]))
        if key == "rmse":
            rows += [
                (f"RMSE of: {reference['name']}", [*(number(value, why) for value in reference["rmse"]), no_mean])
                for reference in metrics["references"]
                if "rmse" in reference
            ]
    return rows


def _why_no_ccc(frames: int) -> str:
    return "fewer than two frames have labels" if frames < 2 else "neither predictions nor labels vary"
