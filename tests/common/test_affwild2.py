"""Aff-Wild2's layout and annotation files, whole and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.datasets import affwild2, open_dataset
from common.errors import DataError, UsageError


def layout(root: Path, names: dict[str, list[str]], videos: list[str]) -> Path:
    for folder, clips in names.items():
        (root / "annotations" / affwild2.CHALLENGE / folder).mkdir(parents=True, exist_ok=True)
        for clip in clips:
            path = root / "annotations" / affwild2.CHALLENGE / folder / f"{clip}.txt"
            path.write_text("valence,arousal\n0.5,-0.5\n")
    for video in videos:
        path = root / "videos" / "batch1" / video
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def test_clips_get_their_splits_in_natural_order(tmp_path: Path) -> None:
    names = {"Train_Set": ["video10", "video2"], "Validation_Set": ["1-30-1280x720"], "Test_Set": ["video3"]}
    layout(tmp_path, names, ["video2.mp4", "video10.avi", "1-30-1280x720.mp4", "video3.mp4", "unused.mp4"])
    dataset = open_dataset(tmp_path, tmp_path / "cache", lambda _: None)
    assert dataset.kind == "affwild2"
    assert [(clip.id, clip.split) for clip in dataset.clips] == [
        ("video2", "train"),
        ("video10", "train"),
        ("1-30-1280x720", "validation"),
        ("video3", "test"),
    ]


def test_all_annotations_without_a_video_are_listed(tmp_path: Path) -> None:
    layout(tmp_path, {"Train_Set": ["a", "b", "c"]}, ["b.mp4"])
    with pytest.raises(DataError, match=r"2 annotation file\(s\) have neither .*a.txt.*c.txt"):
        affwild2.clips(tmp_path)


def test_a_clip_in_two_splits_is_refused(tmp_path: Path) -> None:
    layout(tmp_path, {"Train_Set": ["a"], "Test_Set": ["a"]}, ["a.mp4"])
    with pytest.raises(DataError, match=r"Two clips are called 'a'.*train.*test"):
        open_dataset(tmp_path, tmp_path / "cache", lambda _: None)


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    layout(tmp_path, {"Train_Set": ["a"]}, ["a.mp4", "a.avi"])
    with pytest.raises(DataError, match="Two videos are called 'a'"):
        affwild2.clips(tmp_path)


def test_a_folder_of_videos_has_no_labels_and_no_collisions(tmp_path: Path) -> None:
    (tmp_path / "Zoë's talk").mkdir()
    for name in ("b 10.mp4", "b 2.mp4", "Zoë's talk/b 2.mov", ".hidden.mp4", "notes.txt"):
        (tmp_path / name).touch()
    dataset = open_dataset(tmp_path, tmp_path / "cache", lambda _: None)
    assert [clip.id for clip in dataset.clips] == ["Zoë's talk__b 2", "b 2", "b 10"]
    assert {clip.split for clip in dataset.clips} == {"unsplit"}


def test_nothing_there_and_nothing_in_it_are_different_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is nothing at"):
        open_dataset(tmp_path / "nowhere", tmp_path, lambda _: None)
    with pytest.raises(DataError, match="There is no video in"):
        open_dataset(tmp_path, tmp_path, lambda _: None)


def test_not_annotated_is_nan_and_never_a_number(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\ufeffValence,Arousal\r\n0.25,-1\r\n-5,-5\r\n-5,0.5\r\n1,1\r\n\r\n", encoding="utf-8")
    labels = affwild2.read_annotation(path)
    np.testing.assert_array_equal(labels, [[0.25, -1], [np.nan, np.nan], [np.nan, np.nan], [1, 1]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a.txt is empty"),
        ("arousal,valence\n0,0\n", "line 1 is 'arousal,valence'"),
        ("valence,arousal\n0.1,0.2\n0.1\n", "line 3 is '0.1'"),
        ("valence,arousal\n0.1,0.2,0.3\n", "line 2 is '0.1,0.2,0.3'"),
        ("valence,arousal\n0.1,x\n", "line 2 is '0.1,x'"),
        ("valence,arousal\nnan,0\n", "line 2: valence is nan"),
        ("valence,arousal\n0,inf\n", "line 2: arousal is inf"),
        ("valence,arousal\n0,1.01\n", "line 2: arousal is 1.01"),
    ],
)
def test_broken_annotations_say_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        affwild2.read_annotation(path)


def test_what_is_not_text_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xff\xfe\x00v")
    with pytest.raises(DataError, match="isn't UTF-8"):
        affwild2.read_annotation(path)
    with pytest.raises(DataError, match="There is no annotation file"):
        affwild2.read_annotation(tmp_path / "b.txt")


def test_small_differences_are_mended_and_said_large_ones_refused() -> None:
    labels = np.zeros((100, 2), dtype=np.float32)
    same, said = affwild2.fit_to_frames(labels, 100, Path("a.txt"))
    assert same is labels and said is None
    longer, said = affwild2.fit_to_frames(labels, 103, Path("a.txt"))
    assert np.isnan(longer[100:]).all() and said is not None and "100 rows for 103 frames" in said
    shorter, said = affwild2.fit_to_frames(labels, 96, Path("a.txt"))
    assert len(shorter) == 96 and said is not None and "4 surplus rows" in said
    with pytest.raises(DataError, match="100 rows, its video 120 frames"):
        affwild2.fit_to_frames(labels, 120, Path("a.txt"))
