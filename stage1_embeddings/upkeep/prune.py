"""What of the cache can go: what no run's manifest names, and what dead processes left behind.

Only files of kinds that the stages write are ever touched; whatever else lies in the cache stays, and its folder too.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.claims import SUFFIX, is_held, sweep
from common.clip_log import log_files
from common.errors import CacheError, UsageError
from stage1_embeddings.upkeep.folders import (
    CLAIMS,
    CROPS,
    FAILED,
    FEATURES,
    FUSED,
    INDEX,
    INDEX_FOLDER,
    KINDS,
    Use,
    claims,
    clip_files,
    folders,
    index_files,
    is_busy,
    leftovers,
    size_of,
    uses,
)

_DAY_S = 86_400.0
_INSIDE = (FAILED, CLAIMS, INDEX_FOLDER)


@dataclass(frozen=True)
class Spare:
    """Something that can go.

    Attributes
    ----------
    path : Path
        One file; or a half-written folder.
    why : str
    group : str
        What it is listed under: the folder that goes as a whole, or else the path itself; relative to the cache.
    bytes : int
    """

    path: Path
    why: str
    group: str
    bytes: int


@dataclass(frozen=True)
class Pruning:
    """What can go, and a sentence on each thing that was passed over."""

    spare: list[Spare]
    kept: list[str]


def prune_plan(cache: Path, runs: Sequence[Path], keep_days: float) -> Pruning:
    """Find what can go. Nothing is removed.

    Parameters
    ----------
    runs : folders of runs; what a manifest anywhere in them names stays
    keep_days : float
        Clip files changed within so many days stay: a run names its clips only when it is done.

    Raises
    ------
    UsageError
        If there is no manifest in ``runs``: everything would seem unused.
    CacheError
        If a manifest can't be read: what it names isn't known.
    """
    named, problems = uses(cache, runs)
    if problems:
        raise CacheError(
            f"{problems[0]} So it isn't known what that run uses.", "Make that run again, or remove its folder."
        )
    if not named:
        places = ", ".join(map(str, runs))
        raise UsageError(
            f"There is no run's manifest in {places}, and so everything would seem unused.",
            "Give the folders of all your runs, each with --runs.",
        )
    found: dict[Path, Spare] = {item.path: item for item in _dead(cache)}
    kept: list[str] = []
    for kind in KINDS:
        for folder in folders(cache, kind):
            more, word = _of_folder(cache, folder, named, time.time() - keep_days * _DAY_S)
            found |= {item.path: item for item in more}
            kept += word
    return Pruning(list(found.values()), kept)


def remove(spare: Iterable[Spare]) -> list[str]:
    """Remove what a plan lists, then the folders that have become empty; a sentence on each that can't be removed."""
    problems: list[str] = []
    emptied: dict[Path, None] = {}
    for item in spare:
        try:
            if item.path.suffix == SUFFIX:
                sweep(item.path)  # it may have been taken since it was listed
            elif item.path.is_dir() and not item.path.is_symlink():
                shutil.rmtree(item.path)
            else:
                item.path.unlink(missing_ok=True)
            emptied[item.path.parent] = None
        except OSError as error:
            problems.append(f"{item.path} can't be removed: {error.strerror}.")
    inside = [folder / name for folder in emptied for name in _INSIDE]  # claims leave theirs empty
    for folder in dict.fromkeys([*inside, *emptied, *(folder.parent for folder in emptied)]):
        if _is_ours(folder) and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return problems


def _dead(cache: Path) -> list[Spare]:
    """What processes that are gone left: half-written files, claims that nobody holds."""
    found = [_spare(cache, path, "half-written by a process that is gone") for path in leftovers(cache)]
    for folder in folders(cache, FEATURES):
        found += [_spare(cache, path, "claim that nobody holds") for path in claims(folder) if not is_held(path)]
    return found


def _of_folder(cache: Path, folder: Path, named: list[Use], since_s: float) -> tuple[list[Spare], list[str]]:
    """What can go of one folder of clip files."""
    name = folder.relative_to(cache).as_posix()
    if is_busy(folder):
        return [], [f"{name}: a process is at work here"]
    kept = _names_kept(folder, name, named)
    unused = [path for path in clip_files(folder) if path.stem not in kept]
    young = [path for path in unused if path.stat().st_mtime > since_s]
    word = [f"{name}: {len(young)} unused clip file(s) changed too lately"] if young else []
    goes = [path for path in unused if path.stat().st_mtime <= since_s]
    if kept or young:
        return [_spare(cache, path, "clip that no run's manifest names") for path in goes], word
    beside = list(_beside(folder))
    if any(path.stat().st_mtime > since_s for path in beside):
        return [], [f"{name}: its log changed too lately"]
    known = {*goes, *beside, *leftovers(folder)}
    strange = [path for path in folder.iterdir() if path not in known and not _holds(path, known)]
    if strange:
        listed = ", ".join(sorted(path.name for path in strange)[:3])
        word.append(f"{name}: the folder stays for what isn't the stages' ({listed})")
    what = {FEATURES: "features", FUSED: "refined features", CROPS: "crops"}[folder.parent.name]
    return [_spare(cache, path, f"{what} that no run uses", name) for path in [*goes, *beside]], word


def _names_kept(folder: Path, name: str, named: list[Use]) -> set[str]:
    """Ids of clips that some run names in this folder; crops serve every run, and stay as long as one has the clip."""
    if folder.parent.name != CROPS:
        return set().union(*(use.clips for use in named if use.folder == name))
    every = set().union(*(use.clips for use in named))
    return {path.stem for path in clip_files(folder) if any(_is_of(clip, path.stem) for clip in every)}


def _is_of(clip: str, video: str) -> bool:
    """Is a clip the video itself, or a face track of it (``video.face2``)?"""
    return clip == video or clip.startswith(f"{video}.face")


def _beside(folder: Path) -> Iterator[Path]:
    """What stage 1 writes beside the clip files."""
    yield from log_files(folder)
    for path in [*(folder / FAILED).glob("*.json"), *folder.glob(f"*{INDEX}")]:
        if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
            yield path
    yield from claims(folder)
    yield from index_files(folder)


def _holds(path: Path, files: set[Path]) -> bool:
    """Is it the folder of quarantine, claims or index, with nothing else in it?"""
    return path.name in _INSIDE and path.is_dir() and not path.is_symlink() and set(path.iterdir()) <= files


def _is_ours(folder: Path) -> bool:
    """Is it a folder that may go when empty: one of clip files, or of quarantine, claims or index in it?"""
    inside = folder.parent if folder.name in _INSIDE else folder
    return inside.parent.name in KINDS and len(inside.name) == 16


def _spare(cache: Path, path: Path, why: str, group: str = "") -> Spare:
    return Spare(path, why, group or path.relative_to(cache).as_posix(), size_of(path))


@dataclass(frozen=True)
class Group:
    """Things that go together, as they are listed."""

    name: str
    what: str
    bytes: int


def grouped(spare: Iterable[Spare]) -> list[Group]:
    """One line for a folder that goes as a whole, or for what goes of a folder for the same reason."""
    found: dict[tuple[str, str], list[Spare]] = {}
    for item in spare:
        found.setdefault((item.group, item.why), []).append(item)
    return [
        Group(group, f"{why}; {len(items)} files" if len(items) > 1 else why, sum(item.bytes for item in items))
        for (group, why), items in found.items()
    ]
