"""HDF5 files from strangers are refused by their headers, in a sentence; the clips of this program still pass."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from common import store
from common.clipfile import ClipFile
from common.datasets.tables.features import TableFeatures
from common.errors import CacheError
from common.schema import TIME, WORD_TEXT
from tests.security import hostile_clips as hostile
from tests.security.hostile_clips import Spoil, in_place_of, linked, typed

READERS = (store.validate, store.read_clip, store.read_locations)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (linked(h5py.ExternalLink("other.h5", "x")), "/visual is a link to elsewhere"),
        (linked(h5py.SoftLink("/audio")), "/visual is a link to elsewhere"),
        (in_place_of("visual", hostile.outside), "the numbers of /visual lie in other files"),
        (in_place_of("visual", hostile.virtual), "the numbers of /visual lie in other files"),
        (in_place_of("visual", hostile.filtered), "/visual is compressed or filtered"),
        (in_place_of("visual", hostile.bomb), "/visual is compressed or filtered"),
        (hostile.claimed((10**12, 3)), r"/visual claims \(1000000000000, 3\), more than a file of \d+ bytes"),
        (hostile.claimed((10**12, 0)), r"/visual claims \(1000000000000, 0\)"),
        (hostile.claimed((6, 3, 1, 1)), r"/visual has the shape \(6, 3, 1, 1\)"),
        (in_place_of("visual", hostile.nothing), "/visual has the shape None"),
        (typed(np.dtype([("a", "f2"), ("b", "f2")])), "/visual holds neither numbers nor texts"),
        (typed(h5py.vlen_dtype(np.float16)), "/visual holds neither numbers nor texts"),
        (typed(h5py.ref_dtype), "/visual holds neither numbers nor texts"),
        (hostile.many_names, "has 3[0-9]+ names in /"),
    ],
)
def test_a_hostile_dataset_is_refused(tmp_path: Path, spoil: Spoil, says: str) -> None:
    path = hostile.whole_clip(tmp_path / "talk.h5")
    with h5py.File(path, "a") as file:
        spoil(file)
    tracemalloc.start()
    for read in READERS:
        with pytest.raises(CacheError, match=f"talk.h5 .*{says}.*Delete it"):
            read(path)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (hostile.many_attributes, "has 3[0-9]+ attributes"),
        (hostile.deep_json, "can't be read as HDF5 .*recursion"),
        (lambda file: file.attrs.__setitem__("clip", np.zeros((1 << 8, 1 << 3))), "'clip' has the shape"),
        (lambda file: file.attrs.__setitem__("clip", h5py.Empty("f2")), "'clip' has the shape None"),
        (lambda file: file.attrs.__setitem__("clip", file.ref), "'clip' is neither number nor text"),
        (lambda file: file.attrs.__setitem__("as_json", "nothing"), "can't be read as HDF5"),
    ],
)
def test_hostile_attributes_are_refused(tmp_path: Path, spoil: Spoil, says: str) -> None:
    path = hostile.whole_clip(tmp_path / "talk.h5")
    with h5py.File(path, "a") as file:
        spoil(file)
        del file.attrs["crc32"]  # a stranger's would fit
    with pytest.raises(CacheError, match=f"talk.h5 .*{says}"):
        store.read_attributes(path)


def test_a_ring_of_groups_ends(tmp_path: Path) -> None:
    path = hostile.whole_clip(tmp_path / "talk.h5")
    with h5py.File(path, "a") as file:
        file["ring"] = file["/"]
    with pytest.raises(CacheError, match="talk.h5 is refused: /ring/.* is no dataset"):
        store.validate(path)


def test_texts_longer_than_the_file_are_refused(tmp_path: Path) -> None:
    path = hostile.whole_clip(tmp_path / "talk.h5", word="x" * 50_000)
    store.validate(path)
    hostile.one_text_for_all(path)
    with pytest.raises(CacheError, match="the texts of /words/text are longer than the file"):
        store.read_texts(path)


def test_numbers_beyond_the_end_are_refused(tmp_path: Path) -> None:
    path = hostile.whole_clip(tmp_path / "talk.h5")
    with h5py.File(path, "r+", locking=False) as file:
        place = ClipFile(file, path, path)
        place._bytes = store.read_locations(path)[0]["visual"].offset + 1  # what a cut file has
        with pytest.raises(CacheError, match=r"/visual claims \(6, 3\), more than a file of \d+ bytes can hold"):
            place["visual"]


def test_attributes_that_share_one_long_text_are_refused(tmp_path: Path) -> None:
    path = hostile.whole_clip(tmp_path / "talk.h5")
    with h5py.File(path) as file:
        place = ClipFile(file, path, path)
        place._bytes = 1 << 32  # a file as long as this
        with pytest.raises(CacheError, match="its attributes may take .* times its size in memory"):
            place.attributes()


def test_a_checksum_is_a_number(tmp_path: Path) -> None:
    path = hostile.whole_clip(tmp_path / "talk.h5")
    with h5py.File(path, "a") as file:
        hostile.checksum_of_texts(file)
    with pytest.raises(CacheError, match="a checksum of /visual that is no number"):
        store.validate(path)


@pytest.mark.parametrize("name", ["../audio", "/audio", "present/../audio", "", "present", "words"])
def test_names_don_t_climb(tmp_path: Path, name: str) -> None:
    path = hostile.whole_clip(tmp_path / "talk.h5")
    with pytest.raises(CacheError):
        store.read_clip(path, (name,))


def test_a_hostile_table_in_the_cache_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0123456789abcdef.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("features/visual", (10**12, 4), "f4", chunks=(16, 4), fillvalue=np.nan)
        file.create_dataset("features/audio", (4, 1 << 40), "f4", chunks=(1, 1 << 29), maxshape=(None, 1 << 40))
        file["features/text"] = h5py.ExternalLink("other.h5", "x")
    table = TableFeatures(path)
    for modality, says in (("visual", "claims"), ("audio", "claims"), ("text", "is a link to elsewhere")):
        with pytest.raises(CacheError, match=says):
            table.width(modality)  # type: ignore[arg-type]


def test_an_honest_clip_passes(tmp_path: Path) -> None:
    path = hostile.whole_clip(tmp_path / "talk.h5")
    store.validate(path)
    assert store.read_clip(path)[WORD_TEXT] == ["hello", "b", "c", "d"]
    assert store.read_clip(path, (TIME,))[TIME][1] == 0.04
    assert store.read_attributes(path)["settings"] == {"a": [1]}
