"""Import of tables of features: rows a second, and peak memory of a long table against a short one: nearly the same.

    python -m benchmarks.tables [--quick] [--rows 13000]

The tables have the published columns, lists of 512, 25, 25 and 512 random numbers in strings, as .xlsx and as .csv, and
the same as arrays in .npz. Each is imported by a process of its own, and opened again by another, which finds it done.
Measured is the peak of that process's resident memory; texts and labels are held, features aren't.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import openpyxl

from benchmarks.memory import peak_mib
from common.datasets.tables import survey
from common.datasets.tables.spec import MELD_CLASSES, PUBLISHED, SPEC, WIDTHS
from tests.common.table_files import as_excel

_SHORT = 2000
_FORMATS = (".xlsx", ".csv", ".npz")


def rows(count: int) -> Iterator[list[str]]:
    """Rows of a published table; each number has as many digits as Python prints."""
    random = np.random.default_rng(0)
    for number in range(count):
        cells = {name: json.dumps(random.normal(size=width).tolist()) for name, width in WIDTHS.items()}
        cells |= {"Utterance": f"This is utterance {number}.", "Emotion": MELD_CLASSES[number % len(MELD_CLASSES)]}
        yield [cells[name] for name in PUBLISHED]


def write(path: Path, count: int) -> Path:
    """A table of so many rows; returns what DATA= would be."""
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet()
        for row in [list(PUBLISHED), *rows(count)]:
            sheet.append(row)
        book.save(path)
        as_excel(path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([PUBLISHED, *rows(count)])
    else:
        random = np.random.default_rng(0)
        columns = {name: random.normal(size=(count, width)) for name, width in WIDTHS.items()}
        labels = np.array([MELD_CLASSES[number % len(MELD_CLASSES)] for number in range(count)])
        np.savez(path, Emotion=labels, **columns)  # type: ignore[arg-type]
        described = f"file: {path.name}\nvisual: [A2]\naudio: [V1, V3, V4]\nlabel: Emotion\n"
        (path.parent / SPEC).write_text(described, encoding="utf-8")
        return path.parent / SPEC
    return path


def read(data: Path, cache: Path) -> None:
    """Import a table, or find it imported."""
    found = survey(data, cache, lambda _: None)
    if found is None:
        raise SystemExit(f"{data} is no table.")
    found.accepted()


@click.command()
@click.option("--quick", is_flag=True, help="200 and 1,000 rows.")
@click.option("--rows", "count", default=13_000, show_default=True)
@click.option("--read", "reading", nargs=2, type=click.Path(path_type=Path), hidden=True)
def main(quick: bool, count: int, reading: tuple[Path, Path] | None) -> None:
    if reading:
        read(*reading)
        return
    lengths = (200, 1000) if quick else (_SHORT, count)
    print(
        f"{'table':8}{'rows':>8}{'MiB':>8}{'import s':>10}{'rows/s':>9}{'peak MiB':>10}{'again s':>9}{'peak MiB':>10}"
    )
    for suffix in _FORMATS:
        peaks = []
        for length in lengths:
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                data = write(folder / f"table{suffix}", length)
                size = (folder / f"table{suffix}").stat().st_size / 2**20
                command = [sys.executable, "-m", "benchmarks.tables", "--read", str(data), str(folder / "cache")]
                peak, seconds = peak_mib(command)
                peak_again, seconds_again = peak_mib(command)
            peaks.append(peak)
            print(
                f"{suffix:8}{length:8d}{size:8.0f}{seconds:10.1f}{length / seconds:9.0f}{peak:10.0f}"
                f"{seconds_again:9.1f}{peak_again:10.0f}",
                flush=True,
            )
        print(f"{suffix:8}peak memory, ratio of {lengths[1]} to {lengths[0]} rows: {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
