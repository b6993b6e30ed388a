"""One clip file: written whole, validated, and refused in a sentence when it is broken."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from common import store
from common.errors import CacheError
from common.files import remove_partials, written_whole
from common.owner import this_process
from common.partials import is_left, is_partial, partial_name
from common.schema import MODALITIES, SCHEMA_VERSION, TIME, WORD_END, WORD_START, WORD_TEXT, present


def clip_arrays(frames: int = 6) -> dict[str, Any]:
    arrays: dict[str, Any] = {TIME: np.arange(frames) / 25}
    for width, modality in enumerate(MODALITIES, start=3):
        mask = np.arange(frames) % 3 != 1
        rows = np.full((frames, width), np.nan, dtype=np.float16)
        rows[mask] = np.arange(mask.sum())[:, None]
        arrays |= {modality: rows, present(modality): mask}
    return arrays | {WORD_TEXT: ["grüße", "'a"], WORD_START: np.array([0.0, 0.1]), WORD_END: np.array([0.1, 0.2])}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a clip's name.h5"
    arrays = clip_arrays()
    store.write_clip(path, arrays, {"clip": "[x]", "none": "", "settings": {"a": [1, 2]}, "rate": 25.0})
    found = store.read_clip(path)
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
    attributes = store.read_attributes(path)
    assert attributes == {
        "clip": "[x]", "none": "", "settings": {"a": [1, 2]}, "rate": 25.0, "schema_version": SCHEMA_VERSION
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_lie_contiguously_for_memory_maps(tmp_path: Path) -> None:
    path = tmp_path / "clip.h5"
    arrays = clip_arrays()
    store.write_clip(path, arrays, {})
    places, _ = store.read_locations(path)
    place = places["visual"]
    rows = np.memmap(path, place.dtype, "r", place.offset, place.shape)
    np.testing.assert_array_equal(rows, arrays["visual"])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda a: a.pop(TIME), "no /time_s"),
        (lambda a: a.update({TIME: np.zeros(6)}), "doesn't rise after frame 0"),
        (lambda a: a.update({TIME: np.empty(0)}), "no frames"),
        (lambda a: a.update(visual=a["visual"][:5]), r"/visual is \(5, 3\)"),
        (lambda a: a.update(audio=a["audio"].astype(np.float64)), "/audio is .*float64"),
        (lambda a: a.pop("present/text"), "no /present/text"),
        (lambda a: a["visual"].__setitem__((0, 0), np.inf), "/visual isn't finite at frame 0"),
        (lambda a: a["text"].__setitem__((1, 2), 0), "/text holds numbers at frame 1, which is marked absent"),
        (lambda a: a.update({WORD_START: np.zeros(1)}), "different lengths"),
    ],
)
def test_an_invalid_clip_never_appears(tmp_path: Path, spoil: Any, says: str) -> None:
    arrays = clip_arrays()
    spoil(arrays)
    with pytest.raises(CacheError, match=says):
        store.write_clip(tmp_path / "clip.h5", arrays, {})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_rewrite_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.h5"
    store.write_clip(path, clip_arrays(), {"content": "old"})
    with pytest.raises(CacheError):
        store.write_clip(path, {TIME: np.zeros(2)}, {"content": "new"})
    assert store.read_attributes(path)["content"] == "old"


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_broken_file_is_named_with_its_cure(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.h5"
    path.write_bytes(content)
    with pytest.raises(CacheError, match=r"clip.h5 can't be read as HDF5.*Delete it and run `make embeddings`"):
        store.read_attributes(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.h5"
    store.write_clip(path, clip_arrays(), {})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CacheError, match="clip.h5"):
        store.validate(path)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "clip.h5"
    store.write_clip(path, clip_arrays(), {})
    places, _ = store.read_locations(path)
    content = bytearray(path.read_bytes())
    content[places["visual"].offset] ^= 1
    path.write_bytes(content)
    store.validate(path, deep=False)
    for read in (store.validate, store.read_clip):
        with pytest.raises(CacheError, match="/visual don't match their checksum"):
            read(path)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.h5"
    store.write_clip(path, clip_arrays(), {})
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(CacheError, match="schema version 99"):
        store.read_attributes(path)


def test_a_missing_dataset_and_a_missing_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.h5"
    with pytest.raises(CacheError, match="There is no .*clip.h5"):
        store.read_clip(path)
    store.write_clip(path, clip_arrays(), {})
    with pytest.raises(CacheError, match="lacks refined"):
        store.read_clip(path, ("refined",))


def test_only_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    own = this_process()
    alive = tmp_path / f".a.h5.partial-{own}"
    dead = tmp_path / f".b.h5.partial-{replace(own, process=999999999)}"
    recycled = tmp_path / f".b2.h5.partial-{replace(own, started='1')}"
    elsewhere = tmp_path / f".c.h5.partial-{replace(own, host='another.host', process=999999999)}"
    unknown = tmp_path / ".d.h5.partial-another.host-999999999"
    for path in (alive, dead, recycled, elsewhere, unknown):
        path.touch()
    assert remove_partials(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == sorted([alive, elsewhere, unknown])


@pytest.mark.parametrize("name", ["a", "ü" * 100, "n" * 200, "\udcff" * 150], ids=["short", "umlauts", "long", "bytes"])
def test_a_name_of_any_kind_has_a_temporary_sibling(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.h5"
    with written_whole(path) as partial:
        partial.touch()
        assert is_partial(partial) and not is_left(partial) and len(os.fsencode(partial.name)) <= 255
    assert list(tmp_path.iterdir()) == [path]


def test_long_names_that_begin_alike_have_siblings_of_their_own() -> None:
    assert partial_name("n" * 150 + "1") != partial_name("n" * 150 + "2")
