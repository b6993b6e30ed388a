"""What became of each clip: a line for each done or failed, with the time and the reason, in logs beside the features.

Each machine appends to a log of its own, ``log.<host>-<boot>.jsonl``: on a network file system, lines that two machines
append to one file at once overwrite each other.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from common.json_lines import append_line, read_lines
from common.owner import this_process


class ClipLog:
    """The logs of one folder of features. As an iterator: all lines, one machine's after the other's."""

    def __init__(self, folder: Path) -> None:
        own = this_process()
        self.path = folder / f"log.{own.host}{'-' if own.boot else ''}{own.boot}.jsonl"

    def add(self, clip: str, outcome: str, **details: Any) -> None:
        """Append one line."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        append_line(self.path, {"time": now, "clip": clip, "outcome": outcome, **details})

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return chain.from_iterable(self.by_machine())

    def by_machine(self) -> Iterator[Iterator[dict[str, Any]]]:
        """The lines of each log, in the order in which they were written."""
        for path in log_files(self.path.parent):
            yield read_lines(path)


def log_files(folder: Path) -> list[Path]:
    """The logs in a folder of features; ``log.jsonl`` is what an earlier version wrote."""
    found = [folder / "log.jsonl", *sorted(folder.glob("log.*.jsonl"))]
    return [path for path in dict.fromkeys(found) if path.is_file() and not path.is_symlink()]
