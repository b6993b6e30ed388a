"""A folder of videos or ready crops: names, order, what is passed over."""

import os
from pathlib import Path

import pytest

from common.datasets import open_dataset
from common.datasets.folder import clips, clips_of, natural
from common.errors import DataError, UsageError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_natural_order_knows_numbers_and_survives_any_sign() -> None:
    names = ["clip10", "clip2", "clip2²3", "clip٣", "clip"]
    assert sorted(names, key=natural)[0] == "clip" and sorted(names, key=natural).index("clip2") < 4
    assert sorted(["clip10", "clip9"], key=natural) == ["clip9", "clip10"]


def test_crops_in_either_folder_belong_to_their_video(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "talk.mp4", tmp_path / "cropped_aligned" / "talk" / "00001.jpg")
    touch(tmp_path / "cropped_aligned_new_50_vids" / "alone" / "00001.jpg", tmp_path / ".hidden.mp4")
    found = {clip.id: clip for clip in clips(tmp_path)}
    assert set(found) == {"a__talk", "alone"}
    assert found["a__talk"].crops == tmp_path / "cropped_aligned" / "talk" and found["alone"].source.is_dir()


def test_a_name_that_is_no_text_is_refused_in_a_sentence(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")).write_bytes(b"x")
    with pytest.raises(DataError, match="can't name a clip"):
        clips(tmp_path)


def test_several_paths_are_one_data_set_each_video_once(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "talk.mp4", tmp_path / "b" / "talk.mp4", tmp_path / "b" / "sub" / "x.mov", tmp_path / "odd")
    found = {clip.id: clip.source for clip in clips_of([tmp_path / "odd", tmp_path / "a" / "talk.mp4", tmp_path / "b"])}
    assert found == {
        "odd": tmp_path / "odd",
        "a__talk": tmp_path / "a" / "talk.mp4",
        "b__talk": tmp_path / "b" / "talk.mp4",
        "sub__x": tmp_path / "b" / "sub" / "x.mov",
    }
    again = clips_of([tmp_path / "b" / "talk.mp4", tmp_path / "b", tmp_path / "a" / ".." / "b" / "talk.mp4"])
    assert [clip.id for clip in again] == ["talk", "sub__x"]


def test_one_of_several_paths_that_is_not_there_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "talk.mp4")
    with pytest.raises(UsageError, match=r"nothing at .*gone\.mp4"):
        open_dataset([tmp_path / "talk.mp4", tmp_path / "gone.mp4"], tmp_path, print)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="There is no video in"):
        open_dataset([tmp_path / "empty", tmp_path / "empty"], tmp_path, print)
    found = open_dataset([tmp_path / "talk.mp4", tmp_path / "empty"], tmp_path, print)
    assert (found.kind, found.root, [clip.id for clip in found.clips]) == ("folder", tmp_path, ["talk"])


def test_videos_that_differ_in_their_suffix_keep_it_and_predictions_are_no_data(tmp_path: Path) -> None:
    touch(tmp_path / "talk.mov", tmp_path / "talk.mp4", tmp_path / "a" / "x.mp4")
    done = tmp_path / "out" / "talk"
    touch(done / "overlay.mp4", done / "record.json", done / "predictions.csv", done / "report.html")
    assert [clip.id for clip in clips(tmp_path)] == ["a__x", "talk.mov", "talk.mp4"]
    assert [clip.id for clip in clips_of([tmp_path / "talk.mov", tmp_path / "talk.mp4"])] == ["talk.mov", "talk.mp4"]
