"""A folder's listing gives what looking at each file would: for the natural order, videos, crops and tables."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.datasets import folder, open_dataset
from common.datasets.folder import clips, is_video, natural, ready_crops, videos

names = st.text(alphabet="ab.-_ é0123456789٣²", min_size=1, max_size=12)


def by_parts(name: str) -> list[tuple[int, str]]:
    """The order in words: text and numbers in turn, a number of more digits after one of fewer."""
    parts = re.split(r"(\d+)", name)
    digits = [part.lstrip("0") if part.isdecimal() else None for part in parts]
    return [(-1, part) if some is None else (len(some), some) for part, some in zip(parts, digits, strict=True)]


@given(names, names)
def test_the_natural_order_is_that_of_texts_and_numbers(one: str, two: str) -> None:
    assert (natural(one) < natural(two)) == (by_parts(one) < by_parts(two))
    assert (natural(one) == natural(two)) == (by_parts(one) == by_parts(two))


def test_a_number_of_any_length_has_its_place() -> None:
    long = "9" * 0x11_0000
    assert natural("2") < natural("1" + "0" * 60_000) < natural(long)


@given(st.text(alphabet="ab.mp4MOV~", min_size=1, max_size=8).filter(lambda name: name.strip(".") != ""))
def test_a_video_is_known_by_its_suffix(name: str) -> None:
    path = Path(name)
    assert is_video(name) == (path.suffix.lower() in folder.VIDEO_SUFFIXES and not name.startswith("."))


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Links, hidden ones, folders with names of videos, crops at every depth."""
    root = tmp_path / "a 'set' of Grüße"
    put(root / "10.mp4", root / "2.MOV", root / "sub" / "in" / "x.y.webm", root / ".hidden" / "z.mp4", root / ".h.mp4")
    put(tmp_path / "outside" / "far.mkv", root / "no video.doc", root / "end.mp4.", root / "folder.mp4" / "inner.avi")
    for crops in ("cropped_aligned/2", "a/cropped_aligned_b/k", "a/b/cropped_aligned/m", "a/b/c/cropped_aligned/deep"):
        put(root / crops / "00001.jpg", root / crops / "no.mp4")
    put(root / "cropped_aligned" / "2" / "cropped_aligned" / "inner" / "00001.jpg", root / "cropped_alignedno" / "v.ts")
    put(root / "a" / "cropped_aligned_b" / "cropped_aligned" / "n" / "00001.jpg")
    (root / "linked.mp4").symlink_to(tmp_path / "outside" / "far.mkv")
    (root / "linked folder").symlink_to(tmp_path / "outside")
    (root / "gone.mp4").symlink_to(root / "nowhere")
    (root / "circle.mp4").symlink_to(root / "circle.mp4")
    (root / "sub" / "in" / "up").symlink_to(root)
    os.mkfifo(root / "pipe.mp4")
    return root


def test_only_what_is_a_file_is_a_video(odd: Path) -> None:
    expected = ["2.MOV", "10.mp4", "cropped_alignedno/v.ts", "folder.mp4/inner.avi", "linked.mp4", "sub/in/x.y.webm"]
    assert [str(path.relative_to(odd)) for path in videos(odd)] == expected
    slow = [path for path in odd.rglob("*") if path.is_file() and path.suffix.lower() in folder.VIDEO_SUFFIXES]
    entered = [path for path in slow if not re.search(r"/\.|/cropped_aligned(_\w+)?/|/linked folder/|/up/", str(path))]
    assert sorted(entered) == sorted(videos(odd))


def test_clips_are_called_by_their_place(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {clip.id: clip for clip in clips(odd)}
    assert list(found)[:6] == ["2", "10", "cropped_alignedno__v", "folder.mp4__inner", "linked", "sub__in__x.y"]
    assert list(found)[6:] == ["cropped_aligned", "k", "m", "n"] and found["2"].crops == odd / "cropped_aligned" / "2"
    assert all(clip.source.exists() for clip in found.values())
    monkeypatch.chdir(odd)
    assert [(clip.id, str(clip.source)) for clip in clips(Path())][:2] == [("2", "2.MOV"), ("10", "10.mp4")]


def test_crops_lie_at_or_up_to_two_levels_below(odd: Path) -> None:
    assert list(ready_crops(odd)) == ["2", "cropped_aligned", "k", "m", "n"]
    assert list(ready_crops(odd / "cropped_aligned")) == ["2"]
    assert ready_crops(odd / "no such folder") == {}


def test_a_folder_that_cannot_be_read_is_passed_over(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [clip.id for clip in clips(odd)][4:] == ["linked", "cropped_aligned", "k", "m", "n"]


def test_a_folder_of_videos_is_opened_without_looking_at_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(*(tmp_path / "data" / f"{number}.mp4" for number in range(50)), tmp_path / "data" / "~$list.csv")
    looks: list[str] = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **how: (looks.append(str(path)), stat(path, **how))[1])
    found = open_dataset(tmp_path / "data", tmp_path / "cache", print)
    assert [clip.id for clip in found.clips] == [str(number) for number in range(50)]
    assert not [path for path in looks if path.endswith((".mp4", "list.csv"))]
