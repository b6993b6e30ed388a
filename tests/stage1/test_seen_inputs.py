"""What a look at a clip's inputs shows, and when it shows nothing that could be relied on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from common.manifest import Clip, Utterance
from stage1_embeddings.cache_index import inputs
from stage1_embeddings.cache_index.inputs import Beside, seen
from stage1_embeddings.transcript import SUFFIXES


def put(path: Path, content: bytes = b"x", age_s: float = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    return Clip("talk", put(tmp_path / "data" / "Grüße 1.mp4"), "train", put(tmp_path / "labels" / "talk.txt"))


def test_every_input_is_seen(clip: Clip) -> None:
    shown = {seen(clip)}
    put(clip.source, b"longer")
    shown.add(seen(clip))
    put(clip.source, b"longer", age_s=59)
    shown.add(seen(clip))
    assert clip.annotation is not None
    put(clip.annotation, b"other", age_s=50)
    shown.add(seen(clip))
    for suffix in SUFFIXES:
        put(clip.source.with_suffix(suffix))
        shown.add(seen(clip))
    shown.add(seen(Clip("talk", clip.source, "train", clip.annotation, side="left")))
    shown.add(seen(Clip("talk", clip.source, "train")))
    assert len(shown) == 4 + len(SUFFIXES) + 2 and "" not in shown
    assert seen(clip) == seen(clip, Beside())


@pytest.mark.parametrize("young", ["source", "annotation", "transcript"])
@pytest.mark.parametrize("age_s", [0.0, 1.0, -3600.0])
def test_what_could_change_again_within_a_tick_is_not_relied_on(clip: Clip, young: str, age_s: float) -> None:
    place = clip.source.with_suffix(".srt") if young == "transcript" else getattr(clip, young)
    put(place, age_s=age_s)
    assert seen(clip) == ""


def test_crops_text_and_what_is_gone_are_not_relied_on(clip: Clip, tmp_path: Path) -> None:
    assert seen(Clip("talk", tmp_path / "data", "train")) == ""
    assert seen(Clip("talk", tmp_path, "train", utterances=(Utterance("Hey."),))) == ""
    assert seen(Clip("talk", tmp_path / "no folder" / "talk.mp4", "train"), Beside()) == ""
    assert clip.annotation is not None
    clip.annotation.unlink()
    assert seen(clip) == ""


@pytest.mark.parametrize("most", [100_000, 3, 0])
def test_listing_a_folder_finds_what_looking_one_by_one_finds(
    tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        "a.mp4",
        "b.c.mp4",
        "no suffix",
        ".hidden",
        "end.",
        "x.srt",
        *(f"talk {number}.mp4" for number in range(9)),
    ]
    for number, name in enumerate(names):
        video = put(tmp_path / name)
        if number % 3:
            put(video.with_suffix(SUFFIXES[number % len(SUFFIXES)]) if name != "end." else tmp_path / "end..srt")
    one_by_one = {name: Beside().of(str(tmp_path / name)) for name in names}
    monkeypatch.setattr(inputs, "_WORTH_LISTING", 2)
    monkeypatch.setattr(inputs, "_MOST_NAMES", most)
    beside = Beside()
    assert {name: beside.of(str(tmp_path / name)) for name in names} == one_by_one
    for name, found in one_by_one.items():
        video = tmp_path / name
        places = [video.with_suffix(suffix) for suffix in SUFFIXES]
        assert found == [str(path) for path in places if path.exists() and path != video], name
    assert sum(map(len, one_by_one.values())) > 5


def test_names_relative_to_here_and_to_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "talk.mp4")
    put(tmp_path / "talk.srt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "_WORTH_LISTING", 1)
    assert Beside().of("talk.mp4") == ["talk.srt"]
    assert Beside().of("/no such video.mp4") == []
