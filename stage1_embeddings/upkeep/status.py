"""What the cache holds, who uses it, and which clips of a recipe are done. Loads no model and hashes no video."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import CacheError
from common.schema import MODALITIES, REFINED, TIME
from common.sizes import in_bytes
from common.store import read_locations
from stage1_embeddings.upkeep.folders import (
    KINDS,
    Failed,
    Use,
    clip_files,
    failures,
    folders,
    is_busy,
    leftovers,
    records,
    size_of,
    uses,
)

#: Names listed of many.
_NAMES = 5


@dataclass(frozen=True)
class FolderStatus:
    """One folder of clip files.

    Attributes
    ----------
    folder : str
        Relative to the cache, such as ``features/0123456789abcdef``.
    encoders : modality to what its features were made by (model, revision, identity) and their width
    used_by : run to the number of its clips here
    replaced : str, names of clips that a run's manifest knows with another content, as ``run: clip``
    unreadable : str, a sentence each
    """

    folder: str
    clips: int
    frames: int
    hours: float
    bytes: int
    written: str
    busy: bool
    encoders: dict[str, dict[str, Any]]
    used_by: dict[str, int]
    unused_clips: list[str]
    replaced: list[str]
    failed: list[Failed]
    unreadable: list[str]


@dataclass(frozen=True)
class CacheStatus:
    """All folders, what killed processes left, and what of the runs can't be read."""

    folders: list[FolderStatus]
    leftovers: list[str]
    leftover_bytes: int
    problems: list[str]

    @property
    def wrong(self) -> bool:
        """Is there something that can't be read?"""
        return bool(self.problems) or any(folder.unreadable for folder in self.folders)


def cache_status(cache: Path, runs: Sequence[Path]) -> CacheStatus:
    """Look at every folder of the cache and at the head of every clip file that the index doesn't know."""
    named, problems = uses(cache, runs)
    found = [_folder_status(cache, path, named) for kind in KINDS for path in folders(cache, kind)]
    left = list(leftovers(cache))
    return CacheStatus(found, [str(path.relative_to(cache)) for path in left], sum(map(size_of, left)), problems)


def _folder_status(cache: Path, folder: Path, named: list[Use]) -> FolderStatus:
    name = folder.relative_to(cache).as_posix()
    here = [use for use in named if use.folder == name]
    files = clip_files(folder)
    frames, seconds, size, newest = 0, 0.0, 0, 0.0
    encoders: dict[str, dict[str, Any]] = {}
    contents: dict[str, str] = {}
    unreadable: list[str] = []
    known = records(folder, [path.stem for path in files])
    for path in files:
        status = path.stat()
        size, newest = size + status.st_size, max(newest, status.st_mtime)
        record = known.get(path.stem)
        if record is not None and encoders:
            count, rate_hz, content = record.frames, record.rate_hz, record.content
        else:
            try:
                places, attributes = read_locations(path)
                count = places[TIME].shape[0]
            except (CacheError, OSError, KeyError) as error:
                unreadable.append(error.problem if isinstance(error, CacheError) else f"{path}: {error}.")
                continue
            rate_hz, content = float(attributes.get("frame_rate_hz", 0)), str(attributes.get("content"))
            encoders = encoders or _encoders(places, attributes)
        frames += count
        seconds += count / (rate_hz or float("inf"))
        contents[path.stem] = content
    kept = set().union(*(use.clips for use in here)) if here else set()
    return FolderStatus(
        folder=name,
        clips=len(files),
        frames=frames,
        hours=seconds / 3600,
        bytes=size,
        written=_when(newest) if files else "",
        busy=is_busy(folder),
        encoders=encoders,
        used_by={use.run: len(use.clips) for use in here},
        unused_clips=[path.stem for path in files if path.stem not in kept],
        replaced=[
            f"{use.run}: {clip}"
            for use in here
            for clip, content in use.clips.items()
            if clip in contents and contents[clip] != content
        ],
        failed=failures(folder),
        unreadable=unreadable,
    )


def _encoders(places: dict[str, Any], attributes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    known = {modality: attributes.get(f"encoder_{modality}") for modality in MODALITIES}
    found: dict[str, dict[str, Any]] = {
        name: dict(encoder) for name, encoder in known.items() if isinstance(encoder, dict)
    }
    for name, encoder in found.items():
        if name in places:
            encoder["width"] = places[name].shape[1]
    if REFINED in places:
        found["refined"] = {"fusion": attributes.get("fusion"), "width": places[REFINED].shape[1]}
    return found


def status_in_words(cache: Path, status: CacheStatus) -> list[str]:
    """The status as lines."""
    total = sum(folder.bytes for folder in status.folders)
    lines = [f"{cache}: {_counted(len(status.folders), 'folder')} of clip files, {in_bytes(total)}"]
    for folder in status.folders:
        lines += ["", *_folder_in_words(folder)]
    if status.leftovers:
        lines += [
            "",
            f"{_counted(len(status.leftovers), 'half-written file')} of processes that are gone, "
            f"{in_bytes(status.leftover_bytes)}; the next run of their stage removes them, or prune does.",
        ]
    return [*lines, *(f"can't be read: {problem}" for problem in status.problems)]


def _folder_in_words(folder: FolderStatus) -> list[str]:
    extent = f", {folder.frames:,} frames, {folder.hours:.2f} h" if folder.frames else ""
    written = f", last written {folder.written}" if folder.written else ""
    busy = "; a process is at work here" if folder.busy else ""
    lines = [f"{folder.folder}: {_counted(folder.clips, 'clip')}{extent}, {in_bytes(folder.bytes)}{written}{busy}"]
    for name, encoder in folder.encoders.items():
        lines.append(f"  {name:<8} {encoder_in_words(encoder)}")
    runs = ", ".join(f"{run} ({_counted(clips, 'clip')})" for run, clips in folder.used_by.items())
    lines.append(f"  used by  {runs or 'no run'}")
    if folder.unused_clips and folder.used_by:
        lines.append(f"  in no run's manifest: {names(folder.unused_clips)}")
    if folder.replaced:
        lines.append(f"  replaced since by another run's: {names(folder.replaced)}")
    for failed in folder.failed:
        lines.append(f"  failed   {failed.id}: {failed.problem} {failed.cure}".rstrip())
    return [*lines, *(f"  can't be read: {problem}" for problem in folder.unreadable)]


def encoder_in_words(encoder: dict[str, Any]) -> str:
    """Model, the beginning of its revision or hash, and the width of its features."""
    if "fusion" in encoder:
        what = f"fusion {encoder['fusion']}"
    else:
        revision = encoder.get("revision") or encoder.get("identity") or "unknown"
        what = f"{encoder.get('model')} ({str(revision)[:19]})"
    return f"{what}, {encoder['width']} wide" if "width" in encoder else what


def names(items: Sequence[str]) -> str:
    """The first few names of many."""
    more = f" and {len(items) - _NAMES} more" if len(items) > _NAMES else ""
    return ", ".join(items[:_NAMES]) + more


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _when(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="minutes")[:16]
