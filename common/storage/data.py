"""A data set behind an address, made to look local: small files are mirrored, videos fetched one by one.

<cache>/remote/<address>/data/       annotations, transcripts and tables as they are; an empty file for each video
<cache>/remote/<address>/videos.jsonl    SHA-256 of each video that was fetched, so that a done one isn't again
<cache>/remote/<address>/.videos.*   the videos that are being decoded, of one process
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.datasets import Data
from common.datasets.folder import VIDEO_SUFFIXES, is_crops
from common.errors import UsageError
from common.files import one_at_a_time, remove_partials, sha256, write_json
from common.json_lines import append_line, read_json, read_lines
from common.partials import partial_name, remove
from common.storage.address import Address
from common.storage.remote import Entry, Remote
from common.videos import Videos

#: What a data set's small files are called: annotations, transcripts, tables, and what describes them.
SMALL_SUFFIXES = frozenset(".txt .csv .tsv .json .jsonl .srt .vtt .align .yaml .yml .xlsx .xlsm .npz .h5 .hdf5".split())

#: Room that is left on the disk beside a fetched video.
_SPARE_BYTES = 64 << 20

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Video:
    key: str
    entry: Entry


class RemoteVideos(Videos):
    """The videos of a data set behind an address: empty files in its mirror, whose content is fetched when needed.

    Other files of the mirror are read as they are.

    Parameters
    ----------
    mirror : Path
        The folder of this address.
    keys : dict of str to Entry
        Videos by their place below the address.
    """

    remote = True

    def __init__(self, remote: Remote, mirror: Path, keys: dict[str, Entry]) -> None:
        self.address = remote.address
        self._remote = remote
        self._known = mirror / "videos.jsonl"
        self._scratch = mirror / partial_name("videos")
        self._videos = {(mirror / "data" / key).absolute(): _Video(key, entry) for key, entry in keys.items()}
        records = read_lines(self._known) if self._known.is_file() else ()
        self._sha256 = {
            (str(of.get("key")), of.get("size"), of.get("version")): str(of.get("sha256")) for of in records
        }

    def __contains__(self, path: Path) -> bool:
        return path.absolute() in self._videos

    def place(self, path: Path) -> str:
        video = self._videos.get(path.absolute())
        return super().place(path) if video is None else self.address.below(video.key)

    def identity(self, path: Path) -> tuple[int, int]:
        """Size in bytes, and a number that changes when its content may have, in place of a time of change."""
        video = self._videos.get(path.absolute())
        if video is None:
            return super().identity(path)
        entry = video.entry
        return entry.size, int.from_bytes(hashlib.sha256(entry.version.encode()).digest()[:7])

    def sha256(self, path: Path, *, fetch: bool) -> str:
        video = self._videos.get(path.absolute())
        if video is None:
            return super().sha256(path, fetch=fetch)
        known = self._sha256.get((video.key, video.entry.size, video.entry.version))
        if known is not None or not fetch:
            return known or ""
        self.fetch(path)
        return self._sha256[video.key, video.entry.size, video.entry.version]

    def fetch(self, path: Path) -> Path:
        """A local copy of a video, until `drop`.

        Raises
        ------
        StorageError
            If it can't be had, or isn't what was listed.
        OSError
            If the disk has no room for it.
        """
        video = self._videos.get(path.absolute())
        if video is None:
            return path
        target = self._scratch / video.key
        if target.is_file():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(target.parent).free < video.entry.size + _SPARE_BYTES:
            raise OSError(errno.ENOSPC, f"no room for {video.entry.size / 2**20:.1f} MiB on this disk", str(target))
        self._remote.fetch(video.key, target, video.entry)
        identity = (video.key, video.entry.size, video.entry.version)
        if identity not in self._sha256:
            self._sha256[identity] = sha256(target)
            names = ("key", "size", "version", "sha256")
            append_line(self._known, dict(zip(names, (*identity, self._sha256[identity]), strict=True)))
        return target

    def drop(self, path: Path) -> None:
        video = self._videos.get(path.absolute())
        if video is not None:
            (self._scratch / video.key).unlink(missing_ok=True)

    def named(self, text: str) -> str:
        return text.replace(f"{self._scratch}{os.sep}", self.address.below(""))

    def close(self) -> None:
        remove(self._scratch)


@contextlib.contextmanager
def local_data(
    data: Path | Address | Sequence[Path | Address] | None, cache: Path, say: Say
) -> Iterator[tuple[Data, RemoteVideos | None]]:
    """Give what a command was told as data: paths as they are; an address as its mirror, with its videos.

    Raises
    ------
    UsageError
        If an address is one of several, or there is nothing behind it.
    StorageError
        If it can't be reached or read.
    """
    several = data if isinstance(data, Sequence) else (data,)
    addresses = [item for item in several if isinstance(item, Address)]
    if not addresses:
        paths = [item for item in several if isinstance(item, Path)]
        yield (paths if isinstance(data, Sequence) else next(iter(paths), None)), None
        return
    if len(several) > 1:
        raise UsageError(f"{addresses[0]} is one of several.", "Give one address, or paths.")
    place, videos = _mirrored(Remote(addresses[0]), cache, say)
    try:
        yield place, videos
    finally:
        videos.close()


def _mirrored(remote: Remote, cache: Path, say: Say) -> tuple[Path, RemoteVideos]:
    address, root, name = remote.address, remote.address, ""
    if remote.is_file():
        folder, _, name = address.text.rpartition("/")
        root = Address(folder)
        remote = Remote(root)
    mirror = cache / "remote" / root.slug
    entries, refused = remote.listing()
    entries = {key: entry for key, entry in entries.items() if not name or key == name}
    if not entries:
        remote.check()
        raise UsageError(f"There is nothing at {address}.", "Check the bucket and the folder in it.")
    crops = {key for key in entries if any(is_crops(part) for part in key.split("/")[:-1])}
    videos = {key: of for key, of in entries.items() if _suffix(key) in VIDEO_SUFFIXES and key not in crops}
    small = {key: of for key, of in entries.items() if _suffix(key) in SMALL_SUFFIXES and key not in crops}
    if name and not small:
        videos = entries  # named itself, it is taken for a video whatever its suffix
    if crops:
        say(f"{address}: {len(crops)} files of ready crops are passed over: crops are read from local folders alone.")
    if refused:
        say(f"{address}: {len(refused)} names can't be files of a folder and are passed over, as {refused[0]!r}.")
    with one_at_a_time(mirror / "data"):
        remove_partials(mirror)
        fetched = _bring_up_to_date(remote, mirror, small, videos)
    say(f"{address}: {len(videos)} videos, {len(small)} other files, {fetched} of them fetched now.")
    return mirror / "data" / name if name else mirror / "data", RemoteVideos(remote, mirror, videos)


def _bring_up_to_date(remote: Remote, mirror: Path, small: dict[str, Entry], videos: dict[str, Entry]) -> int:
    """Make the mirror what the listing says; how many files were fetched."""
    data, index, fetched = mirror / "data", mirror / "index.json", 0
    before = read_json(index).get("files", {})
    for path in sorted(data.rglob("*")):
        if path.is_file() and path.relative_to(data).as_posix() not in small.keys() | videos.keys():
            path.unlink()
    for key in videos:
        (data / key).parent.mkdir(parents=True, exist_ok=True)
        (data / key).touch()
    done: dict[str, list[int | str]] = {}
    try:
        for key, entry in small.items():
            path = data / key
            now: list[int | str] = [entry.size, entry.version]
            if not (path.is_file() and before.get(key) == now and path.stat().st_size == entry.size):
                remote.fetch(key, path, entry)
                fetched += 1
            done[key] = now
    finally:
        write_json(index, {"address": str(remote.address), "files": done})
    return fetched


def _suffix(key: str) -> str:
    return Path(key).suffix.lower()
