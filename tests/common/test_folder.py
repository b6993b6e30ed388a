"""A folder of videos or ready crops: names, order, what is passed over."""

import os
from pathlib import Path

import pytest

from common.datasets.folder import clips, natural
from common.errors import DataError


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
