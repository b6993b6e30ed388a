"""Which models the clips of a test split have been scored with: the more there are, the less the best one says."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

from common.files import append_line, one_at_a_time
from common.manifest import CachedClip
from common.recipe import fingerprint


def scored_before(cache: Path, clips: Sequence[CachedClip], model: str, run: str) -> int:
    """Note that ``clips`` are scored with a model, and say how many others they have been scored with.

    The list lies in ``cache/scored``, one file per set of test clips; scoring the same model again adds nothing.
    ``model`` is the fingerprint of its head's weights and smoothing.
    """
    videos = sorted({clip.video or clip.id for clip in clips})
    path = cache / "scored" / f"{fingerprint('scored', videos)}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(path):
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        known = {str(json.loads(line)["model"]) for line in lines}
        if model not in known:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            entry = {"time": now, "run": run, "model": model}
            append_line(path, json.dumps(entry, ensure_ascii=False))
    return len(known - {model})
