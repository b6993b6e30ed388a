"""The doctor's screen: a line for each check, and at the end what to do, numbered."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click

from common.doctor.check import Check, State

#: In the order of the screen.
_SECTIONS = ("machine", "computing", "models", "places", "self-test")
_WORDS: dict[State, str] = {"ok": "ok", "warning": "warning", "missing": "MISSING", "failed": "FAILED"}
_COLOURS: dict[State, str] = {"ok": "green", "warning": "yellow", "missing": "red", "failed": "red"}
_STATE_WIDTH, _NAME_WIDTH = 9, 11
_NARROWEST, _WIDEST = 80, 100


def screen(checks: Sequence[Check], about: str) -> str:
    """The whole screen, with colours where the terminal has them.

    Parameters
    ----------
    about : what was asked, as in ``recipe maven``
    """
    cures = _cures(checks)
    lines: list[str] = []
    for section in _SECTIONS:
        inside = [check for check in checks if check.section == section]
        if inside:
            lines += ["", section, *(line for check in inside for line in _lines(check, cures))]
    return "\n".join([*lines[1:], "", *_verdict(checks, cures, about)])


def show(text: str) -> None:
    """Print it, in whatever encoding stdout has; colours on a terminal alone, and not where NO_COLOR is set."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    click.echo(shown, color=False if os.environ.get("NO_COLOR") else None)


#: A cure and its command.
_Cure = tuple[str, str]


def _cures(checks: Sequence[Check]) -> dict[_Cure, int]:
    """Each cure once, with its number: those of what stops a run first."""
    grave = [(check.cure, check.command) for check in checks if check.stops and check.cure]
    other = [(check.cure, check.command) for check in checks if not check.stops and check.cure]
    return {cure: number for number, cure in enumerate(dict.fromkeys([*grave, *other]), start=1)}


def _lines(check: Check, cures: dict[_Cure, int]) -> Iterator[str]:
    number = f" ({cures[check.cure, check.command]})" if check.cure else ""
    indent = " " * (2 + _STATE_WIDTH + _NAME_WIDTH)
    first, *rest = _wrapped(check.text + number, indent) or [""]
    word = click.style(f"{_WORDS[check.state]:<{_STATE_WIDTH}}", fg=_COLOURS[check.state], bold=check.stops)
    yield f"  {word}{check.name:<{_NAME_WIDTH}}{first}"
    yield from (indent + line for line in rest)


def _wrapped(text: str, indent: str) -> list[str]:
    width = min(max(shutil.get_terminal_size((_WIDEST, 24)).columns, _NARROWEST), _WIDEST)
    return textwrap.wrap(text, width - len(indent), break_long_words=False, break_on_hyphens=False)


def _verdict(checks: Sequence[Check], cures: dict[_Cure, int], about: str) -> Iterator[str]:
    grave = [check for check in checks if check.stops]
    doubts = [check for check in checks if check.state == "warning"]
    stopped = {(check.cure, check.command) for check in grave}
    if grave:
        yield f"{_things(len(grave), 'thing')} in the way of a run of {about}:"
        yield from _numbered({cure: number for cure, number in cures.items() if cure in stopped})
    else:
        yield f"Nothing is in the way of a run of {about}, as far as was looked."
    if doubts:
        listed = {cure: number for cure, number in cures.items() if cure not in stopped}
        yield _things(len(doubts), "warning") + (":" if listed else ".")
        yield from _numbered(listed)


def _numbered(cures: dict[_Cure, int]) -> Iterator[str]:
    """Each with its number; a command on a line of its own, whole, so that it can be copied."""
    for (cure, command), number in cures.items():
        for place, line in enumerate(_wrapped(cure, " " * 6)):
            yield f"{f'({number})' if not place else '':>5} {line}"
        if command:
            yield f"          {command}"


def _things(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
