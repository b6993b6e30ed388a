"""Files of JSON lines that grow: one object a line, appended; what a killed process tore is passed over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Append one line; it is written with a single call, so that two processes of a machine don't mix theirs."""
    line = json.dumps(values, ensure_ascii=False).encode("utf-8", errors="replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:
        file.write(_ended(file) + line + b"\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; a line that a killed process left unfinished says nothing."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(values, dict):
                yield values


def _ended(file: IO[bytes]) -> bytes:
    """What must come before a new line of an open file: a killed process may have left its own unfinished."""
    if file.seek(0, 2) == 0:
        return b""
    file.seek(-1, 2)
    return b"" if file.read(1) == b"\n" else b"\n"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} where there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
