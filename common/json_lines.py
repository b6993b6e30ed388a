"""Files of JSON lines that grow: one object a line, appended; what a killed process tore is passed over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common.files import append_line as append_whole
from common.outside_text import json_of


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Append one line; errors as in `common.files.append_line`."""
    append_whole(path, json.dumps(values, ensure_ascii=False))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; a line that a killed process left unfinished says nothing."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                values = json_of(line)
            except ValueError:
                continue
            if isinstance(values, dict):
                yield values


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} where there is none."""
    try:
        values = json_of(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
