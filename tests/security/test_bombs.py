"""Tables, texts and settings that unpack to far more than they are: refused by what their headers say."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t, h5z

from common.datasets.annotations import read_annotation
from common.datasets.tables import spec
from common.datasets.tables.delimited import LONGEST, records
from common.datasets.tables.hdf5 import Hdf5
from common.datasets.tables.npz import Npz
from common.datasets.tables.workbook import Workbook
from common.errors import CacheError, DataError, RecipeError
from common.listening import LISTENING, read_listening
from common.recipe import load_recipe
from common.unpacking import check_unpacked
from stage1_embeddings.transcript import read_transcript

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def npy(shape: tuple[int, ...], content: bytes = b"", dtype: str = "<f4") -> bytes:
    """What says to be an array of this shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


def claiming(path: Path, name: str, content: bytes, size: int) -> Path:
    """An archive that says of its one member that it unpacks to ``size`` bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    whole = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = whole.index(mark) + offset
        whole[start : start + 4] = struct.pack("<I", size)
    path.write_bytes(whole)
    return path


@pytest.fixture(autouse=True)
def little_memory() -> object:
    """None of it may take as much as it claims."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


@pytest.mark.parametrize(
    "read",
    [
        lambda path: Npz(path, ["x"], path.parent),
        lambda path: Workbook(path, frozenset({"x"}), str.lower, path.parent),
    ],
)
def test_an_archive_that_claims_gigabytes_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = claiming(tmp_path / "table.npz", "x.npy", npy((4,), bytes(16)), 3_000_000_000)
    with pytest.raises(DataError, match=r"table.npz: it unpacks from \d+ B to 3.0 GB"):
        read(path)


def test_an_archive_of_many_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(10_001):
            archive.writestr(str(number), b"")
    with pytest.raises(DataError, match="table.npz holds 10001 files"):
        Npz(path, ["x"], tmp_path)


@pytest.mark.parametrize("shape", [(10**12,), (10**12, 0), (10**6, 10**6)])
def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "table.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(shape, bytes(64)))
    with pytest.raises(DataError, match=r"table.npz: the column x is \(10+.* by its header, and holds less"):
        Npz(path, ["x"], tmp_path)


def test_what_was_listened_to_claims_no_more_either(tmp_path: Path) -> None:
    path = tmp_path / LISTENING / "talk.npz"
    path.parent.mkdir()
    claiming(path, "version.npy", npy((4,), bytes(16)), 3_000_000_000)
    with pytest.raises(CacheError, match="talk.npz can't be read .*unpacks from"):
        read_listening(tmp_path, "talk", "0")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version.npy", npy((10**15,)))
    with pytest.raises(CacheError, match="talk.npz can't be read .*claims to be"):
        read_listening(tmp_path, "talk", "0")


def filtered(file: h5py.File) -> None:
    how = h5p.create(h5p.DATASET_CREATE)
    how.set_chunk((4, 2))
    how.set_filter(32001, h5z.FLAG_OPTIONAL)
    h5d.create(file.id, b"x", h5t.IEEE_F32LE, h5s.create_simple((4, 2)), how)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (filtered, "x needs the filter 32001 of a plugin"),
        (lambda file: file.create_dataset("x", (10**12,), "f4"), r"x claims to be \(1000000000000,\), in 0 bytes"),
        (lambda file: file.create_dataset("x", (10**12, 0), "f4"), r"x claims to be \(1000000000000, 0\)"),
        (lambda file: file.create_dataset("x", (10**9,), "f4", compression="gzip"), "x unpacks from 0 B to 4.0 GB"),
        (
            lambda file: file.create_dataset("x", (4, 1 << 27), "f4", chunks=(1, 1 << 27), compression="gzip"),
            "x is read 537 MB at once",
        ),
    ],
)
def test_hdf5_tables_are_looked_at_first(tmp_path: Path, make: Callable[[h5py.File], object], says: str) -> None:
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        make(file)
    with pytest.raises(DataError, match=f"table.h5: {says}"):
        Hdf5(path, ["x"])


def test_packed_tables_are_still_read(tmp_path: Path) -> None:
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros((1000, 4), np.float32), compression="gzip", shuffle=True)
        file.create_dataset("y", data=["hello"] * 1000, dtype=h5py.string_dtype(), compression="lzf")
    table = Hdf5(path, ["x", "y"])
    (_, cells), *rest = table.rows(["x", "y"])
    assert len(rest) == 999 and list(cells) == [pytest.approx([0] * 4), "hello"]
    table.close()


def test_texts_that_are_all_one_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        offset = file.create_dataset(
            "x", data=["x" * 100_000] + ["b"] * 3999, dtype=h5py.string_dtype()
        ).id.get_offset()
    content = bytearray(path.read_bytes())
    content[offset : offset + 64_000] = content[offset : offset + 16] * 4000
    path.write_bytes(content)
    table = Hdf5(path, ["x"])
    with pytest.raises(DataError, match="the texts of x are longer than the file"):
        for _ in table.rows(["x"]):
            pass
    table.close()


def test_a_small_file_may_unpack_well() -> None:
    check_unpacked(Path("small.npz"), 1000, 1 << 30)
    with pytest.raises(DataError, match=r"small.npz: it unpacks from 1.0 kB"):
        check_unpacked(Path("small.npz"), 1000, (1 << 30) + 1)


def test_a_field_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with path.open("w") as file:
        file.write('a,b\n"')
        file.writelines("x" * (1 << 20) for _ in range((LONGEST >> 20) + 1))
    tracemalloc.stop()  # reading it is what is bounded, by LONGEST, and slow under it
    with pytest.raises(DataError, match=r"table.csv, line \d+: .*field larger than field limit"):
        list(records(path))
    tracemalloc.start()


@pytest.mark.parametrize(
    ("name", "read"), [("talk.srt", read_transcript), ("talk.json", read_transcript), ("a.txt", read_annotation)]
)
def test_texts_of_gigabytes_are_refused_unread(tmp_path: Path, name: str, read: Callable[[Path], object]) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(4_000_000_000)
    with pytest.raises(DataError, match=f"{name} has 4.0 GB, too much for such a text"):
        read(path)


def test_json_of_any_depth_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text('{"segments": ' + "[" * 200_000)
    with pytest.raises(DataError, match="talk.json isn't usable JSON"):
        read_transcript(path)
    path.write_text(json.dumps({"segments": [{"text": "a", "start": 0, "end": 10**400}]}))
    with pytest.raises(DataError, match="talk.json"):
        read_transcript(path)


def test_aliases_that_repeat_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "laughs.yaml"
    path.write_text(LAUGHS)
    with pytest.raises(RecipeError, match="laughs.yaml isn't valid YAML: its aliases come to more than"):
        load_recipe(str(path))
    assert "its aliases come to more than" in str(spec.read_spec(path))
    path.write_text("a: &a {b: *a}\n")
    with pytest.raises(RecipeError, match="an alias stands inside what it stands for"):
        load_recipe(str(path))
    with pytest.raises(RecipeError, match="--set .*name=&a.*isn't valid YAML"):
        load_recipe("demo", ("name=&a [*a]",))
