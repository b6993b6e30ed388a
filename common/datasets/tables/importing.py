"""A table becomes a file of features: read row by row, everything that is wrong with it collected on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np

from common.datasets.survey import Finding
from common.datasets.tables.cells import (
    Cell,
    Numbers,
    is_empty,
    name_of,
    numbers_of,
    order_of,
    place,
    text_of,
)
from common.datasets.tables.features import DIGEST_BYTES, Digests, FeatureWriter, Record
from common.datasets.tables.spec import Layout, folded
from common.errors import DataError
from common.files import written_whole
from common.outside_text import shortened
from common.schema import NO_EMOTION, Modality, Split

#: Goes up when the same table would give another file.
CODE_VERSION = 1

#: How splits are spelled.
SPLIT_NAMES: dict[str, Split] = {
    "train": "train", "training": "train",
    "dev": "validation", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


class Source(Protocol):
    """A table that gives its rows one after the other."""

    path: Path
    names: tuple[str, ...]
    remarks: tuple[str, ...]

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, list[Cell] | DataError]]:
        """The number and these cells of each row; an error in place of a row that is none."""
        ...

    def close(self) -> None: ...


@dataclass
class Imported:
    """What a table says besides its features, and what is wrong with it; where nothing is, its file is written."""

    records: list[Record] = field(default_factory=list)
    digests: Digests = field(default_factory=lambda: np.empty((0, DIGEST_BYTES), dtype=np.uint8))
    findings: list[Finding] = field(default_factory=list)


class _Faulty(Exception):
    """Leaves the half-written file, which is removed."""


def import_table(source: Source, layout: Layout, path: Path) -> Imported:
    """Write the table's features to ``path``, whole, if nothing is wrong with any of its rows.

    Memory holds the texts and labels of all rows, and the features of a few hundred.
    """
    reading = _Reading(source, layout)
    try:
        with written_whole(path) as partial:
            with h5py.File(partial, "w", locking=False) as file:
                writer = FeatureWriter(file)
                digests = bytearray()
                for features in reading.rows():
                    digests += writer.add(features)
                table = np.frombuffer(bytes(digests), dtype=np.uint8).reshape(-1, DIGEST_BYTES)
                if not reading.findings:
                    writer.finish(reading.records, table, reading.parts(), source.remarks)
            if reading.findings:
                raise _Faulty
    except _Faulty:
        pass
    return Imported(reading.records, table, reading.findings)


class _Reading:
    """Reads the rows of a table; a row with a fault counts as one without features."""

    def __init__(self, source: Source, layout: Layout) -> None:
        self.records: list[Record] = []
        self.findings: list[Finding] = []
        self._source = source
        self._layout = layout
        self._widths: dict[str, tuple[int, str]] = {name: (width, "") for name, width in layout.widths.items()}
        self._classes = {folded(name): name for name in layout.classes}

    def parts(self) -> dict[Modality, dict[str, int]]:
        return {
            modality: {column: self._widths[column][0] for column in columns}
            for modality, columns in self._layout.parts.items()
        }

    def rows(self) -> Iterator[dict[Modality, Numbers | None]]:
        columns = self._layout.columns()
        try:
            for number, found in self._source.rows(columns):
                if isinstance(found, DataError):
                    self._refuse("broken rows", found)
                    continue
                cells = dict(zip(columns, found, strict=True))
                features = self._features(number, cells)
                self.records.append(self._record(number, cells))
                yield features
        except DataError as error:
            self._refuse("broken tables", error)
        if not self.records and not self.findings:
            self._refuse("nothing to do", DataError(f"{self._source.path} holds no row.", "Restore the file."))
        elif not self.findings:
            self._all_have_a_width()

    def _features(self, number: int, cells: Mapping[str, Cell]) -> dict[Modality, Numbers | None]:
        found: dict[Modality, Numbers | None] = {}
        for modality, columns in self._layout.parts.items():
            parts = [self._numbers(number, column, cells[column]) for column in columns]
            there = [part for part in parts if part is not None]
            empty = [column for column in columns if is_empty(cells[column])]
            if empty and len(empty) < len(columns):
                full = next(column for column in columns if column not in empty)
                problem = f"is empty, but {full} isn't: together they are {modality}."
                self._fault("half rows", number, empty[0], problem, "Fill all of its columns, or none.")
            found[modality] = np.concatenate(there) if len(there) == len(columns) else None
        return found

    def _numbers(self, number: int, column: str, cell: Cell) -> Numbers | None:
        """The numbers of a cell if there are any, and as many as in the others of its column."""
        try:
            values = numbers_of(cell)
        except DataError as error:
            self._fault("cells that can't be read", number, column, error.problem, error.cure)
            return None
        if values is None:
            return None
        width, where = self._widths.setdefault(column, (len(values), f", as row {number} has"))
        if len(values) == width:
            return values
        problem = f"has {len(values)} number(s), not {width}{where}: {shortened(cell)}."
        self._fault("wrong widths", number, column, problem, "Each cell of a column has equally many.")
        return None

    def _record(self, number: int, cells: Mapping[str, Cell]) -> Record:
        said: dict[str, str] = {}
        order = float("nan")
        for role, column in self._layout.others().items():
            cell = cells[column]
            try:
                if role == "order":
                    order = order_of(cell)
                else:
                    said["text" if role == "utterance" else role] = self._said(role, cell)
            except DataError as error:
                kind = "unknown labels" if role == "label" else "cells that can't be read"
                self._fault(kind, number, column, error.problem, error.cure)
        return Record(number=number, order=order, **said)

    def _said(self, role: str, cell: Cell) -> str:
        if role == "utterance":
            return text_of(cell)
        if role == "label":
            return self._label(cell)
        name = name_of(cell)
        if role == "split":
            if name.casefold() not in SPLIT_NAMES:
                raise DataError(f"is {shortened(name)}.", f"It is one of {', '.join(SPLIT_NAMES)}.")
            return SPLIT_NAMES[name.casefold()]
        if not name and role in ("dialogue", "session"):
            raise DataError("is empty.", f"Say of each row which {role} it is from, or leave the column out.")
        return name

    def _label(self, cell: Cell) -> str:
        """The class of a row, in the spelling that all of its rows have; a number counts the classes from 0."""
        name = folded(name_of(cell))
        if name in ("", str(NO_EMOTION)):
            return ""
        if not self._classes:
            if self._layout.known and name not in self._layout.known:
                cure = f"Known: {', '.join(self._layout.known)}; a table.yaml with `classes:` may name others."
                raise DataError(f"is {shortened(text_of(cell))}, which is none of the emotions.", cure)
            return name
        if name in self._classes:
            return self._classes[name]
        if isinstance(cell, int | np.integer) and 0 <= cell < len(self._classes):
            return self._layout.classes[cell]
        raise DataError(
            f"is {shortened(text_of(cell))}, which is none of the classes.",
            f"They are {', '.join(self._layout.classes)}.",
        )

    def _all_have_a_width(self) -> None:
        for column in self._layout.features():
            if column not in self._widths:
                text = f"{self._source.path}: the column {column} is empty in every row."
                self._refuse("empty columns", DataError(text, "Leave it out of the features."))

    def _fault(self, kind: str, number: int, column: str, problem: str, cure: str) -> None:
        text = f"{place(self._source.path, number)}, column {column} {problem}"
        self.findings.append(Finding("refused", kind, text, cure))

    def _refuse(self, kind: str, error: DataError) -> None:
        self.findings.append(Finding("refused", kind, error.problem, error.cure))
