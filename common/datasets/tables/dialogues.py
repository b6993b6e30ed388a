"""The rows of a table as dialogues with splits, and what is wrong with them as such."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from common.datasets.dialogue_splits import LEAKING, copied_dialogues, copied_rows, published, split_up, with_sessions
from common.datasets.folder import natural
from common.datasets.survey import Finding, Survey
from common.datasets.tables.cells import place
from common.datasets.tables.features import NOTHING, Digests, Record, TableFeatures
from common.datasets.tables.spec import Layout
from common.errors import DataError
from common.files import safe_name
from common.manifest import Clip, Protocol, Utterance
from common.schema import MODALITIES, Modality, Split

_SPLITS: dict[str, Split] = {"": "unsplit", "train": "train", "validation": "validation", "test": "test"}


def surveyed(
    root: Path,
    table: Path,
    layout: Layout,
    records: Sequence[Record],
    digests: Digests,
    protocol: Protocol,
    features: TableFeatures | None = None,
) -> Survey:
    """The data set that a table is.

    Parameters
    ----------
    records, digests : of its rows
    features : None where something is wrong with them already, so that nothing was written
    """
    classes = layout.classes or tuple(sorted({one.label for one in records if one.label}, key=natural))
    dialogues = _dialogues(layout, records)
    findings = [*_faults(table, layout, dialogues, records)]
    clips = tuple(_clip(name, rows, table, records, classes) for name, rows in dialogues.items())
    contents = _contents(records, digests, whole=True)
    if findings:
        clips, rule = (), ""
    elif protocol == "published":
        clips, rule = published(clips), LEAKING
        if not clips:
            text = f"{table} has no row of train with a label."
            findings.append(Finding("refused", "nothing to learn", text, "Fill in the labels."))
    else:
        same = None if layout.dialogue else {name: contents[rows[0]] for name, rows in dialogues.items()}
        clips, rule = split_up(with_sessions(clips), same)
        findings += _copies(table, layout, clips, records, digests)
    return Survey(
        kind="table",
        root=root,
        clips=clips,
        findings=tuple(findings),
        remarks=tuple(filter(None, (*_remarks(table, layout, records, features), rule))),
        classes=classes,
        table=features.path if features else None,
        brings=_brings(layout),
        parts=features.parts() if features else {},
    )


def _dialogues(layout: Layout, records: Sequence[Record]) -> dict[str, list[int]]:
    """The rows of each dialogue in their order; dialogues in natural order. Without a column, each row is one."""
    if layout.dialogue is None:
        return {f"row_{record.number}": [row] for row, record in enumerate(records)}
    found: dict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        if record.dialogue:
            found[record.dialogue].append(row)
    if layout.order is not None:
        for rows in found.values():
            rows.sort(key=lambda row: records[row].order)
    return {name: found[name] for name in sorted(found, key=natural)}


def _clip(name: str, rows: Sequence[int], table: Path, records: Sequence[Record], classes: Sequence[str]) -> Clip:
    index = {label: number for number, label in enumerate(classes)}
    utterances = tuple(
        Utterance(one.text, emotion=index.get(one.label), speaker=one.speaker, row=row)
        for row in rows
        for one in (records[row],)
    )
    first = records[rows[0]]
    return Clip(name, table, _SPLITS[first.split], utterances=utterances, group=first.session)


def _faults(
    table: Path, layout: Layout, dialogues: Mapping[str, Sequence[int]], records: Sequence[Record]
) -> Iterator[Finding]:
    """What no dialogue may be."""
    for name, rows in dialogues.items():
        first = records[rows[0]]
        where = f"{place(table, first.number)}, column {layout.dialogue}"
        try:
            safe_name(name, Path(name))
        except DataError as error:
            yield Finding("refused", "names", f"{where}: {error.problem}", error.cure)
        for column, of in ((layout.split, "split"), (layout.session, "session")):
            others = [row for row in rows if getattr(records[row], of) not in ("", getattr(first, of))]
            if column is not None and others and getattr(first, of):
                other = records[others[0]]
                text = (
                    f"{place(table, other.number)}, column {column} is {getattr(other, of)!r}, but row {first.number} "
                    f"of the same dialogue {name!r} is in {getattr(first, of)!r}."
                )
                cure = f"A dialogue is in one {of}; where names begin anew in each {of}, make them differ."
                yield Finding("refused", f"dialogues in two {of}s", text, cure)
        seen: dict[float, int] = {}
        for row in rows if layout.order is not None else ():
            record = records[row]
            before = seen.setdefault(record.order, record.number)
            if before != record.number and not math.isnan(record.order):
                text = (
                    f"{place(table, record.number)}, column {layout.order} is {record.order:g}, as in row {before} of "
                    f"the same dialogue {name!r}."
                )
                yield Finding("refused", "repeated places", text, "Each row of a dialogue has a place of its own.")


def _contents(records: Sequence[Record], digests: Digests, *, whole: bool) -> dict[int, str]:
    """Row to its words and features; unless ``whole``, only of those that have any features."""
    held = {row: digest.tobytes() for row, digest in enumerate(digests)}
    return {
        row: f"{held[row].hex()} {record.text}" for row, record in enumerate(records) if whole or held[row] != NOTHING
    }


def _copies(
    table: Path, layout: Layout, clips: Sequence[Clip], records: Sequence[Record], digests: Digests
) -> Iterator[Finding]:
    if not layout.parts:
        return copied_dialogues(clips)
    places = {row: place(table, record.number) for row, record in enumerate(records)}
    return copied_rows(clips, _contents(records, digests, whole=False), places)


def _brings(layout: Layout) -> dict[Modality, Literal["given", "none"]]:
    encoded = {"text"} if layout.utterance is not None else set()
    return {
        modality: "given" if modality in layout.parts else "none"
        for modality in MODALITIES
        if modality in layout.parts or modality not in encoded
    }


def _remarks(table: Path, layout: Layout, records: Sequence[Record], features: TableFeatures | None) -> Iterator[str]:
    if features is not None:
        yield from features.remarks()
        held = features.held()
        absent = " and ".join(modality for modality in layout.parts if not held[modality])
        if absent:
            yield f"No row of {table.name} has anything in the columns of {absent}: it is masked throughout."
    unlabelled = sum(not record.label for record in records)
    if unlabelled == len(records):
        yield f"No row of {table.name} has a label: it can be predicted, not learnt from or scored."
    elif unlabelled:
        yield f"{unlabelled} of {len(records)} rows of {table.name} have no label: they are context, and aren't scored."
    wordless = sum(not record.text for record in records) if layout.utterance is not None else 0
    if wordless:
        yield f"{wordless} of {len(records)} rows of {table.name} have no words: text is masked there."
