"""What is behind an address, by fsspec's own local and memory file systems: whole objects, safe names, plain errors."""

from __future__ import annotations

import errno
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from common.errors import StorageError, UsageError
from common.owner import this_process
from common.storage.address import Address
from common.storage.remote import Entry, Remote, _explained


@pytest.fixture(params=["file", "memory"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Address]:
    if request.param == "file":
        (tmp_path / "far 'ü'").mkdir()
        yield Address(f"file://{tmp_path}/far 'ü'")
    else:
        found = Address(f"memory://{uuid.uuid4().hex}")
        yield found
        store, root = far(found)
        for key in [key for key in store.store if key.startswith(root)]:
            del store.store[key]


def far(address: Address) -> tuple[Any, str]:
    return fsspec.core.url_to_fs(address.text)


def write(address: Address, key: str, content: bytes) -> None:
    store, root = far(address)
    store.makedirs(f"{root}/{key}".rpartition("/")[0], exist_ok=True)
    store.pipe_file(f"{root}/{key}", content)


def test_what_is_put_is_listed_and_fetched(address: Address, tmp_path: Path) -> None:
    remote, source = Remote(address), tmp_path / "source"
    source.write_bytes(b"content".ljust(1000))
    assert remote.listing() == ({}, []) and not remote.is_file()
    put = remote.put(source, "features/0a/a b.h5")
    assert remote.listing()[0] == {"features/0a/a b.h5": put} == remote.listing("features")[0]
    assert remote.listing("fused") == ({}, [])
    assert put.size == 1000 and remote.entry("features/0a/a b.h5") == put
    assert remote.fetch("features/0a/a b.h5", tmp_path / "here" / "x", put) == put
    assert (tmp_path / "here" / "x").read_bytes() == source.read_bytes()
    source.write_bytes(b"other")
    again = remote.put(source, "features/0a/a b.h5")
    assert again != put and len(far(address)[0].find(far(address)[1])) == 1


def test_names_that_climb_out_are_refused_and_hidden_ones_passed_over() -> None:
    address = Address(f"memory://{uuid.uuid4().hex}")
    store, root = far(address)
    content = store.open(f"{root}/ok/a.txt", "wb")
    content.close()
    kept = store.store[f"{root}/ok/a.txt"]
    bad = ["../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "a\\b", "nul\0l", "n" * 300, "new\nline", ".."]
    hidden = [".claims/a", "a/.b.partial-x", ".git/config"]
    try:
        for key in bad + hidden:
            store.store[f"{root}/{key}"] = kept
        entries, refused = Remote(address).listing()
        assert list(entries) == ["ok/a.txt"] and sorted(refused) == sorted(bad)
    finally:
        for key in list(store.store):
            if key.startswith(root):
                del store.store[key]


def test_what_changes_or_vanishes_while_it_is_fetched_is_refused(address: Address, tmp_path: Path) -> None:
    write(address, "a.bin", bytes(100))
    remote, target = Remote(address), tmp_path / "a.bin"
    entry = remote.entry("a.bin")
    for other in (replace(entry, size=99), replace(entry, version="0")):
        with pytest.raises(StorageError, match="was changed while it was fetched, or came in part") as caught:
            remote.fetch("a.bin", target, other)
        assert caught.value.one_object and not target.exists()
    with pytest.raises(StorageError, match=r"b\.bin was there when it was listed, and is gone") as caught:
        remote.fetch("b.bin", target)
    assert caught.value.one_object


def test_a_transfer_that_ends_early_leaves_nothing(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(address, "a.bin", bytes(100))
    remote, target = Remote(address), tmp_path / "a.bin"

    def short(path: str, local: str, **options: Any) -> None:
        Path(local).write_bytes(bytes(60))

    with monkeypatch.context() as patched:
        patched.setattr(type(remote._fs), "get_file", lambda self, *a, **o: short(*a, **o))
        with pytest.raises(StorageError, match="60 bytes of 100"):
            remote.fetch("a.bin", target)
    assert list(tmp_path.glob("*a.bin*")) == []
    remote.fetch("a.bin", target)


def test_a_put_that_is_cut_off_is_never_seen_and_is_cleaned_up(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote, source = Remote(address), tmp_path / "source"
    source.write_bytes(bytes(1000))
    with monkeypatch.context() as patched:

        def half(self: Any, local: str, path: str, **options: Any) -> None:
            self.pipe_file(path, bytes(400))
            raise KeyboardInterrupt

        patched.setattr(type(remote._fs), "put_file", half)
        with pytest.raises(KeyboardInterrupt):
            remote.put(source, "features/a.h5")
    assert remote.listing() == ({}, [])
    store, root = far(address)
    (left,) = store.find(root)
    remote.remove_partials("features")
    assert store.find(root) == [left], "this process lives"
    store.mv(left, left.replace(str(this_process()), str(replace(this_process(), process=999999999))))
    remote.remove_partials("features")
    assert store.find(root) == []


def test_a_put_that_arrives_in_part_is_said(address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote, source = Remote(address), tmp_path / "source"
    source.write_bytes(bytes(1000))
    monkeypatch.setattr(type(remote._fs), "put_file", lambda self, local, path, **o: self.pipe_file(path, bytes(7)))
    with pytest.raises(StorageError, match="has 7 bytes, .*source has 1000"):
        remote.put(source, "features/a.h5")


def test_a_driver_that_is_missing_or_unknown_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"zz://b/x: nothing is known of zz://\..*s3://bucket"):
        Remote(Address("zz://b/x"))
    for name in ("s3", "gs"):
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, name, raising=False)
    for name in ("s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, name, None)
    for protocol, driver in (("s3", "s3fs"), ("gs", "gcsfs")):
        with pytest.raises(UsageError, match=rf"needs the package {driver}, .*requirements-storage\.txt"):
            Remote(Address(f"{protocol}://b/x"))


class NoCredentialsError(Exception):
    pass


class EndpointConnectionError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoCredentialsError("Unable to locate"), "no credentials for it .*AWS_PROFILE"),
        (PermissionError("Forbidden"), "access is refused .*rights"),
        (FileNotFoundError("The specified bucket does not exist"), "it isn't there .*bucket"),
        (EndpointConnectionError("Could not connect"), "can't be reached .*network"),
        (TimeoutError(), "can't be reached .*network"),
        (RuntimeError("odd\nthing"), "RuntimeError: odd thing"),
    ],
)
def test_what_goes_wrong_is_a_sentence(error: Exception, words: str) -> None:
    found = _explained(error, Address("s3://u:secret@b/x"))
    assert isinstance(found, StorageError) and not found.one_object
    with pytest.raises(StorageError, match=words):
        raise found
    assert "secret" not in str(found) and "\n" not in str(found)


def test_a_full_disk_stays_what_it_is(address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(address, "a.bin", bytes(100))
    remote = Remote(address)

    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(remote._fs), "get_file", full)
    with pytest.raises(OSError, match="No space left"):
        remote.fetch("a.bin", tmp_path / "a.bin")
    assert Entry(1, "a") != Entry(1, "b")
