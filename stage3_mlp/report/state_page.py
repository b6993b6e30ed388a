"""The page of a run in whatever state it is, as a single HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from common.bootstrap import REPEATS
from common.manifest import Manifest
from common.provenance import provenance
from common.schema import MODALITIES
from stage3_mlp.outcome import outcome_of
from stage3_mlp.page import Cell, interval, number, write_page
from stage3_mlp.report.histories import shown_histories
from stage3_mlp.report.state import State, state_of
from stage3_mlp.report.study_tables import COLUMNS, left_out, study_tables
from stage3_mlp.test import TEST

TEMPLATE = "report/state.html.j2"
PAGE = "report.html"

#: Of a commit or a hash; all of it is in manifest.json.
SHOWN_SIGNS = 14


def report(run: Path, cache: Path, say: Callable[[str], None]) -> Path:
    """Write ``run/report.html``: what there is of a run, finished or not, and what is missing.

    Raises
    ------
    UsageError
        If there is no such folder.
    """
    state = state_of(run, cache)
    path = run / PAGE
    write_state_page(path, state)
    for sentence in state.missing or ["Nothing is missing."]:
        say(sentence)
    say(f"Report: {path}")
    return path


def write_state_page(path: Path, state: State) -> None:
    """Write the page of a run; ``path`` lies in the run's folder, as the page links to what is there."""
    manifest = state.manifest
    scored = state.run / TEST / PAGE
    context = {
        "heading": f"Run {state.run.name}",
        "data": manifest.data if manifest else "",
        "rows": manifest.rows if manifest else "frames",
        "missing": state.missing,
        "score": _score(state.metrics) if state.metrics else None,
        "draws": REPEATS,
        "page": f"{TEST}/{PAGE}" if scored.is_file() else "",
        "splits": _splits(manifest) if manifest else [],
        "failures": manifest.failures if manifest else (),
        "encoders": _encoders(manifest) if manifest else [],
        "studies": study_tables(state.studies),
        "left_out": left_out(state.studies),
        "histories": shown_histories(state.histories),
        "recipe": yaml.safe_dump(state.recipe, sort_keys=False, allow_unicode=True) if state.recipe else "",
        "remarks": _remarks(state),
        "provenance": provenance(),
    }
    write_page(path, TEMPLATE, context)


def _remarks(state: State) -> list[str]:
    """Of the data, and of the score that is shown."""
    data = state.manifest.remarks if state.manifest else ()
    return list(dict.fromkeys([*data, *(state.metrics or {}).get("remarks", ())]))


def _score(metrics: dict[str, Any]) -> dict[str, Any]:
    outcome = outcome_of(metrics.get("classes", []))
    row = outcome.row(metrics)
    bounds = interval(outcome.interval(metrics), "fewer than two clips have labels")
    return {
        "of": outcome.title,
        "split": metrics.get("split", "test"),
        "columns": [
            "Figure",
            *(COLUMNS[name] for name in outcome.figures),
            "95\N{NO-BREAK SPACE}% interval",
        ],
        "cells": [*(number(row[name], "not defined here") for name in outcome.figures), bounds],
    }


def _splits(manifest: Manifest) -> list[tuple[bool, str, list[Cell]]]:
    """Rows of a table: a split, its clips, how many are labelled, and their frames or utterances."""
    rows = []
    for split in ("train", "validation", "test", "unsplit"):
        clips = [clip for clip in manifest.clips if clip.split == split]
        if clips or split != "unsplit":
            counts = (len(clips), sum(clip.labelled for clip in clips), sum(clip.frames for clip in clips))
            rows.append((False, split, [Cell(f"{count:,}") for count in counts]))
    return rows


def _encoders(manifest: Manifest) -> list[tuple[bool, str, list[Cell]]]:
    """Rows of a table: a modality, its network, and at which revision, or with which weights."""
    rows: list[tuple[bool, str, list[Cell]]] = []
    for modality in MODALITIES:
        known = manifest.encoders.get(modality) or {}
        model = Cell(str(known.get("model") or ""), "nothing is known of it")
        exactly = str(known.get("revision") or known.get("identity") or "")
        shown = exactly if len(exactly) <= SHOWN_SIGNS else f"{exactly[:SHOWN_SIGNS]}…"
        rows.append((False, modality, [model, Cell(shown, "it has no revision")]))
    return rows
