"""A local cache and its address kept alike: what is missing here is pulled, what is new here is published.

A file of the cache is written once and whole, so that a copy of it is right or wrong, never old. What was copied is
noted in ``.storage.jsonl`` beside it, with size and time here and size and version there; the next time, what is still
so on both sides is passed over. Where both have a file that isn't noted, this machine's own stays.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import CacheError, StorageError, UsageError
from common.files import one_at_a_time, remove_partials, write_text
from common.json_lines import append_line, read_lines
from common.storage.address import Address
from common.storage.remote import Entry, Remote

#: The parts of a cache that are worth copying; the rest is this machine's own, or made again in seconds.
PARTS = ("features", "crops", "fused", "scored", "tables")

RECORD = ".storage.jsonl"

#: Copies at once: small files take their time in waiting for an answer.
_AT_ONCE = 8

Say = Callable[[str], None]
_Local = tuple[int, int]


@dataclass(frozen=True)
class Copied:
    """How many files were copied, of how many bytes; how many were there already; and those that couldn't be."""

    files: int
    bytes: int
    there: int
    problems: tuple[str, ...]


class Copy:
    """The local copy of a cache that has an address.

    Raises
    ------
    UsageError
        If the folder is a copy of another address.
    """

    def __init__(self, cache: Path, address: Address, parts: tuple[str, ...] = PARTS) -> None:
        self._cache, self._parts = cache, parts
        self._remote = Remote(address)
        self._noted: dict[str, tuple[_Local, Entry]] = {}
        record = cache / RECORD
        for line in read_lines(record) if record.is_file() else ():
            if line.get("address", str(address)) != str(address):
                raise UsageError(
                    f"{cache} is a copy of {line['address']}, not of {address}.", "Give another folder (CACHE_LOCAL=)."
                )
            with contextlib.suppress(KeyError, TypeError, ValueError):  # torn: it is copied again
                size = int(line["size"])
                self._noted[str(line["key"])] = ((size, int(line["mtime_ns"])), Entry(size, str(line["version"])))
        self._address = address

    def pull(self) -> Copied:
        """Fetch what is missing here, and what has changed there since it was fetched."""
        with self._alone():
            entries, refused = self._listing()
            wanted = [key for key, entry in entries.items() if self._is_wanted(key, entry)]
            copied = self._each(wanted, lambda key: self._fetch(key, entries[key]))
            problems = [f"{self._address.below(key)!r} can't be a file of a cache: passed over." for key in refused]
            return Copied(*copied, len(entries) - len(wanted), (*self._problems, *problems))

    def publish(self) -> Copied:
        """Put what is new here; a file appears there whole or not at all."""
        with self._alone():
            self._remote.check()
            entries, _ = self._listing()
            files = {key: path for part in self._parts for key, path in self._files(part)}
            wanted = [key for key, path in files.items() if not self._is_alike(key, _local(path), entries.get(key))]
            for part in {key.partition("/")[0] for key in wanted}:
                self._remote.remove_partials(part)
            copied = self._each(wanted, lambda key: self._put(key, files[key], entries.get(key)))
            return Copied(*copied, len(files) - len(wanted), tuple(self._problems))

    def _listing(self) -> tuple[dict[str, Entry], list[str]]:
        entries: dict[str, Entry] = {}
        refused: list[str] = []
        for part in self._parts:
            found, bad = self._remote.listing(part)
            entries |= found
            refused += bad
        return entries, refused

    def _alone(self) -> Any:
        self._problems: list[str] = []
        self._cache.mkdir(parents=True, exist_ok=True)
        if not (self._cache / RECORD).is_file():
            append_line(self._cache / RECORD, {"address": str(self._address)})
        return one_at_a_time(self._cache / "storage")

    def _each(self, keys: list[str], copy: Callable[[str], int]) -> tuple[int, int]:
        """Copy all; what is wrong with one file is listed, what would be wrong with all ends it."""
        files = size = 0
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            waiting = {pool.submit(copy, key): key for key in keys}
            try:
                for future in as_completed(waiting):
                    try:
                        size += future.result()
                        files += 1
                    except (CacheError, StorageError) as error:
                        if isinstance(error, StorageError) and not error.one_object:
                            raise
                        self._problems.append(error.problem)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return files, size

    def _fetch(self, key: str, entry: Entry) -> int:
        target = self._cache / key
        if key.startswith("scored/") and target.is_file():
            return self._merge(key, target)
        remove_partials(target.parent)
        self._note(key, target, self._remote.fetch(key, target, entry, _checked(target)))
        return entry.size

    def _put(self, key: str, path: Path, entry: Entry | None) -> int:
        if key.startswith("scored/") and entry is not None:
            self._merge(key, path)
        before = _local(path)
        there = self._remote.put(path, key)
        if _local(path) == before:  # else it was replaced meanwhile, and is put again the next time
            self._note(key, path, there)
        return there.size

    def _merge(self, key: str, path: Path) -> int:
        """Take into a list of scored models what the list there has; in an order that is the same on all machines."""
        there = path.with_name(f".{path.name}.there")
        entry = self._remote.fetch(key, there)
        try:
            with one_at_a_time(path):
                lines = {str(line.get("model")): line for line in (*read_lines(path), *read_lines(there))}
                ordered = sorted(lines.values(), key=lambda line: (str(line.get("time")), str(line.get("model"))))
                write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in ordered))
            if path.read_bytes() == there.read_bytes():
                self._note(key, path, entry)
        finally:
            there.unlink()
        return entry.size

    def _is_wanted(self, key: str, entry: Entry) -> bool:
        path = self._cache / key
        if not path.is_file():
            return True
        noted = self._noted.get(key)
        if noted is None:
            return key.startswith("scored/")
        return noted[1] != entry and (noted[0] == _local(path) or key.startswith("scored/"))

    def _is_alike(self, key: str, local: _Local, entry: Entry | None) -> bool:
        return entry is not None and self._noted.get(key) == (local, entry)

    def _note(self, key: str, path: Path, entry: Entry) -> None:
        (size, mtime_ns) = _local(path)
        line = {"key": key, "size": size, "mtime_ns": mtime_ns, "version": entry.version}
        append_line(self._cache / RECORD, line)
        self._noted[key] = ((size, mtime_ns), entry)

    def _files(self, part: str) -> Iterator[tuple[str, Path]]:
        """The files of a part that are whole: names with a dot before them are of processes at work."""
        for path in sorted((self._cache / part).rglob("*")):
            key = path.relative_to(self._cache).as_posix()
            if path.is_file() and not path.is_symlink() and not any(name.startswith(".") for name in key.split("/")):
                yield key, path


def _checked(target: Path) -> Callable[[Path], None]:
    """Checks a fetched file of the cache by the checksums that are in it."""

    def check(partial: Path) -> None:
        if target.suffix == ".h5":
            from common.hdf5 import check_sums, opened

            try:
                with opened(partial, named=target, chunked=target.parent.name == "tables") as file:
                    check_sums(file, target, file.names())
            except CacheError as error:
                raise CacheError(f"What was fetched isn't whole: {error.problem}", "Publish it again.") from error

    return check


def _local(path: Path) -> _Local:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
