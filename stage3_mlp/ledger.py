"""Which models the clips of a test split have been scored with: the more there are, the less the best one says."""

from __future__ import annotations

import datetime
import errno
from collections.abc import Callable, Sequence
from pathlib import Path

from common.files import one_at_a_time
from common.json_lines import append_line, read_lines
from common.manifest import CachedClip
from common.recipe import fingerprint


def scored_before(cache: Path, clips: Sequence[CachedClip], model: str, run: str, say: Callable[[str], None]) -> int:
    """Note that ``clips`` are scored with a model, and say how many others they have been scored with.

    The list lies in ``cache/scored``, one file per set of test clips; scoring the same model again adds nothing.
    ``model`` is the fingerprint of its head's weights and smoothing. In a cache that can't be written to nothing is
    noted, and that is said.
    """
    videos = sorted({clip.video or clip.id for clip in clips})
    path = cache / "scored" / f"{fingerprint('scored', videos)}.jsonl"
    try:
        with one_at_a_time(path):
            known = _models(path)
            if model not in known:
                now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                append_line(path, {"time": now, "run": run, "model": model})
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        say(f"This score isn't noted for later ones: {path.parent} can't be written to ({error.strerror}).")
        known = _models(path)
    return len(known - {model})


def _models(path: Path) -> set[str]:
    # A line that was torn is of a model whose score nobody has seen: it is noted again with that.
    return {str(entry["model"]) for entry in (read_lines(path) if path.is_file() else ()) if "model" in entry}
