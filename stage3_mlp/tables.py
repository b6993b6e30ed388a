"""Tables of figures: to the terminal as lines, as CSV, and with all behind them as JSON."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.files import write_json, written_whole
from common.manifest import LEAKS
from common.provenance import provenance

Row = Mapping[str, Any]


def write_study(folder: Path, name: str, rows: Sequence[Row], **details: Any) -> Path:
    """Write ``<name>.csv`` with ``rows`` and ``<name>.json`` with everything; returns the CSV's path.

    Parameters
    ----------
    rows : as in `write_rows`
    details : further JSON values, ``protocol`` among them where the data set has one
    """
    path = write_rows(folder / f"{name}.csv", rows, str(details.get("protocol", "")))
    write_json(folder / f"{name}.json", {"rows": list(rows), **details, "provenance": provenance()})
    return path


def write_rows(path: Path, rows: Sequence[Row], protocol: str = "") -> Path:
    """Write a CSV whole.

    Parameters
    ----------
    rows : dicts with the same keys; floats are written at full precision, None and NaN as an empty cell
    protocol : where it is ``published``, each row says that it leaks
    """
    if protocol == "published":
        rows = [{**row, "note": LEAKS} for row in rows]
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({key: None if value != value else value for key, value in row.items()} for row in rows)
    return path


def in_lines(rows: Sequence[Row]) -> list[str]:
    """The rows as aligned lines, the names of the columns first; floats with four decimals."""
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
