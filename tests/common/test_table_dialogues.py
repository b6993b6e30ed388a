"""Rows of a table as dialogues: order, splits, sessions, and what may not be in two splits."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from common.datasets.dialogue_splits import LEAKING
from common.errors import DataError
from tests.common.table_files import faults, row, surveyed, write_csv


def dialogues(count: int, **other: Any) -> list[dict[str, Any]]:
    """Three rows each."""
    return [row(n, Dialogue_ID=n // 3, Utterance_ID=n % 3, **other) for n in range(3 * count)]


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    return write_csv(folder / "t.csv", rows)


def test_rows_are_put_in_order_and_dialogues_too(tmp_path: Path) -> None:
    rows = [row(n, Dialogue_ID=11 - n // 4, Utterance_ID=f"{3 - n % 4}.0", Speaker=f"S{n}") for n in range(16)]
    found = surveyed(write(tmp_path, rows), tmp_path / "cache")
    assert [clip.id for clip in found.clips] == ["8", "9", "10", "11"]
    first = found.clips[-1]
    assert [one.text for one in first.utterances] == [f"Utterance {n}." for n in (3, 2, 1, 0)]
    assert [one.row for one in first.utterances] == [3, 2, 1, 0]
    assert [one.speaker for one in first.utterances] == ["S3", "S2", "S1", "S0"]


def test_without_an_order_it_is_that_of_the_table(tmp_path: Path) -> None:
    rows = [row(n, Dialogue="ab"[n % 2]) for n in range(6)]
    found = surveyed(write(tmp_path, rows), tmp_path / "cache")
    assert [[one.row for one in clip.utterances] for clip in found.clips] == [[0, 2, 4], [1, 3, 5]]


def test_given_splits_are_kept(tmp_path: Path) -> None:
    names = ["train", "Training", "dev", "VAL", "valid", "validation", "test", "Testing "]
    found = surveyed(write(tmp_path, [row(n, Dialogue=n, Split=name) for n, name in enumerate(names)]), tmp_path / "c")
    assert [clip.split for clip in found.clips] == ["train"] * 2 + ["validation"] * 4 + ["test"] * 2
    assert found.remarks == ("The splits are the data set's own.",)


def test_without_splits_dialogues_are_dealt_out(tmp_path: Path) -> None:
    found = surveyed(write(tmp_path, dialogues(30)), tmp_path / "cache")
    assert Counter(clip.split for clip in found.clips) == {"train": 20, "validation": 5, "test": 5}
    assert "They were made by dialogue, dealt out by the most frequent emotion" in found.remarks[-1]


def test_equal_rows_without_a_dialogue_go_to_one_split(tmp_path: Path) -> None:
    rows = [row(n % 30) for n in range(120)]
    found = surveyed(write(tmp_path, rows), tmp_path / "cache")
    assert found.findings == ()
    of = {clip.id: clip.split for clip in found.clips}
    assert len(of) == 120 and set(of.values()) == {"train", "validation", "test"}
    assert all(of[f"row_{n + 2}"] == of[f"row_{n % 30 + 2}"] for n in range(120))
    assert "made by row (equal rows together)" in found.remarks[-1]


def test_a_row_keeps_its_split_wherever_it_stands(tmp_path: Path) -> None:
    rows = [row(n) for n in range(24)]
    one, two = (surveyed(write(tmp_path, some), tmp_path / "c") for some in (rows, rows[::-1]))
    split = {clip.utterances[0].text: clip.split for clip in one.clips}
    assert split == {clip.utterances[0].text: clip.split for clip in two.clips}


def test_sessions_are_left_out_whole(tmp_path: Path) -> None:
    rows = [row(n, Dialogue=n // 2, Session=f"Ses{n // 6 + 1:02d}") for n in range(30)]
    found = surveyed(write(tmp_path, rows), tmp_path / "cache")
    split = {"Ses04": "validation", "Ses05": "test"}
    assert all(clip.split == split.get(clip.group, "train") for clip in found.clips)
    assert {clip.group for clip in found.clips} == {f"Ses0{n}" for n in range(1, 6)}
    assert found.remarks[-1] == ("Split by session: Ses05 is the test split, Ses04 validates, the others train.")


def test_iemocaps_names_tell_the_session(tmp_path: Path) -> None:
    rows = [row(n, Dialogue=f"Ses0{n % 3 + 1}{'FM'[n % 2]}_impro0{n // 3}") for n in range(12)]
    found = surveyed(write(tmp_path, rows), tmp_path / "cache")
    split = {"Ses01": "train", "Ses02": "validation", "Ses03": "test"}
    assert len(found.clips) == 12
    assert all(clip.group == clip.id[:5] and clip.split == split[clip.group] for clip in found.clips)


def test_faults_of_dialogues(tmp_path: Path) -> None:
    rows = [
        row(0, Dialogue=1, Order=0, Split="train", Session="a"),
        row(1, Dialogue=1, Order=0, Split="train", Session="a"),
        row(2, Dialogue=1, Order=2, Split="dev", Session="b"),
        row(3, Dialogue="x/y", Order=0, Split="train", Session="a"),
        row(4, Dialogue="", Order=0, Split="train", Session="a"),
        row(5, Dialogue=2, Order="first", Split="traim", Session=""),
    ]
    found = faults(write(tmp_path, rows), tmp_path / "cache")
    expected = [
        r"t\.csv, row 6, column Dialogue is empty\. Say of each row which dialogue it is from",
        r"row 7, column Order is 'first', not a number",
        r"row 7, column Split is 'traim'\. It is one of train, training, dev",
        r"row 7, column Session is empty",
        r"row 3, column Order is 0, as in row 2 of the same dialogue '1'\. Each row",
        r"row 4, column Split is 'validation', but row 2 of the same dialogue '1' is in 'train'\. A dialogue",
        r"row 4, column Session is 'b', but row 2 of the same dialogue '1' is in 'a'\. A dialogue is in one session",
        r"row 5, column Dialogue: 'x/y' can't name a clip",
    ]
    assert len(found) == len(expected)
    for pattern in expected:
        assert any(re.search(pattern, text) for text in found), (pattern, found)


def test_copies_in_two_splits_are_refused(tmp_path: Path) -> None:
    rows = [row(n, Dialogue=n, Split="train") for n in range(5)]
    rows += [row(n, Dialogue=10 + n, Split="test") for n in (0, 3, 7)]
    rows += [row(8, Dialogue=20, Split="dev"), row(3, Dialogue=21, Split="dev")]
    first, second, third = faults(write(tmp_path, rows), tmp_path / "cache")
    path = tmp_path / "t.csv"
    assert first.startswith(
        f"Copies of 2 row(s) of test are in train: {path}, row 7 is {path}, row 2, {path}, row 8 is {path}, row 5. "
        "Split first"
    )
    assert "Copies of 1 row(s) of validation are in train" in second
    assert "Copies of 1 row(s) of test are in validation" in third
    with pytest.raises(DataError, match="copies in two splits"):
        surveyed(path, tmp_path / "cache").accepted()


def test_other_words_or_other_numbers_are_no_copy(tmp_path: Path) -> None:
    rows = [
        row(0, Dialogue=0, Split="train"),
        row(0, Dialogue=1, Split="test", Utterance="Other words."),
        row(1, Dialogue=2, Split="dev", Utterance=row(0)["Utterance"]),
    ]
    assert faults(write(tmp_path, rows), tmp_path / "cache") == []
    nothing = {"V1": "", "V3": "", "V4": "", "A2": ""}
    rows = [row(0, Dialogue=n, Split=split, **nothing) for n, split in enumerate(("train", "dev", "test"))]
    assert faults(write(tmp_path, rows), tmp_path / "cache") == [], "what holds no features can't be told apart"


def test_a_table_that_was_copied_before_it_was_dealt_out_is_refused(tmp_path: Path) -> None:
    rows = [row(n % 3, Dialogue=n) for n in range(12)]
    assert "Copies of" in faults(write(tmp_path, rows), tmp_path / "cache")[0]


@pytest.mark.parametrize(("length", "refused"), [(2, False), (3, True)])
def test_text_alone_is_compared_by_dialogues_of_three(length: int, refused: bool, tmp_path: Path) -> None:
    rows = [
        {"t": f"Words {n}.", "e": "joy", "d": d, "s": split}
        for d, split in enumerate(("train", "test"))
        for n in range(length)
    ]
    write_csv(tmp_path / "t.csv", rows)
    (tmp_path / "table.yaml").write_text("file: t.csv\nutterance: t\nlabel: e\ndialogue: d\nsplit: s\n")
    found = faults(tmp_path, tmp_path / "cache")
    assert found == (
        ["0 (train) and 1 (test) are the same dialogue, word for word. Keep each dialogue in one split."] * refused
    )


def test_the_published_protocol_copies_and_says_so(tmp_path: Path) -> None:
    rows = [row(n, Emotion="joy" if n % 4 else "anger", Dialogue=n // 5) for n in range(200)] + [
        row(500, Emotion="", Dialogue=999)
    ]
    path = write(tmp_path, rows)
    found = surveyed(path, tmp_path / "cache", "published")
    assert found.findings == () and found.remarks[-1] == LEAKING and found.table is not None
    parts = {split: [clip for clip in found.clips if clip.split == split] for split in ("train", "validation", "test")}
    used = {split: [one.row for clip in clips for one in clip.utterances] for split, clips in parts.items()}
    assert len(used["train"]) == 240 and len(used["test"]) == 60 and used["test"] == used["validation"]
    emotions = Counter(one.emotion for name in ("train", "test") for clip in parts[name] for one in clip.utterances)
    assert emotions == {0: 150, 1: 150}
    times = Counter(used["train"] + used["test"])
    assert set(times) == set(range(200)) and {times[n] for n in range(200) if n % 4} == {1}
    assert {times[n] for n in range(0, 200, 4)} == {3}
    assert set(used["train"]) & set(used["test"]), "it leaks"
    assert [clip.id for clip in parts["train"]] == ["train_0001", "train_0002", "train_0003", "train_0004"]
    assert [len(clip.utterances) for clip in parts["train"]] == [64, 64, 64, 48] and len(parts["test"]) == 1
    assert used["train"] != sorted(used["train"]) and {clip.source for clip in found.clips} == {path}
    assert surveyed(path, tmp_path / "cache", "published").clips == found.clips


def test_the_published_protocol_takes_the_train_split_alone(tmp_path: Path) -> None:
    rows = [row(n, Dialogue=n, Split="test" if n < 10 else "train") for n in range(40)]
    found = surveyed(write(tmp_path, rows), tmp_path / "cache", "published")
    assert {one.row for clip in found.clips for one in clip.utterances} <= set(range(10, 40))
    rows = [row(n, Dialogue=n, Split="test") for n in range(4)]
    found = surveyed(write(tmp_path, rows), tmp_path / "cache", "published")
    assert [finding.text for finding in found.findings] == [f"{tmp_path / 't.csv'} has no row of train with a label."]


def test_faults_are_faults_under_the_published_protocol_too(tmp_path: Path) -> None:
    path = write(
        tmp_path, [row(0, Dialogue=1, Split="train"), row(1, Dialogue=1, Split="test"), row(2, Dialogue=2, Split="x")]
    )
    assert len(surveyed(path, tmp_path / "cache", "published").findings) == 2
