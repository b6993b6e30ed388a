"""Clips that failed by their own fault, with reason and cure: not tried again until their files or settings change.

``features/<fingerprint>/.failed/<clip>.json``; ``--retry-failed`` tries them all the same.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from common.files import write_json
from common.manifest import Failure


class Quarantine:
    """The failed clips of one folder of features."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ".failed"

    def put(self, failure: Failure, content: str) -> None:
        """Set a clip aside. ``content``: fingerprint of the inputs and settings that it failed with."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        values = {"id": failure.id, "problem": failure.problem, "cure": failure.cure, "content": content, "time": now}
        write_json(self._folder / f"{failure.id}.json", values)

    def find(self, clip: str, content: str) -> Failure | None:
        """Why a clip is set aside; None where it isn't, or its inputs or settings have changed since."""
        try:
            values = json.loads((self._folder / f"{clip}.json").read_text(encoding="utf-8"))
            same = values["content"] == content
            return Failure(clip, str(values["problem"]), str(values["cure"])) if same else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # nothing there, or cut off: the clip is tried again

    def holds(self, clip: str) -> bool:
        """Is there an entry of it at all?"""
        return (self._folder / f"{clip}.json").exists()

    def release(self, clip: str) -> None:
        (self._folder / f"{clip}.json").unlink(missing_ok=True)
