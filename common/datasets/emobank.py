"""EmoBank: single sentences with valence, arousal and dominance; each is a clip of one row.

    <root>/train.csv  <root>/dev.csv  [<root>/test.csv]      header id,split,V,A,D,text; scales from 1 to 5

The file decides the split, its ``split`` column doesn't. Where there is a test.csv, it is the test split and dev.csv
the validation split. Where there is none, dev.csv is what is scored, and a tenth of train.csv is the validation split:
single sentences, as EmoBank's own splits are drawn, by the SHA-256 of their ids.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from common.datasets.survey import Finding, Survey
from common.errors import DataError
from common.files import safe_name
from common.manifest import Clip, Utterance
from common.outside_text import number_of, shortened
from common.schema import Split

TRAIN, DEV, TEST = "train.csv", "dev.csv", "test.csv"
HEADER = ["id", "split", "V", "A", "D", "text"]

#: Ends of the scales; the middle means neither.
LOWEST, MIDDLE, HIGHEST = 1.0, 3.0, 5.0

#: One sentence in so many of train.csv validates where there is no test.csv.
VALIDATION_PART = 10


def survey(root: Path) -> Survey | None:
    """Every sentence of the tables in ``root`` as a clip, in their order; None where the tables aren't there.

    Refused, with file, line and value: another header; a row with too few or too many fields; a value that isn't a
    number from 1 to 5; an empty text; an id that can't name a file, or that was there before.
    """
    if not all((root / name).is_file() for name in (TRAIN, DEV)):
        return None
    tested = (root / TEST).is_file()
    files: dict[str, Split] = {TRAIN: "train", DEV: "validation" if tested else "test"}
    if tested:
        files[TEST] = "test"
    clips: list[Clip] = []
    findings: list[Finding] = []
    places: dict[str, str] = {}
    for name, split in files.items():
        for place, found in _rows(root / name, split):
            if isinstance(found, Finding):
                findings.append(found)
            elif (before := places.setdefault(found.id, place)) != place:
                cure = "An id stands for one sentence of one split; remove one of the two."
                findings.append(_refused("repeated ids", f"{place}: {found.id!r} was there before, in {before}.", cure))
            else:
                clips.append(found)
    if not clips and not findings:
        findings.append(_refused("nothing to do", f"The tables in {root} hold no sentence.", "Restore them."))
    if tested:
        return Survey("emobank", root, tuple(clips), tuple(findings))
    parted = [
        replace(clip, split="validation") if clip.split == "train" and validates(clip.id) else clip for clip in clips
    ]
    remark = f"There is no {TEST}: {DEV} is scored, and epochs are selected on a tenth of {TRAIN}, set apart."
    return Survey("emobank", root, tuple(parted), tuple(findings), (remark,))


def validates(sentence: str) -> bool:
    """Is this sentence of train.csv set apart for validation? Decided by its id alone, so the same everywhere."""
    return int(hashlib.sha256(sentence.encode()).hexdigest(), 16) % VALIDATION_PART == 0


def _rows(path: Path, split: Split) -> Iterator[tuple[str, Clip | Finding]]:
    """The rows of one table, each with its place, for messages."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            if header != HEADER:
                cure = f"The header must be {','.join(HEADER)}."
                yield str(path), _refused("headers", f"{path}, line 1 is {shortened(','.join(header))}.", cure)
                return
            for row in rows:
                place = f"{path}, line {rows.line_num}"
                try:
                    yield place, _clip(row, place, path, split)
                except DataError as error:
                    yield place, _refused("broken rows", error.problem, error.cure)
    except csv.Error as error:
        text = f"{path}, line {rows.line_num}: this is no comma-separated table: {error}."
        yield str(path), _refused("broken tables", text, "Restore the file.")
    except UnicodeDecodeError:
        yield str(path), _refused("broken tables", f"{path} isn't UTF-8 text.", "Save it as UTF-8.")


def _refused(kind: str, text: str, cure: str) -> Finding:
    return Finding("refused", kind, text, cure)


def _clip(row: list[str], place: str, path: Path, split: Split) -> Clip:
    if len(row) != len(HEADER):
        cure = f"A row has {len(HEADER)}: {','.join(HEADER)}."
        raise DataError(f"{place} has {len(row)} field(s): {shortened(','.join(row))}.", cure)
    name, _, *scales, text = row
    valence, arousal, _ = (_scaled(value, scale, place) for scale, value in zip("VAD", scales, strict=True))
    if not text.strip():
        raise DataError(f"{place}: the text of {shortened(name)} is empty.", "Restore the sentence, or remove the row.")
    if "\0" in text:
        raise DataError(f"{place}: the text of {shortened(name)} has a NUL in it.", "Remove it.")
    safe_name(name, Path(f"{place}: {name}"))
    return Clip(name, path, split, utterances=(Utterance(text, valence, arousal),))


def _scaled(value: str, scale: str, place: str) -> float:
    """A value from 1 to 5 as one from -1 to 1."""
    try:
        number = number_of(value)
    except ValueError:
        number = float("nan")
    if not LOWEST <= number <= HIGHEST:  # also NaN
        raise DataError(f"{place}: {scale} is {shortened(value)}.", "It is a number from 1 to 5.")
    return (number - MIDDLE) / (HIGHEST - MIDDLE)
