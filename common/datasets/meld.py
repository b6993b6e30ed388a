"""MELD as it is released: tables of utterances in dialogues, each utterance with a video of its own.

    <root>/.../{train,dev,test}_sent_emo.csv       up to three folders down: MELD.Raw, data/MELD ...
    <root>/.../train_splits/dia0_utt0.mp4          dev_splits_complete, output_repeated_splits_test

A clip is a dialogue, called ``train_dia0``: each file numbers its dialogues from 0. The splits are the official ones.
Where there is no video at all, there is text alone.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from common.datasets.dialogue_splits import LEAKING, copied_dialogues, published
from common.datasets.folder import is_crops, natural
from common.datasets.survey import Finding, Survey
from common.datasets.tables.cells import place, text_of
from common.datasets.tables.delimited import is_utf8, not_utf8, records
from common.datasets.tables.spec import MELD_CLASSES, folded
from common.errors import DataError
from common.manifest import Clip, Protocol, Utterance
from common.outside_text import shortened
from common.reasons import in_a_line
from common.schema import Modality, Split

NEEDED = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")

#: So many folders below the root are looked into.
_DEPTH = 3


@dataclass(frozen=True)
class _Part:
    """One of the three: its name in clips, the split, its table, the folder of its videos."""

    name: str
    split: Split
    table: str
    videos: str


_PARTS = (
    _Part("train", "train", "train_sent_emo.csv", "train_splits"),
    _Part("dev", "validation", "dev_sent_emo.csv", "dev_splits_complete"),
    _Part("test", "test", "test_sent_emo.csv", "output_repeated_splits_test"),
)


@dataclass(frozen=True)
class _Row:
    number: int
    dialogue: int
    order: int
    utterance: Utterance


def survey(root: Path, *, protocol: Protocol = "honest") -> Survey | None:
    """MELD's dialogues, those of train first, each file's in natural order; None where none of its tables is there.

    Refused, with file, row, column and value: a missing table or column; a row of another length; an emotion that is
    none of the seven; a place that is no whole number, or that another row of the dialogue has; a dialogue of three
    utterances or more that is in two splits.
    """
    places = _places(root)
    tables = {part: places[part.table] for part in _PARTS if part.table in places}
    if not tables:
        return None
    findings = [_missing(root, part) for part in _PARTS if part not in tables]
    clips: list[Clip] = []
    remarks: list[str] = []
    for part, path in tables.items():
        rows, faults = _read(path)
        findings += faults
        clips += _dialogues(part, path, _with_videos(places.get(part.videos), rows))
        if not is_utf8(path):
            remarks.append(not_utf8(path))
    filmed = any(utterance.video for clip in clips for utterance in clip.utterances)
    remarks += _remarks(clips, filmed)
    if protocol == "published":
        if filmed:
            text = f"{root} holds videos, and --protocol published is for rows of tables."
            cure = "Point DATA= at a folder with the tables alone."
            findings.append(Finding("refused", "videos", text, cure))
        clips, remarks = [*published(clips)], [*remarks, LEAKING]
    else:
        findings += copied_dialogues(clips)
    brings: dict[Modality, Literal["given", "none"]] = {} if filmed else {"visual": "none", "audio": "none"}
    return Survey("meld", root, tuple(clips), tuple(findings), tuple(remarks), classes=MELD_CLASSES, brings=brings)


def _places(root: Path) -> dict[str, Path]:
    """Where MELD's tables and folders of videos lie, by name; of two, the one that lies less deep."""
    wanted = {part.table for part in _PARTS}, {part.videos for part in _PARTS}
    found: dict[str, Path] = {}
    for path, inside, names in os.walk(root):
        folder = Path(path)
        for name in [*wanted[0].intersection(names), *wanted[1].intersection(inside)]:
            one = folder / name
            found[name] = min(found.get(name, one), one, key=lambda place: (len(place.parts), natural(str(place))))
        deep = len(folder.relative_to(root).parts) == _DEPTH
        # Ready crops are millions of files, and not MELD's.
        inside[:] = [] if deep else [name for name in inside if not _passed_over(name)]
    return found


def _passed_over(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX" or is_crops(name)


def _missing(root: Path, part: _Part) -> Finding:
    text = f"{root} has no {part.table}, but others of MELD's tables."
    return Finding("refused", "missing tables", text, "MELD's are train_, dev_ and test_sent_emo.csv.")


def _read(path: Path) -> tuple[list[_Row], list[Finding]]:
    rows: list[_Row] = []
    findings: list[Finding] = []
    try:
        table = records(path)
        header = [name.strip() for name in next(table, (0, []))[1]]
        missing = [name for name in NEEDED if name not in header]
        twice = [name for name in NEEDED if header.count(name) > 1]
        if twice:
            text = f"{path} has two columns {', '.join(twice)}."
            return [], [Finding("refused", "headers", text, "Remove one of them.")]
        if missing:
            there = in_a_line(", ".join(header) or "none", 300)
            text = f"{path} has no column {', '.join(missing)}; it has {there}."
            return [], [Finding("refused", "headers", text, f"MELD's tables have {', '.join(NEEDED)}.")]
        for number, fields in table:
            if not any(fields):
                continue
            if len(fields) != len(header):
                text = f"{place(path, number)} has {len(fields)} cell(s)."
                findings.append(Finding("refused", "broken rows", text, f"A row has {len(header)}, as the header has."))
                continue
            row = _row(path, number, dict(zip(header, fields, strict=True)))
            if isinstance(row, _Row):
                rows.append(row)
            else:
                findings += row
    except DataError as error:
        findings.append(Finding("refused", "broken tables", error.problem, error.cure))
    if not rows and not findings:
        findings.append(Finding("refused", "nothing to do", f"{path} holds no utterance.", "Restore the file."))
    return rows, [*findings, *_repeated(path, rows)]


def _row(path: Path, number: int, cells: Mapping[str, str]) -> _Row | list[Finding]:
    """A row, or everything that is wrong with it."""
    faults: list[Finding] = []
    emotion = folded(cells["Emotion"])
    if emotion and emotion not in MELD_CLASSES:
        text = f"{place(path, number)}, column Emotion is {shortened(cells['Emotion'])}."
        faults.append(Finding("refused", "unknown labels", text, f"It is one of {', '.join(MELD_CLASSES)}."))
    places = {name: cells[name].strip() for name in ("Dialogue_ID", "Utterance_ID")}
    for name, value in places.items():
        if not (value.isascii() and value.isdecimal() and len(value) < 10):
            text = f"{place(path, number)}, column {name} is {shortened(cells[name])}."
            faults.append(Finding("refused", "numbers", text, "It is a whole number, from 0."))
    for name in ("Utterance", "Speaker"):
        try:
            text_of(cells[name])
        except DataError as error:
            text = f"{place(path, number)}, column {name} {error.problem}"
            faults.append(Finding("refused", "texts", text, error.cure))
    if faults:
        return faults
    said = cells["Utterance"] if cells["Utterance"].strip() else ""
    index = MELD_CLASSES.index(emotion) if emotion else None
    dialogue, order = map(int, places.values())
    return _Row(number, dialogue, order, Utterance(said, emotion=index, speaker=cells["Speaker"].strip()))


def _repeated(path: Path, rows: list[_Row]) -> Iterator[Finding]:
    seen: dict[tuple[int, int], int] = {}
    for row in rows:
        before = seen.setdefault((row.dialogue, row.order), row.number)
        if before != row.number:
            text = (
                f"{place(path, row.number)}: Dialogue_ID {row.dialogue} and Utterance_ID {row.order} are those of row "
                f"{before}."
            )
            yield Finding("refused", "repeated places", text, "Each utterance has a place of its own; remove one.")


def _with_videos(folder: Path | None, rows: list[_Row]) -> list[_Row]:
    if folder is None:
        return rows
    there = {path.name for path in folder.iterdir()}
    videos = {row.number: f"dia{row.dialogue}_utt{row.order}.mp4" for row in rows}
    return [
        replace(row, utterance=replace(row.utterance, video=folder / videos[row.number]))
        if videos[row.number] in there
        else row
        for row in rows
    ]


def _dialogues(part: _Part, path: Path, rows: list[_Row]) -> Iterator[Clip]:
    found: dict[int, list[_Row]] = defaultdict(list)
    for row in rows:
        found[row.dialogue].append(row)
    for dialogue in sorted(found):
        in_order = sorted(found[dialogue], key=lambda row: row.order)
        utterances = tuple(row.utterance for row in in_order)
        yield Clip(f"{part.name}_dia{dialogue}", path, part.split, utterances=utterances)


def _remarks(clips: list[Clip], filmed: bool) -> Iterator[str]:
    utterances = [utterance for clip in clips for utterance in clip.utterances]
    unlabelled = sum(utterance.emotion is None for utterance in utterances)
    if unlabelled:
        yield f"{unlabelled} of {len(utterances)} utterances have no emotion: they are context, and aren't scored."
    wordless = sum(not utterance.text for utterance in utterances)
    if wordless:
        yield f"{wordless} of {len(utterances)} utterances have no words: text is masked there."
    if not filmed:
        yield "There are no videos of the utterances: there is text alone."
        return
    missing = sum(utterance.video is None for utterance in utterances)
    if missing:
        yield f"{missing} of {len(utterances)} utterances have no video: visual and audio are masked there."
