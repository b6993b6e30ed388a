"""Studies as tables of a page: of valence and arousal, or of emotion classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stage3_mlp.page import Cell, interval, number
from stage3_mlp.report.studied import ABLATION, FOLDS, MISSING, SEEDS, SESSIONS, Study

_INTERVAL = "95\N{NO-BREAK SPACE}% interval"

#: A study's heading, what was done, and the command that does it again.
_WORDS: dict[str, tuple[str, str, str]] = {
    ABLATION: (
        "Subsets of the modalities",
        "A model for every subset of the modalities, trained and scored alike on the same features.",
        "make ablate",
    ),
    MISSING: (
        "Modalities withheld",
        "This model, without being trained again, when some of its modalities are withheld from it.",
        "make missing",
    ),
    SEEDS: ("Seeds", "The same settings, trained with several seeds: how much of the score is luck.", "make seeds"),
    FOLDS: (
        "Folds",
        "A model per fold of training and validation, each selected on its own fold; the ensemble is their mean.",
        "make folds",
    ),
    SESSIONS: (
        "Sessions",
        "A model per recording session, tested on the session that it never saw; the last row is all of them together.",
        "make sessions",
    ),
}
_SHARES = "What a modality adds to the score, averaged over all orders in which the modalities can join."

#: Columns of a study's table under the names of a page; ``low`` and ``high`` become one, at the end.
COLUMNS = {
    "modalities": "Modalities",
    "withheld": "Withheld",
    "seed": "Seed",
    "fold": "Fold",
    "session": "Session",
    "seeds": "Seeds",
    "valence": "CCC valence",
    "arousal": "CCC arousal",
    "mean": "Mean CCC",
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "spread": "Deviation over seeds",
}


class StudyTable(NamedTuple):
    """A table: its heading, what it is about, names of its columns, and rows: is it the main one, name, cells."""

    title: str
    about: str
    columns: list[str]
    rows: list[tuple[bool, str, list[Cell]]]


def study_tables(studies: Sequence[Study]) -> list[StudyTable]:
    """The tables of the studies that are about the run as it is."""
    tables = []
    for study in studies:
        if study.outdated:
            continue
        title, what, _ = _WORDS[study.kind]
        rows = [*study.rows, *([{"seed": "all", **study.summary}] if study.summary else [])]
        main = 0 if study.kind == MISSING else len(rows) - 1
        tables.append(_table(title, f"{what}{_on_intervals(rows)}", rows, main))
        if study.shares:
            tables.append(_shares(study.shares))
    return tables


def left_out(studies: Sequence[Study]) -> list[str]:
    """A sentence for each study that is not shown, with its cure."""
    return [
        f"The study in {study.kind}/ is left out: {study.outdated}. Make it again with {_WORDS[study.kind][2]}."
        for study in studies
        if study.outdated
    ]


def _on_intervals(rows: Sequence[Mapping[str, Any]]) -> str:
    """Over what the intervals of a table are drawn."""
    if not any("low" in row for row in rows):
        return ""
    return f" The intervals are over clips{' and seeds' if any(row.get('spread') is not None for row in rows) else ''}."


def _table(title: str, about: str, rows: Sequence[Mapping[str, Any]], main: int) -> StudyTable:
    """Rows may lack a column that others have; the first column names a row."""
    names = [name for name in COLUMNS if any(name in row for row in rows)]
    if all(row.get("spread") is None for row in rows):
        names = [name for name in names if name != "spread"]
    bounded = any("low" in row for row in rows)
    lines = []
    for place, row in enumerate(rows):
        cells = [_cell(name, row) for name in names[1:]]
        if bounded:
            bounds = (row.get("low"), row.get("high"))
            cells.append(interval(bounds, "fewer than two clips" if "low" in row else "given for all together"))
        lines.append((place == main, str(row[names[0]]), cells))
    return StudyTable(title, about, [*(COLUMNS[name] for name in names), *([_INTERVAL] if bounded else [])], lines)


def _cell(name: str, row: Mapping[str, Any]) -> Cell:
    value = row.get(name)
    if isinstance(value, float) or value is None:
        return number(value, "one training alone" if name == "spread" else "not defined here")
    return Cell(str(value))


def _shares(rows: Sequence[Mapping[str, Any]]) -> StudyTable:
    few = "fewer than two clips"
    lines = [
        (False, str(row["modality"]), [number(row["shapley"], few), interval((row["low"], row["high"]), few)])
        for row in rows
    ]
    return StudyTable("Shapley values", _SHARES, ["Modality", "Shapley value", _INTERVAL], lines)
