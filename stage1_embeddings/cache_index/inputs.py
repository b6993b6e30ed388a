"""What a look at the folders shows of a clip's inputs: which there are, their sizes and times of change.

Nothing is read. Where a look shows the same as when a clip was finished, its inputs are the same: as for videos, whose
content is compared only where size or time of change differ.
"""

from __future__ import annotations

import os
import stat
import time

from common.manifest import Clip
from stage1_embeddings.cache_index.record import look
from stage1_embeddings.transcript import SUFFIXES

#: A file may change twice within one tick of its clock, and within a second on some file systems.
_SETTLED_NS = 2_000_000_000
#: Looking for so many clips one by one costs more than listing their folder once.
_WORTH_LISTING = 64
#: Of the names of all folders listed: 2 MB, so that of a million names that aren't there 6 % are looked for in vain.
_BITS = 1 << 24
#: Folders remembered at most.
_MOST_FOLDERS = 10_000


class Beside:
    """Which files may be the transcript of a video: asked for many videos of few folders, in memory of a fixed size.

    A folder is listed once it has been asked for often. Of each name there that ends as transcripts do a bit is kept:
    where that isn't set, there is no such file; where it is, there is one, or another has the same bit.
    """

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._listed: dict[str, bool] = {}
        self._bits = bytearray()

    def of(self, video: str) -> list[str]:
        """Files of the video's name that end as transcripts do: all that are there, and perhaps some that aren't."""
        folder = video[: video.rfind("/") + 1]
        holds = self._listed.get(folder)
        if holds is None:
            holds = self._list(folder)
        if holds is False:
            return []
        stem = _stem(video)
        others = [path for suffix in SUFFIXES if (path := stem + suffix) != video]
        return others if holds is None else [path for path in others if self._is_set(path)]

    def _list(self, folder: str) -> bool | None:
        """Does a folder hold a name that ends as transcripts do? None where it isn't listed, yet or at all."""
        if len(self._asked) >= _MOST_FOLDERS:
            self._asked.clear()
            self._listed.clear()
        self._asked[folder] = self._asked.get(folder, 0) + 1
        if self._asked[folder] < _WORTH_LISTING:
            return None
        self._bits = self._bits or bytearray(_BITS // 8)
        holds = False
        try:
            with os.scandir(folder or ".") as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIXES):
                        place = hash(folder + entry.name) % _BITS
                        self._bits[place >> 3] |= 1 << (place & 7)
                        holds = True
        except OSError:
            return None
        self._listed[folder] = holds
        return holds

    def _is_set(self, path: str) -> bool:
        place = hash(path) % _BITS
        return bool(self._bits[place >> 3] & 1 << (place & 7))


def seen(clip: Clip, beside: Beside | None = None) -> str:
    """What a look shows of the inputs of a clip that is a video; empty where that can't tell whether they changed.

    It can't for ready crops and for text; nor where a file is younger than the clock of its folder can tell.
    """
    if clip.utterances:
        return ""
    video = os.fspath(clip.source)
    status = look(video)
    if status is None or not stat.S_ISREG(status.st_mode):
        return ""
    newest = status.st_mtime_ns
    found = f"{clip.side or ''} {status.st_size} {newest}"
    for path in (beside or Beside()).of(video):
        try:
            status = os.stat(path)  # noqa: PTH116  a Path takes as long again
        except FileNotFoundError:
            continue  # as most are that only may be there
        except OSError:
            return ""
        newest = max(newest, status.st_mtime_ns)
        found += f" {path[path.rfind('.') :]} {status.st_size} {status.st_mtime_ns}"
    if clip.annotation is not None:
        status = look(os.fspath(clip.annotation))
        if status is None:
            return ""
        newest = max(newest, status.st_mtime_ns)
        found += f" labels {status.st_size} {status.st_mtime_ns}"
    return found if newest < time.time_ns() - _SETTLED_NS else ""


def _stem(path: str) -> str:
    """Without its suffix, as ``pathlib`` understands that: a dot at either end of a name begins none."""
    begin, dot = path.rfind("/") + 1, path.rfind(".")
    return path[:dot] if begin < dot < len(path) - 1 else path
