"""A data set behind an address looks like a local one; its videos are fetched when they are needed, and no sooner."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from common.errors import StorageError, UsageError
from common.files import sha256
from common.storage import data as storage_data
from common.storage.address import Address
from common.storage.data import RemoteVideos, local_data
from common.storage.remote import Remote


@pytest.fixture
def far(tmp_path: Path) -> Path:
    folder = tmp_path / "far"
    for name, content in {
        "videos/talk 'ü'.mp4": b"film",
        "videos/talk 'ü'.srt": b"words",
        "videos/sub/other.AVI": b"other film",
        "labels/talk.txt": b"valence,arousal\n",
        "huge.zip": b"archive",
        "cropped_aligned/talk/00001.jpg": b"face",
        "cropped_aligned/talk/note.txt": b"x",
        ".hidden/x.txt": b"x",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are fetched."""
    keys: list[str] = []
    real = Remote.fetch

    def fetch(self: Remote, key: str, *arguments: Any) -> Any:
        keys.append(key)
        return real(self, key, *arguments)

    monkeypatch.setattr(Remote, "fetch", fetch)
    return keys


def opened(data: Any, cache: Path, said: list[str] | None = None) -> Any:
    return local_data(data, cache, (said if said is not None else []).append)


def remote_videos(place: Any, videos: RemoteVideos | None) -> RemoteVideos:
    assert isinstance(place, Path) and videos is not None
    return videos


def test_small_files_are_mirrored_and_videos_are_empty_until_fetched(
    far: Path, tmp_path: Path, fetched: list[str]
) -> None:
    said: list[str] = []
    with opened(Address(f"file://{far}"), tmp_path / "cache", said) as (place, found):
        videos = remote_videos(place, found)
        names = {path.relative_to(place).as_posix(): path.stat().st_size for path in place.rglob("*") if path.is_file()}
        film = "videos/talk 'ü'.mp4"
        assert names == {film: 0, "videos/talk 'ü'.srt": 5, "videos/sub/other.AVI": 0, "labels/talk.txt": 16}
        assert fetched == ["labels/talk.txt", "videos/talk 'ü'.srt"]
        assert place / film in videos and place / "labels" / "talk.txt" not in videos
        assert videos.identity(place / film)[0] == 4 and videos.place(place / film) == f"file://{far}/{film}"
        assert videos.sha256(place / film, fetch=False) == ""
        copy = videos.fetch(place / film)
        assert copy.read_bytes() == b"film" and videos.fetch(place / film) == copy and len(fetched) == 3
        assert videos.sha256(place / film, fetch=False) == sha256(copy)
        small = place / "labels" / "talk.txt"
        assert videos.place(small) == str(small) and videos.fetch(small) == small
        assert videos.sha256(small, fetch=False) == sha256(small) and videos.identity(small)[0] == 16
        videos.drop(small)
        assert small.exists() and videos.named(f"{copy}: odd.") == f"file://{far}/{film}: odd."
        videos.drop(place / film)
        assert not copy.exists() and (place / film).stat().st_size == 0
        videos.drop(place / film)
        videos.fetch(place / film)
    assert not list((tmp_path / "cache").glob("remote/*/.videos*")), "nothing is left"
    assert said[0].endswith("2 files of ready crops are passed over: crops are read from local folders alone.")
    assert said[-1].endswith("2 videos, 2 other files, 2 of them fetched now.")


def test_what_is_known_is_not_fetched_again_and_what_changed_is(far: Path, tmp_path: Path, fetched: list[str]) -> None:
    address, film = Address(f"file://{far}"), "videos/talk 'ü'.mp4"
    with opened(address, tmp_path) as (place, videos):
        before = videos.identity(place / film)
        videos.sha256(place / film, fetch=True)
    del fetched[:]
    with opened(address, tmp_path) as (place, videos):
        assert videos.identity(place / film) == before and videos.sha256(place / film, fetch=True)
    assert fetched == []
    (far / film).write_bytes(b"FILM")
    (far / "labels" / "talk.txt").write_bytes(b"arousal,valence\n")
    (far / "videos" / "talk 'ü'.srt").unlink()
    with opened(address, tmp_path) as (place, videos):
        assert fetched == ["labels/talk.txt"] and not (place / "videos" / "talk 'ü'.srt").exists()
        assert videos.identity(place / film) != before and videos.sha256(place / film, fetch=False) == ""


def test_one_file_is_taken_alone(far: Path, tmp_path: Path) -> None:
    with opened(Address(f"file://{far}/videos/sub/other.AVI"), tmp_path) as (place, videos):
        assert place.name == "other.AVI" and place in videos and videos.fetch(place).read_bytes() == b"other film"
        assert videos.place(place) == f"file://{far}/videos/sub/other.AVI"
    with opened(Address(f"file://{far}/labels/talk.txt"), tmp_path) as (place, videos):
        assert place.read_bytes() == b"valence,arousal\n" and place not in videos


def test_paths_stay_paths(tmp_path: Path) -> None:
    for given in (tmp_path, None, [tmp_path, tmp_path / "x"]):
        with opened(given, tmp_path) as (place, videos):
            assert place == given and videos is None


def test_an_address_among_others_or_with_nothing_behind_it_is_wrong_usage(far: Path, tmp_path: Path) -> None:
    address = Address(f"file://{far}")
    with pytest.raises(UsageError, match="is one of several"), opened((address, far), tmp_path):
        pass
    with (
        pytest.raises(UsageError, match="There is nothing at file://.*none"),
        opened(address_of(far, "none"), tmp_path),
    ):
        pass


def address_of(far: Path, name: str) -> Address:
    return Address(f"file://{far}/{name}")


def test_a_disk_without_room_is_found_before_the_video_is_fetched(
    far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetched: list[str]
) -> None:
    usage = shutil.disk_usage(tmp_path)
    with opened(Address(f"file://{far}"), tmp_path / "cache") as (place, videos):
        monkeypatch.setattr(storage_data.shutil, "disk_usage", lambda path: usage._replace(free=1000))
        count = len(fetched)
        with pytest.raises(OSError, match="no room for 0.0 MiB"):
            videos.fetch(place / "videos" / "talk 'ü'.mp4")
        assert len(fetched) == count


def test_a_video_that_vanishes_is_that_clips_fault_alone(far: Path, tmp_path: Path) -> None:
    with opened(Address(f"file://{far}"), tmp_path / "cache") as (place, videos):
        (far / "videos" / "talk 'ü'.mp4").unlink()
        with pytest.raises(StorageError, match="is gone") as caught:
            videos.fetch(place / "videos" / "talk 'ü'.mp4")
        assert caught.value.one_object


@pytest.fixture
def hostile() -> Iterator[Address]:
    store, root = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}"
    store.pipe_file(f"{root}/a.mp4", b"film")
    for key in ("../evil.mp4", "/etc/evil.txt", "x/../../../evil.txt", "nul\0l.mp4"):
        store.store[f"{root}/{key}"] = store.store[f"{root}/a.mp4"]
    yield Address(f"memory:/{root}")
    for key in [key for key in store.store if key.startswith(root)]:
        del store.store[key]


def test_names_that_climb_out_never_leave_the_mirror(hostile: Address, tmp_path: Path) -> None:
    said: list[str] = []
    with opened(hostile, tmp_path / "deep" / "cache", said) as (place, _):
        assert [path.name for path in place.rglob("*")] == ["a.mp4"]
    assert not [path for path in tmp_path.rglob("*evil*")]
    assert any("4 names can't be files of a folder" in line for line in said)
