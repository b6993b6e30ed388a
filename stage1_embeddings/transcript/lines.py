"""Forms with one line for each time: ``[12.3s - 14.0s] text``, and GRID's alignments ``12250 19250 set``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from common.outside_text import shortened
from common.words import Word
from stage1_embeddings.transcript.words import check, number, spread, wrong

#: GRID counts the samples of its 25 kHz recordings.
ALIGN_UNITS_HZ = 25_000

#: GRID's names for silence before and after, and for a short pause.
_PAUSES = frozenset({"sil", "sp"})

_TIMED_LINE = re.compile(r"\s*\[\s*(\S+?)(?:\s*s)?\s+-\s+(\S+?)(?:\s*s)?\s*\]\s*(.*)")


def is_timed_line(line: str) -> bool:
    """Does it begin like ``[12.3s - 14.0s]``?"""
    return _TIMED_LINE.match(line) is not None


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, whatever ends them."""
    yield from enumerate(re.split(r"\r\n|\r|\n", text), start=1)


def timed_lines(text: str, path: Path) -> list[list[Word]]:
    """Words of each line ``[12.3s - 14.0s] text``."""
    read = []
    for where, line in _lines(text, path):
        match = _TIMED_LINE.fullmatch(line)
        if match is None:
            raise wrong(where, f"{shortened(line.strip(), 80)} isn't a timed line", "Write [12.3s - 14.0s] text.")
        start_s, end_s = number(match[1], where), number(match[2], where)
        check(start_s, end_s, where)
        read.append(spread(match[3], start_s, end_s))
    return read


def alignment(text: str, path: Path) -> list[list[Word]]:
    """The one sentence of a GRID alignment: a line is start, end (in 1/25,000 s) and the word."""
    words: list[Word] = []
    for where, line in _lines(text, path):
        parts = line.split()
        if len(parts) != 3:
            raise wrong(where, f"{shortened(line.strip(), 80)} isn't 'start end word'", "As in: 12250 19250 set.")
        start_s, end_s = (number(part, where) / ALIGN_UNITS_HZ for part in parts[:2])
        check(start_s, end_s, where)
        if parts[2].lower() not in _PAUSES:
            words.append(Word(parts[2], start_s, end_s))
    return [words]


def _lines(text: str, path: Path) -> Iterator[tuple[str, str]]:
    """Lines that aren't blank, each with its place for a message."""
    for index, line in numbered_lines(text):
        if line.strip():
            yield f"{path}, line {index}", line
