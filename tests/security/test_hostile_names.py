"""Names that climb out of a folder, and links that lead out of the cache: refused, or never followed by what writes."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from common.clip_log import ClipLog
from common.datasets import affwild2, folder, survey_dataset
from common.errors import CacheError, DataError
from common.files import append_line, one_at_a_time, safe_name, write_text
from common.manifest import MANIFEST, CachedClip, Manifest, read_manifest, write_manifest
from common.store import read_attributes
from stage1_embeddings.plan import tracks_in
from stage3_mlp.views.view import _Cached
from tests.security.hostile_clips import whole_clip

CLIMBING = (
    "..", ".", "", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", ".hidden", "a\nb", "a\x7fb", "a\u202eb", "a\u2028b",
    "CON", "nul", "aux.txt", "Com1", "lpt9.a.b", "a" * 201, "ü" * 101,
)  # fmt: skip


@pytest.mark.parametrize("name", CLIMBING)
def test_a_name_that_is_no_file_s_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="can't name a clip.*Rename it"):
        safe_name(name, Path("talk.mp4"))


@pytest.mark.parametrize(
    "name", ["talk", "-q7b_1", "a..b", "a b'c\"", "ü" * 100, "console", "com10", "aux1.mp4", "语音"]
)
def test_names_of_real_files_pass(name: str) -> None:
    assert safe_name(name, Path("talk.mp4")) == name


@pytest.mark.parametrize("name", ["aux.mp4", "a\u202eb.mp4", "con.mp4"])
def test_a_video_of_such_a_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match="can't name a clip"):
        folder.clips(tmp_path)


def test_an_annotation_of_such_a_name_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "VA_Estimation_Challenge" / "Train_Set"
    place.mkdir(parents=True)
    (place / "nul.txt").write_text("valence,arousal\n0,0\n")
    (tmp_path / "nul.mp4").touch()
    with pytest.raises(DataError, match=r"nul.* can't name a clip"):
        affwild2.clips(tmp_path)


def test_dialogues_of_such_names_are_refused(tmp_path: Path) -> None:
    names = [name for name in CLIMBING if name]
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["said", "felt", "of"], *(["hello", "joy", name] for name in [*names, "talk"])])
    (tmp_path / "table.yaml").write_text("file: t.csv\nutterance: said\nlabel: felt\ndialogue: of\n")
    found = survey_dataset(tmp_path, tmp_path / "cache", lambda text: None)
    refused = [one for one in found.findings if "can't name a clip" in one.text or "with a NUL" in one.text]
    assert len(refused) == len(names) and {one.weight for one in refused} == {"refused"}


def manifest(**values: Any) -> Manifest:
    clip = CachedClip("talk", "test", "talk.mp4", 1, True, "0")
    return Manifest(**{**asdict(Manifest("d", "folder", "features/0", {}, {}, ())), "clips": (clip,), **values})


@pytest.mark.parametrize("name", ["../../etc", "/etc", "features/../../x", "", "features//x"])
def test_a_manifest_s_folders_lie_in_the_cache(tmp_path: Path, name: str) -> None:
    for hostile in (manifest(folder=name), manifest(videos={"folder": name, "clips": {}})):
        write_manifest(tmp_path, hostile)
        with pytest.raises(CacheError, match=rf"{MANIFEST} names what no run of this program does"):
            read_manifest(tmp_path)


@pytest.mark.parametrize("name", CLIMBING)
def test_a_manifest_s_clips_are_names(tmp_path: Path, name: str) -> None:
    clip = CachedClip(name, "test", "talk.mp4", 1, True, "0")
    for hostile in (manifest(clips=(clip,)), manifest(videos={"folder": "features/1", "clips": {name: "0"}})):
        write_manifest(tmp_path, hostile)
        with pytest.raises(CacheError, match=rf"{MANIFEST} names what no run of this program does.*can't name a clip"):
            read_manifest(tmp_path)


def test_an_honest_manifest_passes(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest(videos={"folder": "features/1", "clips": {"a": "0"}}))
    assert read_manifest(tmp_path).clips[0].id == "talk"


def test_an_index_of_tracks_names_files_of_its_folder() -> None:
    assert tracks_in({"clips": ["talk.face1"]}) == ["talk.face1"]
    for hostile in ({"clips": ["talk.face1", "../../x"]}, {"clips": 7}, {"clips": [None, "/etc/passwd"]}, {}):
        assert tracks_in(hostile) == []


def test_a_clip_doesn_t_choose_where_its_page_is_written(tmp_path: Path) -> None:
    import h5py

    path = whole_clip(tmp_path / "talk.h5")
    with h5py.File(path, "a") as file:
        file.attrs["video"] = "../../../home"
        del file.attrs["crc32"]  # a stranger's would fit
    with pytest.raises(DataError, match=r"talk.h5' can't name a clip"):
        _Cached(path, "").video  # noqa: B018  it is looked up


def test_writing_follows_no_link(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.write_text("mine\n")
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("talk.h5", "page.html", ClipLog(cache).path.name, "list.jsonl", ".talk.claim"):
        (cache / name).symlink_to(private)
    assert read_attributes(whole_clip(cache / "talk.h5"))["clip"] == "talk"
    write_text(cache / "page.html", "page")
    for append in (lambda: ClipLog(cache).add("talk", "done"), lambda: append_line(cache / "list.jsonl", "{}")):
        with pytest.raises(OSError, match="symbolic link"):
            append()
    with pytest.raises(OSError), one_at_a_time(cache / "talk"):
        pass
    assert private.read_text() == "mine\n"
    assert not (cache / "talk.h5").is_symlink() and not (cache / "page.html").is_symlink()


def test_data_may_lie_behind_links(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.mp4").touch()
    data = tmp_path / "data"
    data.mkdir()
    (data / "talk.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    assert [clip.id for clip in folder.clips(data)] == ["talk"]


def test_a_log_has_a_line_for_each_call(tmp_path: Path) -> None:
    log = ClipLog(tmp_path / "new")
    log.add("ü", "done")
    log.add("b", "failed", problem="x")
    lines = log.path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["clip"] for line in lines] == ["ü", "b"]
