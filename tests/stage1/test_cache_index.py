"""The index holds what was written, from however many writers; what is torn, changed or hostile counts for nothing."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage1_embeddings.cache_index import index as module
from stage1_embeddings.cache_index.index import FOLDER, MERGED, CacheIndex
from stage1_embeddings.cache_index.merged import Merged
from stage1_embeddings.cache_index.record import Record, begins, from_line, to_line


@pytest.fixture
def merging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes are merged as soon as there are two writers' files."""
    monkeypatch.setattr(module, "_MOST_SEGMENTS", 1)


words = st.text(max_size=20)
numbers = st.integers(min_value=0, max_value=2**64 - 1)
seens = st.text(alphabet="0123456789 .srtlabe", max_size=40)
records = st.builds(
    Record,
    *(numbers, numbers, numbers, seens, words, numbers, st.booleans(), st.floats(allow_nan=False)),
    *(words, words, words, words, numbers, numbers, words, words, words),
)


def file(folder: Path, name: str, content: bytes = b"a clip") -> Record:
    """A file, and its record."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.h5").write_bytes(content)
    where = CacheIndex(folder).identity(name)
    assert where is not None
    return Record(*where, "7 8", name, 25, True, 25.0, f"c-{name}", "p", "")


def keeping(folder: Path, *found: Record) -> CacheIndex:
    index = CacheIndex(folder)
    index.keep()
    for record in found:
        index.add(record)
    return index


def lines_in(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.lines"))


@given(records)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    line = to_line(record)
    assert from_line(line) == record and line.count(b"\n") == 1
    assert begins(line, record.file, record.seen)
    assert not begins(line, (record.inode, record.size + 1, record.mtime_ns), record.seen)
    assert not begins(line, record.file, record.seen + "1")


def test_every_changed_byte_and_every_cut_is_noticed(tmp_path: Path) -> None:
    line = to_line(file(tmp_path, "Grüße 1's"))
    for place in range(len(line) - 1):
        assert from_line(line[:place] + bytes([line[place] ^ 4]) + line[place + 1 :]) is None, place
        assert from_line(line[:place]) is None


def test_files_that_changed_or_went_are_not_fresh(tmp_path: Path) -> None:
    names = ["same", "gone", "longer", "replaced", "touched"]
    index = keeping(tmp_path, *(file(tmp_path, name) for name in names))
    os.utime(tmp_path / "same.h5", ns=(1, CacheIndex(tmp_path).identity("same")[2]))  # type: ignore[index]
    (tmp_path / "gone.h5").unlink()
    (tmp_path / "longer.h5").write_bytes(b"a longer clip")
    times = (tmp_path / "replaced.h5").stat()
    (tmp_path / "new").write_bytes(b"a clip")
    os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "new").rename(tmp_path / "replaced.h5")  # as long, as old, another file
    os.utime(tmp_path / "touched.h5")
    assert list(CacheIndex(tmp_path).fresh(names)) == ["same"]
    index.close()
    assert list(index.fresh(names)) == ["same"]


@pytest.mark.usefixtures("merging")
def test_several_writers_are_merged_and_the_living_kept(tmp_path: Path) -> None:
    one, two, three = (file(tmp_path, name) for name in ("one", "two", "three"))
    far = tmp_path / FOLDER / "another-000000000000-1-1-1-0123abcd.lines"
    first, second = keeping(tmp_path, one), keeping(tmp_path, two)
    far.write_bytes(to_line(three)[:-5])
    assert set(CacheIndex(tmp_path).fresh(["one", "two", "three"])) == {"one", "two"}, "half a line is none"
    first.close()
    assert [path.name.endswith(".done.lines") for path in lines_in(tmp_path)].count(True) == 0
    second.close()
    assert far in lines_in(tmp_path) and (tmp_path / FOLDER / MERGED).is_file()
    with far.open("ab") as still_writing:
        still_writing.write(to_line(three)[-5:])
    assert set(CacheIndex(tmp_path).fresh(["one", "two", "three"])) == {"one", "two", "three"}
    os.utime(far, (0, 0))  # silent for long: gone
    keeping(tmp_path, one).close()
    assert far not in lines_in(tmp_path)
    assert set(CacheIndex(tmp_path).fresh(["one", "two", "three"])) == {"one", "two", "three"}


@pytest.mark.usefixtures("merging")
def test_a_closed_writers_file_is_finished_for_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping(tmp_path, file(tmp_path, "one")).close()
    (path,) = lines_in(tmp_path)
    assert path.name.endswith(".done.lines") and not (tmp_path / FOLDER / MERGED).exists()
    elsewhere = path.rename(path.with_name(f"another-host-{path.name}"))
    assert list(CacheIndex(tmp_path).fresh(["one"])) == ["one"]
    monkeypatch.setattr(module, "_MOST_SEGMENTS", 0)
    keeping(tmp_path, file(tmp_path, "two")).close()
    assert not elsewhere.exists() and set(CacheIndex(tmp_path).fresh(["one", "two"])) == {"one", "two"}


def test_the_last_word_on_a_file_counts(tmp_path: Path) -> None:
    old = file(tmp_path, "one")
    keeping(tmp_path, old, old._replace(content="newer")).close()
    assert CacheIndex(tmp_path).fresh(["one"])["one"].content == "newer"
    keeping(tmp_path, old._replace(content="newest")).close()
    assert CacheIndex(tmp_path).fresh(["one"])["one"].content == "newest"


def test_many_waiting_lines_are_merged_elsewhere_by_whoever_only_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"clip{number}" for number in range(1200)]
    keeping(tmp_path, *(file(tmp_path, name) for name in names))
    before = {path: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
    monkeypatch.setattr(module, "_MOST_HELD_BYTES", 1000)
    index = CacheIndex(tmp_path)
    assert set(index.fresh(names)) == set(names) and not index._held
    index.close()
    assert {path: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()} == before
    index.keep()
    assert set(index.fresh(names)) == set(names) and (tmp_path / FOLDER / MERGED).is_file()


@pytest.mark.usefixtures("merging")
@pytest.mark.parametrize("how", ["garbage", "empty", "cut", "hostile"])
def test_a_damaged_index_is_made_again(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"clip{number}" for number in range(300)]
    found = [file(tmp_path, name) for name in names]
    keeping(tmp_path, *found[:150])
    keeping(tmp_path, *found[150:]).close()
    merged = tmp_path / FOLDER / MERGED
    content = merged.read_bytes()
    if how == "hostile":
        with sqlite3.connect(merged) as database:
            database.execute("CREATE VIEW more AS SELECT * FROM files")
        database.close()
    else:
        merged.write_bytes({"garbage": b"no database" * 900, "empty": b"", "cut": content[: len(content) // 2]}[how])
    with caplog.at_level("WARNING"):
        there = CacheIndex(tmp_path).fresh(names)
    assert len(there) <= 150 and "can't be used" in caplog.text
    index = keeping(tmp_path, *found)
    index.close()
    assert set(CacheIndex(tmp_path).fresh(names)) == set(names)
    assert Merged(merged).check() is None


def test_an_index_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = file(tmp_path, "one")
    (tmp_path / FOLDER).write_bytes(b"in the way")
    index = keeping(tmp_path, record, record)
    assert index.fresh(["one"]) == {}
    index.close()
    assert caplog.text.count("isn't kept up") == 1
