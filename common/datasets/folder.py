"""A folder of videos or ready crops, or one video: clips without labels and without splits."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from common.files import safe_name
from common.manifest import Clip

#: Containers that FFmpeg reads and people film in.
VIDEO_SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .wmv .flv .ts .mts .m2ts .3gp .ogv .vob".split())


#: Aff-Wild2's name for the folder of ready crops: one folder per clip, ``00001.jpg`` its first frame.
CROPS = "cropped_aligned"


def is_crops(name: str) -> bool:
    """Is a folder of this name one of ready crops? Also ``cropped_aligned_new_50_vids``."""
    return name == CROPS or name.startswith(f"{CROPS}_")


def videos(root: Path) -> list[Path]:
    """Videos below ``root``, in natural order (2 before 10); hidden files and folders are passed over."""
    found = [path for path in _files(root) if path.suffix.lower() in VIDEO_SUFFIXES]
    return sorted(found, key=lambda path: natural(str(path.relative_to(root))))


def ready_crops(root: Path) -> dict[str, Path]:
    """Folders of ready crops by clip name: those in ``cropped_aligned``, at or up to two levels below ``root``."""
    places = [root] if is_crops(root.name) else []
    for depth in ("", "*/", "*/*/"):
        places += [path for path in sorted(root.glob(f"{depth}{CROPS}*")) if is_crops(path.name) and path.is_dir()]
    folders = [path for place in places for path in place.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return {path.name: path for path in sorted(folders, key=lambda path: natural(path.name))}


#: What a folder holds that `predict` has written: its videos are results, no data.
PREDICTED = frozenset(("record.json", "predictions.csv", "report.html"))


def _files(root: Path) -> Iterator[Path]:
    for folder, inside, names in os.walk(root):
        if set(names) >= PREDICTED:
            inside.clear()
            continue
        # Ready crops are millions of files, and no videos.
        inside[:] = [name for name in inside if not name.startswith(".") and not is_crops(name)]
        yield from (Path(folder, name) for name in names if not name.startswith(".") and Path(folder, name).is_file())


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts ``clip2`` before ``clip10``, however many digits there are."""
    parts = re.split(r"(\d+)", name)
    digits = [part.lstrip("0") if part.isdecimal() else None for part in parts]
    return [(-1, part) if some is None else (len(some), some) for part, some in zip(parts, digits, strict=True)]


def clips(root: Path) -> list[Clip]:
    """One clip per video or folder of ready crops; a video in a sub-folder is called ``sub__name``.

    A single file is taken as a video whatever its suffix.
    """
    if root.is_file():
        return [Clip(safe_name(root.stem, root), root, "unsplit")]
    crops = ready_crops(root)
    paths = videos(root)
    stems = Counter(path.with_suffix("") for path in paths)
    found = []
    for path in paths:
        # talk.mov beside talk.mp4: each keeps its suffix.
        part = path.relative_to(root) if stems[path.with_suffix("")] > 1 else path.relative_to(root).with_suffix("")
        found.append(Clip(safe_name("__".join(part.parts), path), path, "unsplit", crops=crops.pop(path.stem, None)))
    return found + [Clip(safe_name(name, path), path, "unsplit", crops=path) for name, path in crops.items()]


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
