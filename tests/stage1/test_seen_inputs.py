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


def there(beside: Beside, video: str) -> list[str]:
    return [path for path in beside.of(video) if Path(path).exists()]


@pytest.mark.parametrize("bits", [1 << 24, 64, 8])
@pytest.mark.parametrize("most_folders", [10_000, 0])
def test_listing_a_folder_finds_what_looking_one_by_one_finds(
    tmp_path: Path, bits: int, most_folders: int, monkeypatch: pytest.MonkeyPatch
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
    one_by_one = {name: there(Beside(), str(tmp_path / name)) for name in names}
    shown = {name: seen(Clip("x", tmp_path / name, "train")) for name in names}
    monkeypatch.setattr(inputs, "_WORTH_LISTING", 2)
    monkeypatch.setattr(inputs, "_MOST_FOLDERS", most_folders)
    monkeypatch.setattr(inputs, "_BITS", bits)
    beside = Beside()
    assert {name: there(beside, str(tmp_path / name)) for name in names} == one_by_one
    assert {name: seen(Clip("x", tmp_path / name, "train"), beside) for name in names} == shown
    assert all(shown[name].count(".") == len(found) for name, found in one_by_one.items())
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
    beside = Beside()
    for video in ("talk.mp4", "./talk.mp4", str(tmp_path / "talk.mp4")):
        assert there(beside, video) == [video.replace("mp4", "srt")]
    assert there(Beside(), "/no such video.mp4") == []


def test_a_listed_folder_is_looked_at_for_what_it_holds_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_WORTH_LISTING", 1)
    videos = [put(tmp_path / "plain" / f"{number}.mp4") for number in range(99)]
    beside = Beside()
    assert not any(beside.of(str(video)) for video in videos)
    put(tmp_path / "told" / "7.srt")
    several = [len(beside.of(str(tmp_path / "told" / video.name))) for video in videos]
    assert several[7] >= 1 and sum(several) < 50, "nor is there a bit for each of the others"


def test_a_transcript_that_goes_is_none_and_one_that_cannot_be_looked_at_is_not_relied_on(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "_WORTH_LISTING", 1)
    without, path = seen(clip), put(clip.source.with_suffix(".vtt"))
    beside = Beside()
    assert seen(clip, beside) == seen(clip) != without
    path.unlink()
    assert seen(clip, beside) == without
    path.symlink_to(path)
    assert seen(clip, beside) == seen(clip) == ""
