"""Stage 1 over a data set behind an address: the same features as from a folder, each video fetched once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from common.claims import Claim
from common.storage.data import RemoteVideos
from common.store import read_attributes, read_clip
from stage1_embeddings import workers
from tests.integration.chain import Chain


@pytest.fixture
def chain(corpus: Path, models: Path, tmp_path: Path) -> Chain:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models / "models")
    return Chain(shutil.copytree(corpus, tmp_path / "far"), tmp_path / "cache", tmp_path / "runs" / "far")


def test_features_are_those_of_a_folder_videos_are_fetched_once_and_the_chain_goes_on(
    chain: Chain, finished: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    real = RemoteVideos.fetch

    def fetch(self: RemoteVideos, path: Path) -> Path:
        here = [copy for copy in self._scratch.rglob("*") if copy.is_file()]
        assert {copy.name for copy in here} <= {path.name}, "one at a time, as one process decodes"
        if not here:
            fetched.append(path.name)
        return real(self, path)

    monkeypatch.setattr(RemoteVideos, "fetch", fetch)
    damaged = next((chain.data / "videos").rglob("*.mp4"))
    whole = damaged.read_bytes()
    damaged.write_bytes(b"no film")
    address = f"file://{chain.data}"
    result = chain.embeddings(data=address)
    assert result.exit_code == 1, result.output
    (failure,) = json.loads((chain.run / "manifest.json").read_text())["failures"]
    assert failure["problem"].startswith(f"{address}/") and damaged.name in failure["problem"]
    damaged.write_bytes(whole)
    result = chain.embeddings(data=address)
    assert result.exit_code == 0, result.output
    assert len(fetched) == 7 and len(set(fetched)) == 6, "the damaged one twice, as it was changed"
    again = chain.embeddings(data=address)
    assert again.exit_code == 0 and "nothing to do, no model loaded" in again.output and len(fetched) == 7
    assert chain.embeddings("stage1.faces.keep_crops=true", data=address, flags=("--shard", "1/2")).exit_code == 0
    manifest = chain.manifest()
    assert manifest["data"] == address and len(manifest["clips"]) == 6 and not manifest["failures"]
    for clip in manifest["clips"]:
        ours, theirs = chain.features(clip["id"]), finished.features(clip["id"])
        arrays, others = read_clip(ours), read_clip(theirs)
        assert all(np.array_equal(arrays[name], others[name], equal_nan=arrays[name].dtype.kind == "f")
                   for name in others if isinstance(others[name], np.ndarray))  # fmt: skip
        assert read_attributes(ours)["content"] == read_attributes(theirs)["content"]
        assert read_attributes(ours)["source_path"].startswith(f"{address}/videos/")
    assert not list(chain.cache.glob("remote/*/.videos*"))
    for result in (chain.train_beit(), chain.export(), chain.train_mlp(), chain.test()):
        assert result.exit_code == 0, result.output


def test_another_shards_videos_are_not_fetched(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: set[str] = set()
    real = RemoteVideos.fetch
    monkeypatch.setattr(RemoteVideos, "fetch", lambda self, path: (fetched.add(path.name), real(self, path))[1])
    result = chain.embeddings(data=f"file://{chain.data}", flags=("--shard", "2/3"))
    assert result.exit_code == 0 and "4 of 6 clips are other shards'" in result.output, result.output
    assert len(fetched) == 2


def test_a_clip_in_another_process_hands_is_not_fetched(
    chain: Chain, finished: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    real = RemoteVideos.fetch
    monkeypatch.setattr(RemoteVideos, "fetch", lambda self, path: (fetched.append(path.stem), real(self, path))[1])
    folder = chain.cache / finished.manifest()["folder"]
    first = finished.manifest()["clips"][0]["id"]
    claim = Claim(folder / ".claims" / f"{first}.claim")
    assert claim.take()

    def nap(seconds: float) -> None:
        assert first not in fetched and len(set(fetched)) == 5
        shutil.copyfile(finished.features(first), folder / f"{first}.h5")
        claim.release()

    monkeypatch.setattr(workers.time, "sleep", nap)
    result = chain.embeddings(data=f"file://{chain.data}")
    assert result.exit_code == 0 and len(chain.manifest()["clips"]) == 6, result.output
    assert not list(chain.cache.glob("remote/*/.videos*"))
