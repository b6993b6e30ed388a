"""What is damaged is found, whatever the damage does to its reader."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_cache import ONE, TWO, call, kept_crops, put

from common import store
from common.schema import (
    CROP_PNG,
    TIME,
    present,
)
from stage1_embeddings.upkeep import verify


def test_verify_finds_a_flipped_bit_a_cut_and_a_wrong_name(cache: Path) -> None:
    assert call(cache, "verify").exit_code == 0
    folder = cache / "features" / ONE
    content = bytearray((folder / "a.h5").read_bytes())
    content[store.read_locations(folder / "a.h5")[0]["visual"].offset] ^= 1
    (folder / "a.h5").write_bytes(content)
    (folder / "b.h5").write_bytes((folder / "b.h5").read_bytes()[:-300])
    (folder / "c.h5").rename(folder / "d.h5")
    result = call(cache, "verify")
    assert result.exit_code == 1
    assert "a.h5: the bytes of /visual don't match" in result.stdout
    assert "b.h5 can't be read as HDF5" in result.stdout
    assert "says that it is the clip 'c'" in result.stdout
    assert result.stdout.endswith("3 not as they should be, 0 removed.\n")
    result = call(cache, "verify", "--delete", "--json")
    assert (result.exit_code, len(json.loads(result.stdout)["damaged"])) == (1, 3)
    assert [path.relative_to(cache).as_posix() for path in cache.rglob("*.h5")] == [f"features/{TWO}/a.h5"]
    assert call(cache, "verify").exit_code == 0


def test_verify_leaves_what_is_another_versions_or_out_of_reach(cache: Path) -> None:
    path = cache / "features" / ONE / "a.h5"
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = 99
    result = call(cache, "verify", "--delete")
    assert (result.exit_code, path.exists(), "schema version 99" in result.stdout) == (1, True, True)


def test_verify_reads_refined_features_and_crops(cache: Path) -> None:
    mask = np.ones(4, dtype=np.bool_)
    refined = {TIME: np.arange(4) / 25, "refined": np.ones((4, 3), np.float32), present("visual"): mask}
    fused = put(cache, "a", f"fused/{ONE}", arrays=refined)
    crops = kept_crops(cache, "a", frames=8, missing=2)
    assert call(cache, "verify").exit_code == 0
    for path, dataset in ((fused, "refined"), (crops, CROP_PNG)):
        with h5py.File(path, "a") as file:
            file[dataset][1] = 7
    result = call(cache, "verify")
    assert (result.exit_code, result.stdout.count("don't match their checksum")) == (1, 2)


def test_a_file_that_kills_its_reader_or_holds_it_up_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cache / "features" / ONE / "a.h5"
    with verify.Reader() as reader:
        reader._process.kill()
        reader._process.join()
        damage = reader.damage(path)
        assert damage is not None
        assert (damage.broken, "crashes the HDF5 library" in damage.problem) == (True, True)
        assert reader.damage(path) is None  # another reader took its place
        monkeypatch.setattr(verify, "LEAST_S", 0.0)
        monkeypatch.setattr(verify, "BYTES_PER_S", 1e12)
        os.kill(reader._process.pid or 0, signal.SIGSTOP)
        damage = reader.damage(path)
    assert damage is not None
    assert (damage.broken, "can't be read within" in damage.problem) == (False, True)


def test_no_damage_stops_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "LEAST_S", 3.0)
    whole = put(tmp_path / "whole", "a").read_bytes()
    rng = np.random.default_rng(0)
    cache = tmp_path / "cache"
    for number in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), 1 + number // 10):
            content[place] ^= int(rng.integers(1, 256))
        (cache / "features" / f"{number:016x}").mkdir(parents=True)
        (cache / "features" / f"{number:016x}" / "a.h5").write_bytes(content)
    result = call(cache, "verify", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["files"] == 60
    assert len(json.loads(result.stdout)["damaged"]) > 10
