"""Rows read in stretches are the rows of the array they stand for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common import rows as module
from common.errors import CacheError
from common.rows import OnMask, Part, Picked, Spool, blocks
from common.schema import MODALITIES, TIME, present
from common.store import read_clip, read_rows, write_clip


def clip_arrays(frames: int) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {TIME: np.arange(frames) / 25}
    for modality in MODALITIES:
        mask = np.arange(frames) % 3 != 1
        arrays |= {modality: np.where(mask[:, None], np.arange(frames)[:, None], np.nan).astype(np.float16)}
        arrays |= {present(modality): mask}
    return arrays


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 3)
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 4)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


@pytest.fixture
def spool(values: np.ndarray, tmp_path: Path) -> Spool:
    spool = Spool((4,), np.float32, tmp_path)
    for start in (0, 1, 5):
        spool.append(values[start : {0: 1, 1: 5, 5: 10}[start]])
    return spool


def test_a_spool_gives_back_what_it_got_and_leaves_no_file(spool: Spool, values: np.ndarray, tmp_path: Path) -> None:
    assert spool.shape == (10, 4)
    assert np.array_equal(np.concatenate(list(blocks(spool))), values)
    assert np.array_equal(spool.read(2, 7), values[2:7])
    spool.append(values[:2])
    assert np.array_equal(spool.read(9, 12), values[[9, 0, 1]])
    assert list(tmp_path.iterdir()) == []


def test_a_spool_refuses_rows_of_another_width(spool: Spool) -> None:
    with pytest.raises(ValueError, match=r"\(3,\).*\(4,\)"):
        spool.append(np.zeros((2, 3), np.float32))


def test_parts_picks_and_masks_are_slices_of_the_array(spool: Spool, values: np.ndarray) -> None:
    assert np.array_equal(np.concatenate(list(blocks(Part(spool, 2, 9)))), values[2:9])
    index = np.array([0, 3, 4, 9])
    assert np.array_equal(np.concatenate(list(blocks(Picked(spool, index)))), values[index])
    assert Picked(spool, index[:0]).read(0, 0).shape == (0, 4)
    mask = np.array([0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1], dtype=bool)
    found = np.concatenate(list(blocks(OnMask(spool, mask, np.float16))))
    assert np.array_equal(found[mask], values.astype(np.float16)) and np.isnan(found[~mask]).all()


def test_a_mask_that_does_not_fit_its_rows_is_refused(spool: Spool) -> None:
    with pytest.raises(ValueError, match="10 rows for 2 places"):
        OnMask(spool, np.array([True, True, False]), np.float16)


def test_a_clip_written_in_blocks_is_the_clip_written_whole(tmp_path: Path) -> None:
    arrays = clip_arrays(10)
    write_clip(tmp_path / "whole.h5", arrays, {})
    spooled = {}
    for name, rows in arrays.items():
        spooled[name] = Spool(rows.shape[1:], rows.dtype, tmp_path)
        spooled[name].append(rows)
    write_clip(tmp_path / "spooled.h5", spooled, {})
    one, other = read_clip(tmp_path / "whole.h5"), read_clip(tmp_path / "spooled.h5")
    for name, rows in one.items():
        assert np.asarray(rows).tobytes() == np.asarray(other[name]).tobytes(), name


def test_stored_rows_are_read_from_their_file_and_checked_first(tmp_path: Path) -> None:
    path, arrays = tmp_path / "clip.h5", clip_arrays(10)
    write_clip(path, arrays, {})
    stored = read_rows(path, (TIME, "visual"))["visual"]
    assert np.array_equal(stored.read(2, 8), arrays["visual"][2:8], equal_nan=True)
    content = bytearray(path.read_bytes())
    at = content.find(arrays["visual"].tobytes())
    content[at + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CacheError, match="/visual don't match their checksum"):
        read_rows(path, (TIME, "visual"))
    with pytest.raises(CacheError, match="lacks nothing"):
        read_rows(path, ("nothing",))
