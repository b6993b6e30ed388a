"""Is the video of a clip still there, and still the one that was predicted?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.files import sha256


def source_video(attributes: Mapping[str, Any]) -> tuple[Path | None, str]:
    """The video that a clip's features were made from, and why there is none; "" for a clip of ready crops alone.

    Parameters
    ----------
    attributes : of the clip's file of features; where size and time of change are the same, so is the video
    """
    path = Path(str(attributes["source_path"]))
    if "://" in str(attributes["source_path"]):
        return None, f"The video {path.name} is behind an address: pages show videos of this machine alone."
    if path.is_dir():
        return None, ""
    if not path.is_file():
        return None, f"The video {path.name} is no longer where it was when it was predicted."
    status = path.stat()
    same = (attributes["source_size"], attributes["source_mtime_ns"]) == (status.st_size, status.st_mtime_ns)
    if same or attributes["source_sha256"] == sha256(path):
        return path, ""
    return None, f"The video {path.name} has been changed or replaced since it was predicted: predict it again."
