"""EmoBank's tables as clips: what is read, how it is split, and what is refused with which sentence."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from common.datasets import emobank, open_dataset
from common.datasets.survey import Survey
from common.errors import DataError

Row = Sequence[str]

GOOD: Row = ("doc_0_10", "train", "3.5", "2", "3", "It went well.")


def write(folder: Path, name: str, rows: Sequence[Row], header: str = "id,split,V,A,D,text") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(header + "\n")
        csv.writer(file).writerows(rows)
    return path


def sentences(count: int, split: str) -> list[Row]:
    return [(f"{split}_{n}_{n + 1}", split, "3.2", "3", "3", f"Sentence {n}.") for n in range(count)]


def surveyed(folder: Path) -> Survey:
    found = emobank.survey(folder)
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "train.csv", sentences(1000, "train"))
    write(tmp_path, "dev.csv", sentences(30, "dev"))
    return tmp_path


def test_a_sentence_is_a_clip_of_one_row_with_its_labels_scaled(tmp_path: Path) -> None:
    train = write(tmp_path, "train.csv", [GOOD, ("b", "x", "1", "5", "1", 'He said: "a, b"\nand left.')])
    write(tmp_path, "dev.csv", [("c", "dev", "4.25", "3", "5", "  Spaces stay. ")])
    first, second, third = surveyed(tmp_path).accepted()
    assert (first.id, first.source, first.annotation) == ("doc_0_10", train, None)
    (row,) = first.utterances
    assert (row.text, row.valence, row.arousal) == ("It went well.", 0.25, -0.5)
    (row,) = second.utterances
    assert (row.text, row.valence, row.arousal) == ('He said: "a, b"\nand left.', -1.0, 1.0)
    assert third.utterances[0].text == "  Spaces stay. " and third.utterances[0].valence == 0.625


def test_without_a_test_file_dev_is_scored_and_a_tenth_of_train_validates(folder: Path) -> None:
    found = surveyed(folder)
    for clip in found.clips:
        tenth = int(hashlib.sha256(clip.id.encode()).hexdigest(), 16) % 10 == 0
        expected = "test" if clip.source.name == "dev.csv" else "validation" if tenth else "train"
        assert clip.split == expected, clip.id
    counts = Counter(clip.split for clip in found.clips)
    assert counts["test"] == 30 and 70 <= counts["validation"] <= 130, counts
    assert found.remarks == (
        "There is no test.csv: dev.csv is scored, and epochs are selected on a tenth of train.csv, set apart.",
    )


def test_with_a_test_file_the_files_are_the_splits(folder: Path) -> None:
    write(folder, "test.csv", [("last", "dev", "3", "3", "3", "Kept apart.")])
    found = surveyed(folder)
    assert Counter(clip.split for clip in found.clips) == {"train": 1000, "validation": 30, "test": 1}
    assert found.remarks == () and found.clips[-1].id == "last"


def test_a_split_depends_on_no_other_row(folder: Path) -> None:
    before = {clip.id: clip.split for clip in surveyed(folder).clips}
    write(folder, "train.csv", sentences(500, "train"))
    after = {clip.id: clip.split for clip in surveyed(folder).clips}
    assert len(after) == 530 and after.items() <= before.items()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x", "train", "3", "3", "3"), r"train\.csv, line 3 has 5 field\(s\): 'x,train,3,3,3'\. A row has 6"),
        (("x", "train", "3", "3", "3", "a", "b"), r"line 3 has 7 field\(s\)"),
        ((), r"line 3 has 0 field\(s\)"),
        (("x", "train", "5.01", "3", "3", "a"), r"line 3: V is '5\.01'\. It is a number from 1 to 5"),
        (("x", "train", "3", "0.99", "3", "a"), r"line 3: A is '0\.99'"),
        (("x", "train", "3", "3", "nan", "a"), r"line 3: D is 'nan'"),
        (("x", "train", "", "3", "3", "a"), r"line 3: V is ''"),
        (("x", "train", "3", "inf", "3", "a"), r"line 3: A is 'inf'"),
        (("x", "train", "3", "3", "3", " \t"), r"line 3: the text of 'x' is empty"),
        (("", "train", "3", "3", "3", "a"), r"line 3: ' can't name a clip"),
        (("a/b", "train", "3", "3", "3", "a"), r"line 3: a/b' can't name a clip"),
        ((*GOOD[:5], "Another."), r"line 3: 'doc_0_10' was there before, in .*train\.csv, line 2\. An id stands for"),
    ],
)
def test_a_bad_row_is_named(row: Row, message: str, tmp_path: Path) -> None:
    write(tmp_path, "train.csv", [GOOD, row])
    write(tmp_path, "dev.csv", sentences(2, "dev"))
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path, tmp_path / "cache", print)


def test_one_id_in_two_splits_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", [GOOD])
    write(tmp_path, "dev.csv", [GOOD])
    with pytest.raises(DataError, match=r"dev\.csv, line 2: 'doc_0_10' was there before, in .*train\.csv, line 2"):
        surveyed(tmp_path).accepted()


@pytest.mark.parametrize("header", ["id,split,V,A,text", "id,split,A,V,D,text", ""])
def test_another_header_is_refused(header: str, folder: Path) -> None:
    write(folder, "dev.csv", sentences(2, "dev"), header)
    with pytest.raises(DataError, match=rf"dev\.csv, line 1 is '{header}'\. The header must be id,split,V,A,D,text"):
        surveyed(folder).accepted()


def test_what_is_no_table_is_refused(folder: Path) -> None:
    with (folder / "dev.csv").open("a", encoding="utf-8") as file:
        file.write('x,dev,3,3,3,"never closed\n')
    with pytest.raises(DataError, match=r"dev\.csv, line 32: this is no comma-separated table"):
        surveyed(folder).accepted()
    (folder / "dev.csv").write_bytes(b"id,split,V,A,D,text\nx,dev,3,3,3,caf\xe9\n")
    with pytest.raises(DataError, match=r"dev\.csv isn't UTF-8 text"):
        surveyed(folder).accepted()


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", [("x", "train", "6", "3", "3", "a"), GOOD, GOOD, ("y", "train", "3", "3", "3", "")])
    write(tmp_path, "dev.csv", [], "id,text")
    assert len(surveyed(tmp_path).findings) == 4
    with pytest.raises(DataError) as caught:
        surveyed(tmp_path).accepted()
    for part in ("V is '6'", "was there before", "the text of 'y' is empty", "line 1 is 'id,text'"):
        assert part in str(caught.value)


def test_tables_without_a_sentence_and_folders_without_tables(tmp_path: Path) -> None:
    assert emobank.survey(tmp_path) is None
    write(tmp_path, "train.csv", [])
    assert emobank.survey(tmp_path) is None
    write(tmp_path, "dev.csv", [])
    with pytest.raises(DataError, match="hold no sentence"):
        surveyed(tmp_path).accepted()


@pytest.mark.shared_data
def test_the_real_tables(shared: Callable[[str], Path], tmp_path: Path) -> None:
    dataset = open_dataset(shared("emobank"), tmp_path, print)
    assert dataset.kind == "emobank"
    if not (dataset.root / "test.csv").exists():
        assert Counter(clip.split for clip in dataset.clips) == {"train": 7250, "validation": 812, "test": 1000}
    labels = [(row.valence, row.arousal) for clip in dataset.clips for row in clip.utterances]
    assert len(labels) == len(dataset.clips) and all(None not in pair for pair in labels)
    assert min(map(min, labels)) > -0.95 and max(map(max, labels)) < 0.85
