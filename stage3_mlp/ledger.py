"""Which models the clips of a test split have been scored with: the more there are, the less the best one says."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

from common.files import one_at_a_time, write_text
from common.json_lines import read_lines
from common.manifest import CachedClip
from common.recipe import fingerprint


def scored_before(cache: Path, clips: Sequence[CachedClip], model: str, run: str) -> int:
    """Note that ``clips`` are scored with a model, and say how many others they have been scored with.

    The list lies in ``cache/scored``, one file per set of test clips; scoring the same model again adds nothing.
    ``model`` is the fingerprint of its head's weights and smoothing.
    """
    videos = sorted({clip.video or clip.id for clip in clips})
    path = cache / "scored" / f"{fingerprint('scored', videos)}.jsonl"
    with one_at_a_time(path):
        # A line that was torn is of a model whose score nobody has seen: it is noted again with that.
        entries = [entry for entry in (read_lines(path) if path.is_file() else ()) if "model" in entry]
        known = {str(entry["model"]) for entry in entries}
        if model not in known:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            entries.append({"time": now, "run": run, "model": model})
            write_text(path, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries))
    return len(known - {model})
