"""Text from outside: JSON, YAML and numbers in it read strictly, its lines counted, its values repeated shortly."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from common.reasons import in_a_line

#: So many characters of a value are repeated in a message.
SHOWN = 40

#: The most values that a YAML file may come to when its aliases are written out.
MOST_VALUES = 100_000


def shortened(value: object, most: int = SHOWN) -> str:
    """A value as a message repeats it."""
    try:
        text = repr(value)
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply"
    if len(text) <= most + 2:
        return text
    return f"{text[:most]}...{text[0]} ({len(value if isinstance(value, str) else text)} characters)"


def first_fault(error: ValidationError) -> str:
    """The first thing that values aren't as they should be in, and how many there are."""
    fault, more = error.errors()[0], error.error_count() - 1
    place = ".".join(map(str, fault["loc"]))
    return in_a_line(f"{place or 'as a whole'}: {fault['msg']}{f', and {more} more' if more else ''}")


def is_file(path: Path) -> bool:
    """Is it a file? False also for a name that no file can have: `Path.is_file` raises for one that is too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def lines_of(text: str) -> list[str]:
    """Its lines, ended as files end them: not by a form feed or U+2028, which `str.splitlines` takes for ends too."""
    lines = re.split(r"\r\n|\r|\n", text)
    return lines if lines[-1] else lines[:-1]


def number_of(text: str) -> float:
    """As ``float``, but of ASCII signs alone and without underscores: ``1_0`` and ``١`` are typing errors.

    Raises
    ------
    ValueError
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"{shortened(text)} is no number")
    return float(text)


def json_of(text: str) -> Any:
    """What JSON says.

    Raises
    ------
    ValueError
        Also where it is nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def yaml_of(text: str) -> Any:
    """What YAML says, read by the safe loader.

    Raises
    ------
    ValueError
        With the reason in a line: not YAML; a date or number that is none; nested too deeply; an alias inside what it
        stands for, or so many aliases that they come to more than 100,000 values.
    """
    try:
        values = yaml.safe_load(text)
        _written_out(values, {})
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(in_a_line(error, 400)) from error
    except (AttributeError, LookupError, TypeError, OverflowError) as error:  # PyYAML's, of `!!bool x` and the like
        raise ValueError("a value isn't of the type that its tag names") from error
    return values


def _written_out(value: Any, known: dict[int, int]) -> int:
    """How many values it is with each alias written out; in ``known`` by identity, 0 for what we are inside of."""
    inside = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    if not isinstance(inside, list | tuple | set):
        return 1
    if id(value) not in known:
        known[id(value)] = 0
        known[id(value)] = 1 + sum(_written_out(one, known) for one in inside)
        if known[id(value)] > MOST_VALUES:
            raise ValueError(f"its aliases come to more than {MOST_VALUES:,} values")
    if not known[id(value)]:
        raise ValueError("an alias stands inside what it stands for")
    return known[id(value)]
