"""A folder of videos, or one video: clips without labels and without splits."""

from __future__ import annotations

import re
from pathlib import Path

from common.files import safe_name
from common.manifest import Clip

#: Containers that FFmpeg reads and people film in.
VIDEO_SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .wmv .flv .ts .mts .m2ts .3gp .ogv .vob".split())


def videos(root: Path) -> list[Path]:
    """Videos below ``root``, in natural order (2 before 10); hidden files and folders are passed over."""
    found = [
        path
        for path in root.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    return sorted(found, key=lambda path: natural(str(path.relative_to(root))))


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts ``clip2`` before ``clip10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def clips(root: Path) -> list[Clip]:
    """One clip per video; a video in a sub-folder is called ``sub__name``.

    A single file is taken as a video whatever its suffix.
    """
    if root.is_file():
        return [Clip(safe_name(root.stem, root), root, "unsplit")]
    return [
        Clip(safe_name("__".join(path.relative_to(root).with_suffix("").parts), path), path, "unsplit")
        for path in videos(root)
    ]
