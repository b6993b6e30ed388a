"""A parser of outside text, what it is fed with, and what must hold of what it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from common.datasets.survey import Survey
from common.errors import DataError, MavenError, printable

#: Inputs for each parser; `make check-fuzz COUNT=10000` sets it.
COUNT = int(os.environ.get("FUZZ_COUNT", "60"))

#: The longest sentence about one fault, without the path of its file.
LONGEST = 1000
#: A recipe's faults are listed, a line each.
MOST_LINES = 60


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes
    ----------
    name : str
    inputs : what it is fed with: contents of a file, or arguments
    read : called with an input and an empty folder; gives what was read
    holds : checks what was read
    file : what each refusal must name; empty where there is no file
    refuses : does it refuse anything? Some parsers take what they can
    """

    name: str
    inputs: st.SearchStrategy[Any]
    read: Callable[[Any, Path], Any]
    holds: Callable[[Any], None] = lambda found: None
    file: str = ""
    refuses: bool = True


@dataclass
class Tally:
    """How many inputs were tried, and what became of them."""

    read: int = 0
    refused: int = 0
    sentences: set[str] = field(default_factory=set)


def feed(target: Target, folder: Path, count: int = COUNT) -> Tally:
    """Feed a parser; any exception but the project's own fails, with the smallest input that makes it."""
    tally = Tally()

    @settings(max_examples=count, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def one(given_: Any) -> None:
        try:
            found = target.read(given_, folder)
        except MavenError as error:
            tally.refused += 1
            check_sentence(error.problem, error.cure, target.file)
        else:
            tally.read += 1
            note(f"read: {found!r:.300}")
            target.holds(found)

    one()
    return tally


def check_sentence(problem: str, cure: str, file: str) -> None:
    """A refusal can be printed, is no longer than a reader is patient, names the file, and says what to do."""
    text = f"{problem} {cure}"
    assert problem.strip() and cure.strip(), text
    text.encode()
    assert all(sign.isprintable() or sign == "\n" for sign in text), text
    assert len(text.splitlines()) < MOST_LINES, text
    for line in text.splitlines():
        assert len(line) < LONGEST, f"{len(line)} characters: {line[:300]} ... {line[-300:]}"
    assert file in text, text


def accepted(survey: Survey | None, file: str) -> Survey:
    """A survey whose findings are sentences, if it refuses nothing.

    Raises
    ------
    DataError
        If it does: the first of them.
    """
    assert survey is not None
    for finding in survey.findings:
        check_sentence(printable(finding.text), finding.cure or "-", file)
    for remark in survey.remarks:
        check_sentence(printable(remark), "-", "")
    grave = [finding for finding in survey.findings if finding.weight == "refused"]
    if grave:
        raise DataError(grave[0].text, grave[0].cure)
    survey.accepted()
    return survey


def written(name: str) -> Callable[[bytes, Path], Path]:
    """Writes an input as a file of this name."""

    def write(content: bytes, folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return write


def from_file(name: str, read: Callable[[Path], Any]) -> Callable[[bytes, Path], Any]:
    """Reads an input as a file of this name."""
    write = written(name)
    return lambda content, folder: read(write(content, folder))
