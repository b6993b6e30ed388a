"""Small tables of the published kind, written by tests."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from common.datasets.survey import Survey
from common.datasets.tables import survey
from common.datasets.tables.spec import PUBLISHED, WIDTHS
from common.manifest import Protocol

Row = Mapping[str, Any]

EMOTIONS = ("joy", "anger", "neutral", "sadness")


def numbers(seed: int, width: int) -> list[float]:
    return np.random.default_rng(seed).normal(size=width).astype(np.float32).tolist()


def row(number: int, **other: Any) -> dict[str, Any]:
    """One row of a published table; ``other`` adds columns, or replaces cells."""
    cells: dict[str, Any] = {
        name: json.dumps(numbers(10 * number + at, width)) for at, (name, width) in enumerate(WIDTHS.items())
    }
    return {"Utterance": f"Utterance {number}.", **cells, "Emotion": EMOTIONS[number % len(EMOTIONS)], **other}


def audio(number: int) -> list[float]:
    """The audio of such a row, as it should be."""
    return [value for at, name in enumerate(("V1", "V3", "V4")) for value in numbers(10 * number + at, WIDTHS[name])]


def visual(number: int) -> list[float]:
    return numbers(10 * number + 3, WIDTHS["A2"])


def columns_of(rows: Sequence[Row]) -> list[str]:
    return list(rows[0]) if rows else list(PUBLISHED)


def write_csv(path: Path, rows: Sequence[Row], *, end: str = "\n", sign: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        table = csv.writer(file, lineterminator=end, delimiter=sign)
        table.writerow(columns_of(rows))
        table.writerows([["" if cell is None else cell for cell in one.values()] for one in rows])
    return path


def write_xlsx(path: Path, rows: Sequence[Row], change: Callable[[openpyxl.Workbook], None] | None = None) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(columns_of(rows))
    for one in rows:
        sheet.append(list(one.values()))
    if change is not None:
        change(book)
    book.save(path)
    return path


def as_excel(path: Path) -> Path:
    """The same workbook with the texts of its cells in a list of their own, as Excel keeps them.

    openpyxl writes each into its cell.
    """
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode("utf-8") for name in archive.namelist()}
    texts: list[str] = []

    def moved(cell: re.Match[str]) -> str:
        texts.append(cell[2])
        return f'<c{cell[1]} t="s"><v>{len(texts) - 1}</v></c>'

    for name in [name for name in parts if name.startswith("xl/worksheets/sheet")]:
        parts[name] = re.sub(r'<c([^>]*) t="inlineStr"><is>(.*?)</is></c>', moved, parts[name], flags=re.DOTALL)
    listed = "".join(f"<si>{text}</si>" for text in texts)
    parts["xl/sharedStrings.xml"] = f'<sst xmlns="{SHEET_MAIN_NS}">{listed}</sst>'
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{SHARED_STRINGS}"/></Types>'
    types = "[Content_Types].xml"
    parts[types] = parts[types].replace("</Types>", override)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def write_excel(path: Path, rows: Sequence[Row]) -> Path:
    return as_excel(write_xlsx(path, rows))


#: By how the file's name ends.
WRITERS: dict[str, Callable[..., Path]] = {".csv": write_csv, ".xlsx": write_xlsx, ".excel.xlsx": write_excel}


def surveyed(data: Path, cache: Path, protocol: Protocol = "honest") -> Survey:
    found = survey(data, cache, lambda _: None, protocol=protocol)
    assert found is not None
    return found


def faults(data: Path, cache: Path) -> list[str]:
    """All that is wrong, each with its cure."""
    findings = surveyed(data, cache).findings
    assert all(finding.weight == "refused" for finding in findings)
    return [f"{finding.text} {finding.cure}" for finding in findings]
