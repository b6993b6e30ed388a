"""Does the index say of a clip file what the file says? And can the index be read?"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from common.store import read_summary
from stage1_embeddings.cache_index.index import FOLDER, MERGED, CacheIndex
from stage1_embeddings.cache_index.merged import Merged
from stage1_embeddings.upkeep.folders import FEATURES, folders


def difference(path: Path, index: CacheIndex) -> str | None:
    """Where the index and a sound clip file differ, in a sentence; None where they don't, or the index lacks the file.

    Raises
    ------
    CacheError
        If the file isn't sound after all.
    """
    record = index.fresh([path.stem]).get(path.stem)
    if record is None:
        return None
    attributes, frames, labelled = read_summary(path)
    file: dict[str, Any] = {
        "frames": frames,
        "labelled": labelled,
        "rate_hz": float(attributes.get("frame_rate_hz", 0.0)),
        **{key: str(attributes.get(key, "")) for key in ("content", "pictured", "features_sha256", "source_sha256")},
    }
    other = [key for key, value in file.items() if getattr(record, key) != value]
    if not other or index.identity(path.stem) != record.file:
        return None
    key = other[0]
    place = path.parent / FOLDER
    return f"{path} has {key} {file[key]}, its index {getattr(record, key)}. Delete {place}; it is made again."


def damaged_indexes(cache: Path) -> dict[Path, str]:
    """Merged indexes that can't be read, each with a sentence."""
    found = {}
    for path in (folder / FOLDER / MERGED for folder in folders(cache, FEATURES)):
        if not path.is_file():
            continue
        try:
            merged = Merged(path)
            words = merged.check()
            merged.close()
        except sqlite3.Error as error:
            words = str(error)
        if words is not None:
            found[path] = f"{path} is damaged ({words}). Delete it; it is made again."
    return found
