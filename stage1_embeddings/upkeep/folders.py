"""The cache as the commands of this package see it: folders of clip files, who uses them, what was left behind.

Nothing here changes anything. Links are not followed, so that nothing outside of the cache is ever looked after.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.claims import SUFFIX, is_held
from common.clip_log import ClipLog
from common.datasets.folder import natural
from common.errors import CacheError, UsageError
from common.json_lines import read_json
from common.manifest import MANIFEST, Manifest, read_manifest
from common.partials import is_left, is_partial
from stage1_embeddings.cache_index import index
from stage1_embeddings.cache_index.record import Record

FEATURES, FUSED, CROPS = "features", "fused", "crops"
KINDS = (FEATURES, FUSED, CROPS)

FAILED = ".failed"
CLAIMS = ".claims"
#: Holds what is known of the clip files without opening them.
INDEX_FOLDER = index.FOLDER
#: Lists the face tracks of a clip, each with a file of its own.
INDEX = ".tracks.json"

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Use:
    """A run's manifest, and what it names: ``folder`` relative to the cache, clip ids with their content."""

    run: str
    folder: str
    clips: dict[str, str]
    manifest: Manifest


@dataclass(frozen=True)
class Failed:
    """A clip that could not be done, why, what to do, and when that was."""

    id: str
    problem: str
    cure: str
    time: str


def check_cache(cache: Path) -> None:
    """Refuse a path that is no cache.

    Raises
    ------
    UsageError
        If there is no such folder, or none of a cache's folders in it.
    """
    if not cache.is_dir():
        raise UsageError(f"There is no cache at {cache}.", "Give --cache; `make embeddings` fills one.")
    if any(cache.iterdir()) and not any((cache / name).is_dir() for name in (*KINDS, "models", "corpus")):
        held = {path.name for path in cache.iterdir()}
        if held != {"README.md"}:
            raise UsageError(f"{cache} doesn't look like a cache: it has no features.", "Give its path as --cache.")


def uses(cache: Path, runs: Sequence[Path]) -> tuple[list[Use], list[str]]:
    """What the runs' manifests name of this cache, and a sentence on each manifest that can't be read.

    A run that keeps a cache of its own beside its manifest, as a prediction does, uses that one.
    """
    found: list[Use] = []
    problems: list[str] = []
    for root in runs:
        for path in sorted(root.rglob(MANIFEST)):
            try:
                manifest = read_manifest(path.parent)
            except CacheError as error:
                problems.append(error.problem)
                continue
            place = path.parent.parent if path.parent.name == FUSED else path.parent
            own = place / "cache"
            if (own / manifest.folder).is_dir() and own.resolve() != cache.resolve():
                continue
            clips = {clip.id: clip.content for clip in manifest.clips}
            found.append(Use(place.relative_to(root).as_posix(), manifest.folder, clips, manifest))
            if videos := manifest.videos:
                found.append(Use(found[-1].run, videos["folder"], videos["clips"], manifest))
    return found, problems


def folders(cache: Path, kind: str) -> list[Path]:
    """The folders ``cache/<kind>/<fingerprint>``; anything else that lies there is passed over."""
    place = cache / kind
    if not place.is_dir() or place.is_symlink():
        return []
    return sorted(
        path
        for path in place.iterdir()
        if _FINGERPRINT.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


def clip_files(folder: Path) -> list[Path]:
    """The clip files in a folder, in natural order."""
    found = [path for path in folder.glob("*.h5") if not path.name.startswith(".") and _is_plain_file(path)]
    return sorted(found, key=lambda path: natural(path.name))


def records(folder: Path, names: Sequence[str]) -> dict[str, Record]:
    """What the index of a folder says of these files, where it has them and they are as it says; nothing is opened."""
    known = index.CacheIndex(folder)
    found = known.fresh(names)
    known.close()
    return found


def index_files(folder: Path) -> list[Path]:
    """The files of a folder's index."""
    place = folder / INDEX_FOLDER
    return [path for path in sorted(place.glob("*")) if path.name == index.MERGED or path.suffix == ".lines"]


def leftovers(folder: Path) -> Iterator[Path]:
    """Half-written files and folders below ``folder`` whose processes, of this machine, are gone."""
    return filter(is_left, _partials(folder))


def is_busy(folder: Path) -> bool:
    """Is some process at work in ``folder``: a half-written file of a living one, or of another machine, or a claim?"""
    return any(not is_left(path) for path in _partials(folder)) or any(is_held(path) for path in claims(folder))


def claims(folder: Path) -> list[Path]:
    """The claims of a features folder, held or not, and the lock files that an earlier version left."""
    found = (folder / CLAIMS).glob("*")
    return sorted(path for path in found if (path.suffix == SUFFIX and path.is_dir()) or path.suffix == ".lock")


def failures(folder: Path) -> list[Failed]:
    """The clips of a features folder that couldn't be done: those set aside in ``.failed``, and by the log's last word.

    A failure that is older than the clip's file is over.
    """
    found: dict[str, Failed] = {}
    for clip, entry in _last_words(folder).items():
        if entry.get("outcome") == "failed" and not _done_since(folder / f"{clip}.h5", str(entry.get("time"))):
            found[clip] = _failed(entry, clip)
    for path in (folder / FAILED).glob("*.json"):
        if not path.name.startswith("."):
            found[path.stem] = _failed(read_json(path), path.stem)
    return [found[clip] for clip in sorted(found, key=natural)]


def _done_since(path: Path, time: str) -> bool:
    try:
        then_s = datetime.datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        then_s = 0.0
    try:
        return path.stat().st_mtime >= then_s
    except (OSError, ValueError):  # no such file, or a name that none can have
        return False


def how_made(folder: Path, clip: str) -> dict[str, Any]:
    """The log's last line on a clip that was done; {} where there is none."""
    entry = _last_words(folder, "done").get(clip, {})
    return dict(entry)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir() and not path.is_symlink():
        return sum(size_of(item) for item in path.iterdir())
    return path.lstat().st_size


def _partials(folder: Path) -> Iterator[Path]:
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in sorted(folder.iterdir()):
        if is_partial(path):
            yield path
        elif path.is_dir():
            yield from _partials(path)


def _last_words(folder: Path, outcome: str | None = None) -> dict[str, dict[str, Any]]:
    """The last line on each clip; of two machines' last lines, the later one by their clocks."""
    found: dict[str, dict[str, Any]] = {}
    for lines in ClipLog(folder).by_machine():
        own = {
            entry["clip"]: entry
            for entry in lines
            if isinstance(entry.get("clip"), str) and outcome in (None, entry.get("outcome"))
        }
        for clip, entry in own.items():
            if clip not in found or str(entry.get("time")) >= str(found[clip].get("time")):
                found[clip] = entry
    return found


def _failed(entry: dict[str, Any], clip: str) -> Failed:
    values = {name: str(entry.get(name, "")) for name in ("problem", "cure", "time")}
    return Failed(clip, values["problem"] or "not said", values["cure"], values["time"])


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
