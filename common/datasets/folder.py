"""A folder of videos or ready crops, or one video: clips without labels and without splits."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from common.files import safe_name
from common.manifest import Clip

#: Containers that FFmpeg reads and people film in.
VIDEO_SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .wmv .flv .ts .mts .m2ts .3gp .ogv .vob".split())

_NUMBER = re.compile(r"\d+")

#: Aff-Wild2's name for the folder of ready crops: one folder per clip, ``00001.jpg`` its first frame.
CROPS = "cropped_aligned"


def is_crops(name: str) -> bool:
    """Is a folder of this name one of ready crops? Also ``cropped_aligned_new_50_vids``."""
    return name == CROPS or name.startswith(f"{CROPS}_")


def is_video(name: str) -> bool:
    """Is a file of this name a video? Hidden ones aren't."""
    return not name.startswith(".") and name[name.rfind(".") :].lower() in VIDEO_SUFFIXES


def videos(root: Path) -> list[Path]:
    """Videos below ``root``, in natural order (2 before 10); hidden files and folders are passed over."""
    return [root / name for name in _videos(root)]


def ready_crops(root: Path) -> dict[str, Path]:
    """Folders of ready crops by clip name: those in ``cropped_aligned``, at or up to two levels below ``root``."""
    places = [root] if is_crops(root.name) else []
    level = [root]
    for _ in range(3):
        inside = sorted(path / name for path in level for name in _inside(path)[0])
        places += [path for path in inside if is_crops(path.name)]
        # The crops of a clip are no place for those of others, and perhaps many files.
        level = [path for path in inside if is_crops(path.name) or not is_crops(path.parent.name)]
    folders = [path for place in places for path in place.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return {path.name: path for path in sorted(folders, key=lambda path: natural(path.name))}


#: What a folder holds that `predict` has written: its videos are results, no data.
PREDICTED = frozenset(("record.json", "predictions.csv", "report.html"))


def _videos(root: Path) -> list[str]:
    """As `videos`, relative to ``root``: of a million, names take a tenth of the memory and time of paths."""
    found: list[str] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        folders, files = _inside(root / below)
        if all(name in files for name in PREDICTED):
            continue
        # Ready crops are millions of files, and no videos; links to folders could lead in a circle.
        inside = [name for name in folders if not name.startswith(".") and not is_crops(name)]
        waiting += [f"{below}{name}/" for name in inside if not (root / below / name).is_symlink()]
        found += [below + name for name in files if is_video(name)]
    return sorted(found, key=natural)


def _inside(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in a folder, by its listing alone; none where it can't be read."""
    folders: list[str] = []
    files: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_file():
                    files.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.name)
            except OSError:  # a link in a circle is neither
                continue
    return folders, files


def natural(name: str) -> str:
    """Sort key that puts ``clip2`` before ``clip10``, however many digits there are.

    Before each number goes how many digits it has, and before that a sign that comes before all others, so that text
    ends there. One string, as a million keys of many parts would take longer to compare, and most of the memory.
    """
    return _NUMBER.sub(_with_its_length, name)


def _with_its_length(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0")
    return f"\0{chr(min(len(digits), sys.maxunicode))}{digits}"


def clips(root: Path) -> list[Clip]:
    """One clip per video or folder of ready crops; a video in a sub-folder is called ``sub__name``.

    A single file is taken as a video whatever its suffix.
    """
    if root.is_file():
        return [Clip(safe_name(root.stem, root), root, "unsplit")]
    crops = ready_crops(root)
    names = _videos(root)
    stems = Counter(map(_stem, names))
    found = []
    for name in names:
        # talk.mov beside talk.mp4: each keeps its suffix.
        path, stem = root / name, _stem(name)
        called = (name if stems[stem] > 1 else stem).replace("/", "__")
        own = crops.pop(stem[stem.rfind("/") + 1 :], None) if crops else None
        found.append(Clip(safe_name(called, path), path, "unsplit", crops=own))
    return found + [Clip(safe_name(name, path), path, "unsplit", crops=path) for name, path in crops.items()]


def _stem(video: str) -> str:
    return video[: video.rfind(".")]


def clips_of(paths: Sequence[Path]) -> list[Clip]:
    """The clips of several videos and folders, each video once.

    One is called as in `clips`; where two would have one name, those are called by their place below the folder that
    all have in common.
    """
    found: dict[Path, Clip] = {}
    for path in paths:
        for clip in clips(path):
            found.setdefault(clip.source.resolve(), clip)
    names = Counter(clip.id for clip in found.values())
    common = Path(os.path.commonpath([path.parent for path in found])) if found else Path()
    stems = Counter(path.with_suffix("") for path in found)

    def name(path: Path) -> str:
        part = path.relative_to(common)
        return safe_name("__".join((part if stems[path.with_suffix("")] > 1 else part.with_suffix("")).parts), path)

    return [clip if names[clip.id] == 1 else replace(clip, id=name(path)) for path, clip in found.items()]
