"""Speaks with what is behind an address, through fsspec: lists, fetches, puts; says in a sentence what goes wrong."""

from __future__ import annotations

import contextlib
import datetime
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import DataError, MavenError, StorageError, UsageError
from common.files import safe_name, written_whole
from common.partials import is_left, partial_name
from common.reasons import reason_of
from common.storage.address import Address

#: Stores on which an object appears whole, under its own name, or not at all. On others it is renamed to it.
_WHOLE = frozenset("s3 s3a gs gcs az abfs abfss adl oss oci".split())

#: What tells one content of an object from the next; the first that a store has.
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "updated", "modified")

_DRIVERS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}

_KEYLESS = frozenset("NoCredentialsError PartialCredentialsError CredentialRetrievalError ProfileNotFound".split())
_KEYLESS |= {"DefaultCredentialsError", "TokenRetrievalError", "NoAuthTokenError"}
_AWAY = frozenset("EndpointConnectionError ConnectTimeoutError ReadTimeoutError ConnectionClosedError SSLError".split())
_AWAY |= {"ClientConnectorError", "ClientConnectionError", "FSTimeoutError", "gaierror", "ConnectionError"}
_AWAY |= {"TimeoutError", "HTTPClientError", "ProxyConnectionError"}

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


@dataclass(frozen=True)
class Entry:
    """An object: its size in bytes, and what tells this content of it from another."""

    size: int
    version: str


class Remote:
    """The objects below an address.

    Raises
    ------
    UsageError
        If the address's driver isn't installed, or there is none.
    StorageError
        From each of its methods: no network, no credentials, no such bucket.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        with self._speaking():
            import fsspec

            self._fs, root = fsspec.core.url_to_fs(address.text, use_listings_cache=False, skip_instance_cache=True)
        self._root = str(root).rstrip("/")

    def check(self) -> None:
        """Raise now what would be raised later: nobody there, no right to look, no such bucket."""
        with self._speaking():
            if self.address.protocol in _WHOLE:
                self._fs.info(self._root.partition("/")[0])  # of the bucket; `exists` would answer no to all of these

    def is_file(self) -> bool:
        with self._speaking():
            return bool(self._fs.isfile(self._root))

    def listing(self, part: str = "") -> tuple[dict[str, Entry], list[str]]:
        """Objects below ``part`` by key relative to the address; and the keys that can't be files of a folder.

        Names that begin with a dot are passed over: of half-written files, claims, and what systems leave.
        """
        with self._speaking():
            found = self._fs.find(f"{self._root}/{part}" if part else self._root, detail=True)
        entries: dict[str, Entry] = {}
        refused: list[str] = []
        for name, info in found.items():
            key = str(name).removeprefix(f"{self._root}/")
            if info.get("type") != "file" or key.endswith("/") or _is_hidden(key):
                continue
            if _is_safe(key):
                entries[key] = _entry(info)
            else:
                refused.append(key)
        return entries, refused

    def entry(self, key: str) -> Entry:
        with self._speaking():
            return _entry(self._fs.info(self._path(key)))

    def fetch(self, key: str, target: Path, expected: Entry | None = None, check: Any = None) -> Entry:
        """Fetch an object to ``target``, whole or not at all.

        Parameters
        ----------
        expected : Entry, optional
            As listed; another is refused.
        check : callable, optional
            Called with the file before it gets its name; raises what is wrong with it.
        """
        with written_whole(target) as partial:
            with self._speaking(key):
                self._fs.get_file(self._path(key), str(partial))
                now = _entry(self._fs.info(self._path(key)))
            size = partial.stat().st_size
            if size != now.size or (expected is not None and now != expected):
                raise StorageError(
                    f"{self.address.below(key)} was changed while it was fetched, or came in part ({size} bytes of "
                    f"{(expected or now).size}).",
                    "Run the same command again.",
                    one_object=True,
                )
            if check is not None:
                check(partial)
        return now

    def put(self, source: Path, key: str) -> Entry:
        """Put a file to ``key``: it appears there whole or not at all."""
        path, size = self._path(key), source.stat().st_size
        with self._speaking():
            if self.address.protocol in _WHOLE:
                self._fs.put_file(str(source), path)
            else:
                folder, _, name = path.rpartition("/")
                partial = f"{folder}/{partial_name(name)}"
                self._fs.makedirs(folder, exist_ok=True)
                self._fs.put_file(str(source), partial)
                self._fs.mv(partial, path)
            now = _entry(self._fs.info(path))
        if now.size != size:
            raise StorageError(
                f"{self.address.below(key)} has {now.size} bytes, {source} has {size}.",
                "Run the same command again.",
                one_object=True,
            )
        return now

    def remove_partials(self, part: str) -> None:
        """Remove what killed processes of this machine left half-put."""
        if self.address.protocol not in _WHOLE:
            with self._speaking():
                for name in self._fs.find(f"{self._root}/{part}"):
                    if is_left(Path(str(name))):
                        self._fs.rm_file(name)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    @contextlib.contextmanager
    def _speaking(self, key: str = "") -> Iterator[None]:
        try:
            yield
        except MavenError:
            raise
        except Exception as error:  # each store's library has errors of its own
            if isinstance(error, OSError) and error.errno in _DISK:
                raise
            if key and isinstance(error, FileNotFoundError):
                text = f"{self.address.below(key)} was there when it was listed, and is gone."
                raise StorageError(text, "Run the same command again.", one_object=True) from error
            raise _explained(error, self.address) from error


def _entry(info: Any) -> Entry:
    version = next((info[name] for name in (*_VERSIONS, "created") if info.get(name) is not None), "")
    if isinstance(version, datetime.datetime):  # some stores give one when listing and a number when asked
        version = version.timestamp()
    return Entry(int(info.get("size") or 0), str(version))


def _is_hidden(key: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in key.split("/"))


def _is_safe(key: str) -> bool:
    """Can it be the path of a file below a folder, and nowhere else?"""
    try:
        return all(safe_name(part, Path(key)) for part in key.split("/"))
    except (DataError, ValueError):
        return False


def _explained(error: Exception, address: Address) -> MavenError:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    reason = reason_of(error) or type(error).__name__
    if isinstance(error, ImportError):
        driver = _DRIVERS.get(address.protocol, f"for {address.protocol}://")
        how = "requirements-storage.txt has s3fs; others are installed by name, in fsspec's version."
        return UsageError(f"{address} needs the package {driver}, which isn't installed.", f"Install it: {how}")
    if isinstance(error, ValueError) and "rotocol" in reason:
        return UsageError(
            f"{address}: nothing is known of {address.protocol}://.", "Give s3://bucket/folder, or a path."
        )
    if kinds & _KEYLESS:
        cure = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; FSSPEC_S3_ANON=true if it is public."
        return StorageError(f"{address}: there are no credentials for it ({reason}).", cure)
    if isinstance(error, PermissionError):
        return StorageError(f"{address}: access is refused ({reason}).", "Check the credentials and their rights.")
    if isinstance(error, FileNotFoundError):
        return StorageError(f"{address}: it isn't there ({reason}).", "Check the bucket and the names in the address.")
    if kinds & _AWAY:
        cure = "Check the network, and AWS_ENDPOINT_URL for a server of your own; the same command goes on from there."
        return StorageError(f"{address} can't be reached ({reason}).", cure)
    return StorageError(f"{address}: {type(error).__name__}: {reason}.", "Check the address and its server.")
