"""Splits of dialogues: by session, by emotion, the published way; and what counts as a copy."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.datasets.dialogue_splits import (
    BLOCK_ROWS,
    copied_dialogues,
    copied_rows,
    published,
    split_up,
    with_sessions,
)
from common.manifest import Clip, Utterance
from common.schema import Split

TABLE = Path("table.csv")


def clip(name: str, *emotions: int | None, split: Split = "unsplit", group: str = "") -> Clip:
    rows = tuple(Utterance(f"{name} {n}", emotion=emotion, row=n) for n, emotion in enumerate(emotions))
    return Clip(name, TABLE, split, utterances=rows, group=group)


def dialogue(name: str, split: Split, *texts: str) -> Clip:
    return Clip(name, TABLE, split, utterances=tuple(map(Utterance, texts)))


def test_every_class_is_in_every_split() -> None:
    clips = [clip(f"d{n}", n % 7, n % 7, None, (n + 1) % 7) for n in range(7 * 12)]
    split, remark = split_up(clips)
    by_class: dict[int, Counter[str]] = defaultdict(Counter)
    for one in split:
        by_class[one.utterances[0].emotion or 0][one.split] += 1
    assert len(by_class) == 7
    assert all(counts == {"train": 8, "validation": 2, "test": 2} for counts in by_class.values())
    assert "by dialogue" in remark and "session" not in remark


@given(st.lists(st.integers(-1, 3), min_size=4, max_size=60), st.randoms())
def test_the_order_of_dialogues_decides_nothing(emotions: list[int], random: Random) -> None:
    clips = [clip(f"d{n}", emotion if emotion >= 0 else None) for n, emotion in enumerate(emotions)]
    expected = {one.id: one.split for one in split_up(clips)[0]}
    assert set(expected.values()) == {"train", "validation", "test"}
    random.shuffle(clips)
    assert {one.id: one.split for one in split_up(clips)[0]} == expected


def test_a_dialogue_without_labels_has_its_place_too() -> None:
    split, _ = split_up([clip(f"d{n}", None, None) for n in range(12)])
    assert Counter(one.split for one in split) == {"train": 8, "validation": 2, "test": 2}


def test_clips_that_hold_the_same_stay_together() -> None:
    clips = [clip(f"r{n}", n % 2) for n in range(60)]
    split, remark = split_up(clips, {one.id: str(n // 3) for n, one in enumerate(clips)})
    for n in range(0, 60, 3):
        assert len({one.split for one in split[n : n + 3]}) == 1
    assert "by row (equal rows together)" in remark


def test_sessions_in_natural_order() -> None:
    clips = [clip(f"d{n}", 0, group=f"Session{n}") for n in (10, 9, 1, 2)]
    split, remark = split_up(clips)
    assert {one.group: one.split for one in split} == {
        "Session1": "train", "Session2": "train", "Session9": "validation", "Session10": "test",
    }  # fmt: skip
    assert remark == "Split by session: Session10 is the test split, Session9 validates, the others train."


def test_two_sessions_are_too_few() -> None:
    split, remark = split_up([clip(f"d{n}", 0, group=f"s{n % 2}") for n in range(12)])
    assert {one.split for one in split} == {"train", "validation", "test"}
    assert remark.endswith("2 session(s) are too few to split by.")


def test_given_splits_stay_whatever_the_sessions() -> None:
    clips = [clip(f"d{n}", 0, split="test", group=f"s{n}") for n in range(5)]
    assert split_up(clips) == (tuple(clips), "The splits are the data set's own.")


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["Ses01F_impro01", "Ses02M_script01_1"], ["Ses01", "Ses02"]),
        (["Ses01F_impro01", "other"], ["", ""]),
        (["Ses01X_impro01", "Ses01F"], ["", ""]),
    ],
)
def test_sessions_told_by_names(names: list[str], groups: list[str]) -> None:
    assert [one.group for one in with_sessions([clip(name, 0) for name in names])] == groups


def test_a_named_session_is_not_overruled() -> None:
    clips = (clip("Ses01F_a", 0, group="x"), clip("Ses02F_a", 0, group="y"))
    assert with_sessions(clips) == clips


@given(st.lists(st.lists(st.integers(-1, 3), max_size=6), min_size=1, max_size=12))
def test_published_has_equally_many_of_each_class(dialogues: list[list[int]]) -> None:
    clips = [clip(f"d{n}", *(e if e >= 0 else None for e in some)) for n, some in enumerate(dialogues)]
    found = published(clips)
    rows = {split: [one for c in found if c.split == split for one in c.utterances] for split in ("train", "test")}
    counts = Counter(one.emotion for some in rows.values() for one in some)
    before = Counter(e for some in dialogues for e in some if e >= 0)
    assert counts == dict.fromkeys(before, max(before.values(), default=0))
    times = Counter(one.text for some in rows.values() for one in some)
    for emotion in before:
        own = {times[one.text] for c in clips for one in c.utterances if one.emotion == emotion}
        assert max(own) - min(own) <= 1, "no row is copied twice before each was copied once"
    total = sum(counts.values())
    assert len(rows["test"]) == -(-total // 5) and all(1 <= len(c.utterances) <= BLOCK_ROWS for c in found)
    assert len({c.id for c in found}) == len(found) and published(clips) == found


def test_published_scores_what_it_validates_on_and_trains_on_copies_of_it() -> None:
    clips = [clip(f"d{n}", *[0] * 30, 1) for n in range(10)]
    found = published([*clips, clip("kept apart", 0, 1, split="test"), clip("and this", 0, split="validation")])
    texts = {
        split: {one.text for c in found if c.split == split for one in c.utterances} for split in ("train", "test")
    }
    assert [c.utterances for c in found if c.split == "test"] == [
        c.utterances for c in found if c.split == "validation"
    ]
    assert texts["train"] & texts["test"]
    assert not any("kept" in text or "this" in text for text in texts["train"] | texts["test"])
    assert published([]) == ()


def test_the_seed_is_of_the_names() -> None:
    one, two = (published([clip(f"{name}{n}", 0, 1, 0) for n in range(30)]) for name in "ab")
    assert [row.row for row in one[0].utterances] != [row.row for row in two[0].utterances]


def test_dialogues_word_for_word_in_two_splits() -> None:
    same = ("Hey.", "Hey!", "How are you?")
    clips = [
        dialogue("a", "train", *same), dialogue("b", "train", *same), dialogue("c", "test", *same),
        dialogue("d", "train", *same[:2]), dialogue("e", "test", *same[:2]), dialogue("f", "test", *same[::-1]),
        dialogue("g", "train", "", "", ""), dialogue("h", "test", "", "", ""),
    ]  # fmt: skip
    (found,) = copied_dialogues(clips)
    assert found.text == "a (train) and c (test) are the same dialogue, word for word." and found.weight == "refused"


def test_rows_in_two_splits() -> None:
    def numbered(split: Split, *rows: int) -> Clip:
        return Clip(f"{split}", TABLE, split, utterances=tuple(Utterance("", row=row) for row in rows))

    contents = {0: "x", 1: "y", 2: "x", 3: "z", 4: "y", 5: "x"}
    clips = [numbered("test", 2, 4, 6), numbered("train", 0, 1, 5), numbered("validation", 3, 7)]
    (found,) = copied_rows(clips, contents, {n: f"row {n}" for n in range(8)})
    assert found.text == "Copies of 2 row(s) of test are in train: row 2 is row 0, row 4 is row 1."
