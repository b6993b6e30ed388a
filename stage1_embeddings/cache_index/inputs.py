"""What a look at the folders shows of a clip's inputs: which there are, their sizes and times of change.

Nothing is read. Where a look shows the same as when a clip was finished, its inputs are the same: as for videos, whose
content is compared only where size or time of change differ.
"""

from __future__ import annotations

import os
import stat
import time
from itertools import islice

from common.manifest import Clip
from stage1_embeddings.cache_index.record import look
from stage1_embeddings.transcript import SUFFIXES

#: A file may change twice within one tick of its clock, and within a second on some file systems.
_SETTLED_NS = 2_000_000_000
#: Looking for so many clips one by one costs more than listing their folder once.
_WORTH_LISTING = 64
#: Names held at most; beyond that each clip's files are looked for one by one.
_MOST_NAMES = 100_000


class Beside:
    """Which files could be the transcript of a video: asked for many videos of few folders."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._listed: dict[str, set[str]] = {}
        self._room = _MOST_NAMES

    def of(self, video: str) -> list[str]:
        """Files of the video's name that end as transcripts do."""
        cut = video.rfind("/")
        folder = video[:cut] if cut > 0 else video[: cut + 1] or "."
        names = self._names(folder)
        if names is not None and not names:
            return []
        stem = _stem(video)
        others = [stem + suffix for suffix in SUFFIXES if stem + suffix != video]
        if names is None:
            return [path for path in others if look(path) is not None]
        return [path for path in others if path[cut + 1 :] in names]

    def _names(self, folder: str) -> set[str] | None:
        """Names in a folder that end as transcripts do; None where it isn't listed."""
        listed = self._listed.get(folder)
        if listed is not None or self._room <= 0:
            return listed
        self._asked[folder] = self._asked.get(folder, 0) + 1
        if self._asked[folder] < _WORTH_LISTING:
            return None
        try:
            with os.scandir(folder) as entries:
                found = set(islice((entry.name for entry in entries if entry.name.endswith(SUFFIXES)), self._room + 1))
        except OSError:
            return None
        if len(found) > self._room:
            self._room = 0
            return None
        self._room -= len(found) + 1
        self._listed[folder] = found
        return found


def seen(clip: Clip, beside: Beside | None = None) -> str:
    """What a look shows of the inputs of a clip that is a video; empty where that can't tell whether they changed.

    It can't for ready crops and for text; nor where a file is younger than the clock of its folder can tell.
    """
    if clip.utterances:
        return ""
    video = os.fspath(clip.source)
    places = (beside or Beside()).of(video)
    if clip.annotation is not None:
        places.append(os.fspath(clip.annotation))
    status = look(video)
    if status is None or not stat.S_ISREG(status.st_mode):
        return ""
    newest, found = status.st_mtime_ns, f"{clip.side or ''} {status.st_size} {status.st_mtime_ns}"
    for path in places:
        status = look(path)
        if status is None:
            return ""
        newest = max(newest, status.st_mtime_ns)
        what = "labels" if path is places[-1] and clip.annotation is not None else path[path.rfind(".") :]
        found += f" {what} {status.st_size} {status.st_mtime_ns}"
    return found if newest < time.time_ns() - _SETTLED_NS else ""


def _stem(path: str) -> str:
    """Without its suffix, as ``pathlib`` understands that: a dot at either end of a name begins none."""
    begin, dot = path.rfind("/") + 1, path.rfind(".")
    return path[:dot] if begin < dot < len(path) - 1 else path
