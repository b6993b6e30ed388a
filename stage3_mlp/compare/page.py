"""The page of a comparison, a single HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from common.provenance import provenance
from stage3_mlp.compare.pictures import clip_by_clip, forest
from stage3_mlp.page import Cell, interval, known, number, write_page
from stage3_mlp.report.study_tables import COLUMNS

TEMPLATE = "compare/compare.html.j2"

#: A forest plot's width in CSS pixels: across a page, and on a phone.
WIDE_PX, NARROW_PX = 820, 360

_FEW = "fewer than two clips have labels"
_UNDEFINED = "it isn't defined on these rows"


def write_comparison(path: Path, found: dict[str, Any]) -> None:
    """Write the page.

    Parameters
    ----------
    path : of the HTML file, written whole
    found : what compare.json holds, from `stage3_mlp.compare.compare`
    """
    *others, counts = found["figures"]
    marks = [row["mark"] for row in found["rows"]]
    drawn = all(known(bound) for one in found["differences"] for bound in (*one["interval"], *one["widened"]))
    page = {
        "columns": [COLUMNS[counts], "95\N{NO-BREAK SPACE}% interval", *(COLUMNS[name] for name in others)],
        "runs": [
            (row, [_figure(row[counts]), _interval(row), *(_figure(row[n]) for n in others)]) for row in found["rows"]
        ],
        "pairs": [_pair(found, one) for one in found["differences"]],
        "forests": [forest(marks, found["differences"], found["title"], px) for px in (WIDE_PX, NARROW_PX)]
        if drawn
        else [],
        "against": [_against(found, other) for other in range(1, len(marks))],
        "clips": [
            (row["clip"], row["rows"], [_figure(value) for value in row["figures"]]) for row in found["per_clip"]
        ],
        "recipes": [
            (row, yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))
            for row, recipe in zip(found["rows"], found["recipes"], strict=True)
        ],
    }
    context = {"found": found, "page": page, "remarks": found["remarks"], "provenance": provenance()}
    write_page(path, TEMPLATE, context)


def _figure(value: float | None) -> Cell:
    return number(value, _UNDEFINED)


def _interval(row: dict[str, Any]) -> Cell:
    return interval((row["low"], row["high"]), _FEW)


def _bounds(bounds: Sequence[float | None]) -> Cell:
    low, high = (number(bound, _FEW, "+.3f") for bound in bounds)
    return Cell(f"{low.text} to {high.text}") if low.text and high.text else Cell("", _FEW)


def _pair(found: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    ends = [found["rows"][one[end]] for end in ("one", "other")]
    cells = [number(one["difference"], _UNDEFINED, "+.3f"), _bounds(one["interval"])]
    if found["comparisons"] > 1:
        cells.append(_bounds(one["widened"]))
    cells.append(number(one["ahead"], _FEW, ".1%"))
    return {"ends": ends, "cells": cells, "verdict": one["verdict"], "decided": one["better"] is not None}


def _against(found: dict[str, Any], other: int) -> dict[str, Any]:
    """The first run against another, clip by clip; without a picture where no clip has a figure under both."""
    rows = [row for row in found["per_clip"] if known(row["figures"][0]) and known(row["figures"][other])]
    ends = [found["rows"][place] for place in (0, other)]
    if not rows:
        return {"ends": ends, "picture": None, "clips": 0}
    points = np.array([[row["figures"][0], row["figures"][other]] for row in rows])
    gaps = points[:, 0] - points[:, 1]
    places = (int(gaps.argmax()), int(gaps.argmin()))
    told = [
        (
            rows[place]["clip"],
            *(number(value, "").text for value in points[place]),
            number(gaps[place], "", "+.3f").text,
        )
        for place in places
    ]
    picture = clip_by_clip((ends[0]["mark"], ends[1]["mark"]), points, places, found["title"])
    ahead = int((gaps > 0).sum())
    return {"ends": ends, "picture": picture, "told": told, "ahead": ahead, "clips": len(rows)}
