"""Numbers of a clip are checked once, before they are used: damage, NaN, labels that can't be, another length."""

from __future__ import annotations

import pickle
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from common import cached
from common.cached import CachedArrays, finite_rows
from common.errors import CacheError
from common.schema import MODALITIES, REFINED, TIME, VALENCE, present
from common.store import read_locations, write_clip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten frames; sound is absent from the sixth on."""
    arrays: dict[str, Any] = {TIME: np.arange(10) / 25, VALENCE: np.linspace(-1, 1, 10, dtype=np.float32)}
    for modality in MODALITIES:
        mask = np.arange(10) < (5 if modality == "audio" else 10)
        arrays |= {present(modality): mask, modality: np.where(mask[:, None], [1.0, 2.0], np.nan).astype(np.float16)}
    write_clip(tmp_path / "a.h5", arrays, {"content": "c"})
    return tmp_path / "a.h5"


def flip(path: Path, name: str) -> None:
    content = bytearray(path.read_bytes())
    content[read_locations(path)[0][name].offset + 3] ^= 1
    path.write_bytes(content)


def plant(path: Path, name: str, at: int, value: float) -> None:
    with h5py.File(path, "a") as file:
        file[name][at] = value
        file[name].attrs["crc32"] = zlib.crc32(file[name][()].tobytes())


@pytest.mark.parametrize("below", [cached.READ_BELOW_BYTES, 0])
@pytest.mark.parametrize("name", ["visual", VALENCE, TIME, present("text")])
def test_a_flipped_bit_is_named(path: Path, name: str, below: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "READ_BELOW_BYTES", below)  # mapped as well as read
    assert CachedArrays(path, "c", 10)[name].shape[0] == 10
    flip(path, name)
    arrays = CachedArrays(path, "c", 10)
    for _ in range(2):
        with pytest.raises(CacheError, match=rf"a.h5: the bytes of /{name} don't match.*verify --delete"):
            _ = arrays[name]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_no_number_is_named_with_its_frame(path: Path, value: float) -> None:
    plant(path, "audio", 7, value)  # absent there
    assert CachedArrays(path, "c")["audio"].shape == (10, 2)
    plant(path, "audio", 4, value)
    with pytest.raises(CacheError, match="a.h5: /audio isn't finite, but marked present, at frame 4"):
        _ = CachedArrays(path, "c")["audio"]


@pytest.mark.parametrize("value", [np.inf, 1.001, -5.0])
def test_a_label_that_cannot_be_is_named(path: Path, value: float) -> None:
    plant(path, VALENCE, 2, value)
    with pytest.raises(CacheError, match=r"/label/valence isn't within \[-1, 1\] at frame 2"):
        _ = CachedArrays(path, "c")[VALENCE]


def test_refined_features_are_finite_everywhere(tmp_path: Path) -> None:
    arrays = {TIME: np.arange(3) / 25, REFINED: np.array([[1, 2], [3, np.nan], [5, 6]], np.float32)}
    write_clip(tmp_path / "a.h5", arrays, {"content": "c"})
    with pytest.raises(CacheError, match="/refined isn't finite at frame 1"):
        _ = CachedArrays(tmp_path / "a.h5", "c")[REFINED]


def test_another_length_than_the_manifests_is_refused(path: Path) -> None:
    with pytest.raises(CacheError, match="a.h5 has 10 frames, the manifest says 9"):
        CachedArrays(path, "c", 9)


def test_workers_do_not_check_again(path: Path) -> None:
    arrays = CachedArrays(path, "c")
    _ = arrays["visual"]
    flip(path, "visual")
    assert pickle.loads(pickle.dumps(arrays))["visual"].shape == (10, 2)  # noqa: S301


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_finite_rows_are_those_of_numpy(dtype: Any) -> None:
    values = np.random.default_rng(0).normal(size=(5000, 3)).astype(dtype)
    for at, value in ((7, np.nan), (2048, np.inf), (4999, -np.inf), (3, np.finfo(dtype).max), (4, 0)):
        values[at, at % 3] = value
    assert np.array_equal(finite_rows(values), np.isfinite(values).all(axis=1))
