"""Runs with the index of finished clips end as runs without it, whatever became of files, inputs and the index."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest
from click.testing import CliRunner

from common.manifest import read_manifest, write_manifest
from stage1_embeddings.cache_index.index import FOLDER, CacheIndex
from stage1_embeddings.cli import main as stage1
from tests.conftest import SMALL
from tests.integration.chain import Chain


@pytest.fixture(scope="module")
def extracted(corpus: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Stage 1 over data of its own that aren't young."""
    root = tmp_path_factory.mktemp("index")
    shutil.copytree(corpus, root / "data")
    for path in (root / "data").rglob("*"):
        os.utime(path, (time.time() - 60, time.time() - 60))
    shutil.copytree(models, root / "cache")
    found = Chain(root / "data", root / "cache", root / "runs" / "run")
    assert found.embeddings().exit_code == 0
    return found


@pytest.fixture
def chain(extracted: Chain, tmp_path: Path) -> Chain:
    """A copy, with another inode for each file, that the index knows again."""
    shutil.copytree(extracted.data, tmp_path / "data")
    shutil.copytree(extracted.cache, tmp_path / "cache")
    found = Chain(tmp_path / "data", tmp_path / "cache", tmp_path / "runs" / "run")
    assert "nothing to do" in found.embeddings().output
    return found


def folder(chain: Chain) -> Path:
    return chain.cache / str(chain.manifest()["folder"])


def refuse(*_: object, **__: object) -> Any:
    raise AssertionError("a clip file was opened")


def left(chain: Chain) -> list[str]:
    sets = [part for setting in SMALL for part in ("--set", setting)]
    places = ["--data", str(chain.data), "--cache", str(chain.cache)]
    result = CliRunner().invoke(stage1, ["left", "--recipe", "demo", *sets, *places])
    assert result.exit_code == 0, result.output
    return result.output.split()


def test_nothing_is_opened_where_nothing_changed(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (chain.run / "manifest.json").read_bytes()
    monkeypatch.setattr(h5py, "File", refuse)
    result = chain.embeddings()
    assert result.exit_code == 0 and "nothing to do" in result.output, result.output
    assert (chain.run / "manifest.json").read_bytes() == before and left(chain) == []


@pytest.mark.parametrize("spoil", ["delete", "garbage", "torn"])
def test_without_its_index_a_run_ends_the_same(chain: Chain, spoil: str) -> None:
    before, place = (chain.run / "manifest.json").read_bytes(), folder(chain) / FOLDER
    files = list(place.iterdir())
    assert files
    if spoil == "delete":
        shutil.rmtree(place)
    for path in files if spoil != "delete" else []:
        path.write_bytes(b"\0garbage\n" * 99 if spoil == "garbage" else path.read_bytes()[:-40])
    assert left(chain) == []
    result = chain.embeddings()
    assert result.exit_code == 0 and "nothing to do" in result.output, result.output
    assert (chain.run / "manifest.json").read_bytes() == before
    names = [str(clip["id"]) for clip in chain.manifest()["clips"]]
    assert sorted(CacheIndex(folder(chain)).fresh(names)) == sorted(names)


def changed_label(chain: Chain, clip: str) -> None:
    (path,) = chain.data.rglob(f"{clip}.txt")
    lines = path.read_text().splitlines()
    lines[1] = "0.125,0.125"[: len(lines[1])].ljust(len(lines[1]), "0")
    path.write_text("\n".join(lines) + "\n")


def new_transcript(chain: Chain, clip: str) -> None:
    (video,) = (path for path in chain.data.rglob(f"{clip}.*") if path.suffix == ".mp4")
    video.with_suffix(".srt").unlink(missing_ok=True)
    video.with_suffix(".json").unlink(missing_ok=True)
    video.with_suffix(".vtt").write_text("WEBVTT\n\n00:00.000 --> 00:00.500\nwords\n")


def swapped_file(chain: Chain, clip: str) -> None:
    other = next(path for path in folder(chain).glob("*.h5") if path.stem != clip)
    shutil.copy(other, folder(chain) / f"{clip}.h5")


def cut_file(chain: Chain, clip: str) -> None:
    path = folder(chain) / f"{clip}.h5"
    path.write_bytes(path.read_bytes()[:-1000])


def lost_file(chain: Chain, clip: str) -> None:
    (folder(chain) / f"{clip}.h5").unlink()


@pytest.mark.parametrize("change", [changed_label, new_transcript, swapped_file, cut_file, lost_file])
def test_what_changed_is_left_and_done_again(chain: Chain, change: Any) -> None:
    clip = str(chain.manifest()["clips"][2]["id"])
    change(chain, clip)
    assert left(chain) == [clip]
    result = chain.embeddings()
    assert result.exit_code == 0 and "1 written now, 0 failed" in result.output, result.output
    assert left(chain) == []


def test_a_video_that_was_only_touched_is_hashed_once(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in chain.data.rglob("*.mp4"):
        os.utime(path, (time.time() - 30, time.time() - 30))
    assert "nothing to do" in chain.embeddings().output
    monkeypatch.setattr(h5py, "File", refuse)
    monkeypatch.setattr("stage1_embeddings.source.sha256", refuse)
    assert "nothing to do" in chain.embeddings().output


def test_verify_says_where_index_and_file_differ(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stage1_embeddings.cache_index.index._MOST_SEGMENTS", 0)
    name = str(chain.manifest()["clips"][0]["id"])
    index = CacheIndex(folder(chain))
    index.keep()
    index.add(index.fresh([name])[name]._replace(frames=7))
    index.close()
    result = CliRunner().invoke(stage1, ["verify", "--delete", "--cache", str(chain.cache)])
    assert result.exit_code == 1 and f"{name}.h5 has frames" in result.output and "its index 7" in result.output
    assert (folder(chain) / f"{name}.h5").is_file(), "the file is sound"
    for path in (folder(chain) / FOLDER).glob("*.sqlite"):
        path.write_bytes(b"garbage")
    result = CliRunner().invoke(stage1, ["verify", "--delete", "--cache", str(chain.cache)])
    assert "merged.sqlite is damaged" in result.output and "Removed." in result.output


def test_prune_takes_the_index_with_its_folder(chain: Chain) -> None:
    place = folder(chain)
    other = chain.run.parent / "other"
    write_manifest(other, replace(read_manifest(chain.run), folder=f"features/{'0' * 16}"))
    shutil.rmtree(chain.run)
    arguments = ["prune", "--yes", "--keep-days", "0", "--cache", str(chain.cache), "--runs", str(other)]
    result = CliRunner().invoke(stage1, arguments)
    assert result.exit_code == 0 and not place.exists(), result.output
