"""Tables of utterances that bring their features along: a row is an utterance, a clip is a dialogue.

    DATA=MELD.xlsx                or .csv, or a folder that holds one: the published tables. Columns Utterance, V1, V3,
                                  V4 (joined: audio), A2 (visual), Emotion; cells are lists of numbers in strings.
                                  A column V2, where there is one, comes last in audio. Dialogue_ID, Utterance_ID,
                                  Speaker, Split and Session are taken where they are there.
    DATA=folder with table.yaml   or that file: any .csv, .xlsx, .npz or .h5, as `spec.TableSpec` describes it

A cell, or a row of an array, that is empty (or NaN throughout) is an absent modality, and is masked. A column of text
that isn't features is read by the text encoder. The table is imported once into ``<cache>/tables``; see `features`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from zipfile import is_zipfile

from common.datasets.survey import Finding, Survey
from common.datasets.tables.cells import ARRAY_SUFFIXES
from common.datasets.tables.delimited import Delimited
from common.datasets.tables.dialogues import surveyed
from common.datasets.tables.features import TableFeatures
from common.datasets.tables.importing import CODE_VERSION, Imported, Source, import_table
from common.datasets.tables.spec import (
    PUBLISHED,
    SPEC,
    SPEC_SUFFIXES,
    Layout,
    plain,
    published_columns,
    published_layout,
    read_spec,
)
from common.errors import DataError
from common.files import one_at_a_time, remove_partials, sha256
from common.manifest import Protocol
from common.outside_text import is_file, shortened
from common.reasons import in_a_line
from common.recipe import fingerprint

__all__ = ["is_described", "survey"]

#: Where imported tables lie, below the cache.
TABLES = "tables"

_SHEETS = frozenset({".xlsx", ".xlsm"})
_PLAIN_TABLES = frozenset({".csv", ".tsv"})
_PUBLISHED_AS = (*_SHEETS, *_PLAIN_TABLES)
_SUFFIXES = _SHEETS | _PLAIN_TABLES | ARRAY_SUFFIXES

#: A folder's table is taken for a published one if it has this many of its columns; what is missing is then a fault.
_TELLING = 3

#: So many characters of a table's list of columns are repeated in a message.
_LISTED = 300


def survey(root: Path, cache: Path, say: Callable[[str], None], *, protocol: Protocol = "honest") -> Survey | None:
    """The table at ``root``, imported, as clips; None where there is none.

    Parameters
    ----------
    root : Path
        A table, a ``table.yaml``, or a folder that holds one.
    cache : Path
        The table is imported below it, if nothing is wrong with it.
    say : called with a sentence before the import, which takes its time
    protocol : how it is split
    """
    try:
        found = _described(root) or _published(root, cache)
        if found is None:
            return None
        table, layout = found
        return _imported(root, table, layout, cache, say, protocol)
    except _Refused as refused:
        return Survey("table", root, (), refused.findings)
    except DataError as error:
        return Survey("table", root, (), (Finding("refused", "broken tables", error.problem, error.cure),))


class _Refused(Exception):
    """Nothing can be read; says why."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__()
        self.findings = findings


def is_described(root: Path) -> bool:
    """Is it a ``table.yaml``, or a folder that holds one?"""
    path = root / SPEC if root.is_dir() else root
    return path.suffix.lower() in SPEC_SUFFIXES and path.is_file()


def _described(root: Path) -> tuple[Path, Layout] | None:
    """The table that a ``table.yaml`` describes."""
    if not is_described(root):
        return None
    path = root / SPEC if root.is_dir() else root
    spec = read_spec(path)
    if isinstance(spec, list):
        raise _Refused(*spec)
    table = path.parent / spec.file
    if not is_file(table):
        named = f"{path} names the table {shortened(spec.file)}; there is no {in_a_line(table, 400)}."
        raise DataError(named, "Its path is relative to it.")
    if table.suffix.lower() not in _SUFFIXES:
        raise DataError(
            f"{path} names the table {shortened(spec.file)}.", f"It is one of {', '.join(sorted(_SUFFIXES))}."
        )
    return table, spec.layout()


def _published(root: Path, cache: Path) -> tuple[Path, Layout] | None:
    """The published table that is ``root``, or lies in it."""
    if root.is_file():
        if root.suffix.lower() in ARRAY_SUFFIXES:
            raise DataError(f"{root} doesn't say what its columns are.", f"Describe it in a {SPEC} beside it.")
        if root.suffix.lower() not in _SUFFIXES:
            return None
        return root, _layout(root, _names(root, cache))
    tables = _tables_in(root) if root.is_dir() else []
    found = {path: names for path in tables if (names := _names_or_none(path, cache))}
    fitting = {path: names for path, names in found.items() if len(published_columns(names)) >= _TELLING}
    if len(fitting) > 1:
        listed = " and ".join(path.name for path in fitting)
        raise DataError(f"{root} holds several tables: {listed}.", "Point DATA= at one of them.")
    for path, names in fitting.items():
        return path, _layout(path, names)
    return None


def _tables_in(folder: Path) -> list[Path]:
    """Tables by their names, but for those that Excel or a system leaves beside one: among them may be many videos."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.lower().endswith(_PUBLISHED_AS))
    paths = [folder / name for name in names if not name.startswith((".", "~$"))]
    return [path for path in paths if path.is_file() and (path.suffix.lower() in _PLAIN_TABLES or is_zipfile(path))]


def _layout(path: Path, names: Sequence[str]) -> Layout:
    layout = published_layout(names)
    if isinstance(layout, Layout):
        return layout
    cure = f"A published table has {', '.join(PUBLISHED)}; any other is described by a {SPEC} beside it."
    raise DataError(f"{path} has no column {', '.join(layout)}; it has {_listed(names)}.", cure)


def _listed(names: Sequence[str]) -> str:
    """A table's columns, for a message."""
    return in_a_line(", ".join(filter(None, names)) or "none", _LISTED)


def _names(path: Path, cache: Path) -> tuple[str, ...]:
    source = _source(path, PUBLISHED, cache)
    source.close()
    return source.names


def _names_or_none(path: Path, cache: Path) -> tuple[str, ...] | None:
    """A folder may hold tables that are no business of ours; one that can't be read isn't the published one."""
    try:
        return _names(path, cache)
    except DataError:
        return None


def _source(path: Path, columns: Sequence[str], cache: Path) -> Source:
    suffix, folder = path.suffix.lower(), cache / TABLES
    folder.mkdir(parents=True, exist_ok=True)
    if suffix in _SHEETS:
        from common.datasets.tables.workbook import Workbook

        return Workbook(path, frozenset(map(plain, columns)), plain, folder)
    if suffix in ARRAY_SUFFIXES:
        from common.datasets.tables.hdf5 import Hdf5
        from common.datasets.tables.npz import Npz

        return Npz(path, columns, folder) if suffix == ".npz" else Hdf5(path, columns)
    return Delimited(path)


def _imported(
    root: Path, table: Path, layout: Layout, cache: Path, say: Callable[[str], None], protocol: Protocol
) -> Survey:
    key = fingerprint("table", CODE_VERSION, table.suffix.lower(), sha256(table), asdict(layout))
    path = cache / TABLES / f"{key}.h5"
    features = TableFeatures(path)
    with one_at_a_time(path):
        if not path.is_file():
            remove_partials(path.parent)
            say(f"Reading {table}; it is kept as {path}.")
            read = _read(table, layout, path, cache)
            if read.findings:
                found = surveyed(root, table, layout, read.records, read.digests, protocol)
                return Survey("table", root, (), (*read.findings, *found.findings))
    records, digests = features.records()
    return surveyed(root, table, layout, records, digests, protocol, features)


def _read(table: Path, layout: Layout, path: Path, cache: Path) -> Imported:
    columns = layout.columns()
    source = _source(table, columns, cache)
    try:
        missing = [name for name in columns if name not in source.names]
        if missing:
            text = f"{table} has no column {', '.join(missing)}; it has {_listed(source.names)}."
            raise DataError(text, "Name the columns as the table does.")
        twice = sorted({name for name in columns if source.names.count(name) > 1})
        if twice:
            raise DataError(f"{table} has two columns {', '.join(twice)}.", "Rename one of them.")
        return import_table(source, layout, path)
    finally:
        source.close()
