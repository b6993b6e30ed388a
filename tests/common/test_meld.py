"""MELD as it is released: its tables, its videos where they are there, and what is refused."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from common.datasets import meld
from common.datasets.dialogue_splits import LEAKING
from common.datasets.survey import Survey
from common.errors import DataError

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
PARTS = ("train", "dev", "test")
NO_VIDEO = "There are no videos of the utterances: there is text alone."

Row = tuple[str, str, str, int | str, int | str]


def write(path: Path, rows: Sequence[Row], header: str = HEADER, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        file.write(header + "\r\n")
        table = csv.writer(file)
        for number, (said, speaker, emotion, dialogue, order) in enumerate(rows, start=1):
            table.writerow(
                [number, said, speaker, emotion, "x", dialogue, order, 8, 21, "00:16:16,059", "00:16:21,731"]
            )
    return path


def said(part: str, dialogue: int, orders: Sequence[int]) -> list[Row]:
    return [(f"{part} {dialogue} {n}", "Ross", meld.MELD_CLASSES[n % 7], dialogue, n) for n in orders]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "MELD"
    for part in PARTS:
        write(root / f"{part}_sent_emo.csv", [*said(part, 10, [2, 0, 1]), *said(part, 2, [0, 3])])
    return root


def surveyed(root: Path) -> Survey:
    found = meld.survey(root)
    assert found is not None
    return found


def texts(found: Survey) -> list[str]:
    return [f"{finding.text} {finding.cure}" for finding in found.findings]


def test_dialogues_utterances_and_labels(folder: Path) -> None:
    found = surveyed(folder)
    assert (found.kind, found.root, found.findings, found.remarks) == ("meld", folder, (), (NO_VIDEO,))
    assert found.classes == ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
    assert found.brings == {"visual": "none", "audio": "none"} and found.table is None and found.parts == {}
    assert [(clip.id, clip.split) for clip in found.clips] == [
        ("train_dia2", "train"), ("train_dia10", "train"),
        ("dev_dia2", "validation"), ("dev_dia10", "validation"),
        ("test_dia2", "test"), ("test_dia10", "test"),
    ]  # fmt: skip
    clip = found.clips[1]
    assert clip.source == folder / "train_sent_emo.csv"
    assert [one.text for one in clip.utterances] == ["train 10 0", "train 10 1", "train 10 2"]
    assert [one.emotion for one in clip.utterances] == [0, 1, 2]
    assert {(one.speaker, one.row, one.video) for one in clip.utterances} == {("Ross", None, None)}


@pytest.mark.parametrize("below", ["", "MELD.Raw", "data/MELD", "a/b/c"])
def test_tables_are_found_up_to_three_folders_down(below: str, folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "root" / below
    place.mkdir(parents=True)
    for path in folder.iterdir():
        path.rename(place / path.name)
    assert len(surveyed(tmp_path / "root").clips) == 6


def test_other_folders_are_no_meld(tmp_path: Path) -> None:
    assert meld.survey(tmp_path) is None
    assert meld.survey(tmp_path / "nothing") is None
    for hidden in (".old", "cropped_aligned", "a/b/c/d"):
        write(tmp_path / hidden / "train_sent_emo.csv", said("train", 0, [0]))
    assert meld.survey(tmp_path) is None
    assert meld.survey(write(tmp_path / "x" / "other.csv", [])) is None


def test_videos_where_they_are_there(folder: Path) -> None:
    videos = {
        "train_splits": ["dia2_utt0", "dia2_utt3", "dia10_utt0", "dia10_utt1"],
        "dev/dev_splits_complete": ["dia10_utt2", "._dia10_utt2"],
        "test/output_repeated_splits_test": ["dia2_utt0", "final_videos_testdia2_utt0"],
    }
    for place, names in videos.items():
        (folder / place).mkdir(parents=True)
        for name in names:
            (folder / place / f"{name}.mp4").write_bytes(b"")
    found = surveyed(folder)
    there = {(clip.id, n): one.video for clip in found.clips for n, one in enumerate(clip.utterances) if one.video}
    assert there == {
        ("train_dia2", 0): folder / "train_splits" / "dia2_utt0.mp4",
        ("train_dia2", 1): folder / "train_splits" / "dia2_utt3.mp4",
        ("train_dia10", 0): folder / "train_splits" / "dia10_utt0.mp4",
        ("train_dia10", 1): folder / "train_splits" / "dia10_utt1.mp4",
        ("dev_dia10", 2): folder / "dev" / "dev_splits_complete" / "dia10_utt2.mp4",
        ("test_dia2", 0): folder / "test" / "output_repeated_splits_test" / "dia2_utt0.mp4",
    }
    assert found.brings == {}
    assert found.remarks == ("9 of 15 utterances have no video: visual and audio are masked there.",)
    refused = meld.survey(folder, protocol="published")
    assert refused is not None and "holds videos, and --protocol published is for rows of tables" in texts(refused)[0]


def test_a_folder_of_videos_without_any_is_no_video(folder: Path) -> None:
    (folder / "train_splits").mkdir()
    found = surveyed(folder)
    assert found.brings == {"visual": "none", "audio": "none"} and found.remarks == (NO_VIDEO,)


def test_utterances_without_words_or_emotion(folder: Path) -> None:
    write(folder / "dev_sent_emo.csv", [(" ", "A", " Joy ", 0, 0), ("Hm.", "B", "", 0, 1)])
    found = surveyed(folder)
    (clip,) = (clip for clip in found.clips if clip.id == "dev_dia0")
    assert [(one.text, one.emotion) for one in clip.utterances] == [("", 3), ("Hm.", None)]
    assert found.remarks == (
        "1 of 12 utterances have no emotion: they are context, and aren't scored.",
        "1 of 12 utterances have no words: text is masked there.",
        NO_VIDEO,
    )


def test_windows_bytes_are_read_and_said(folder: Path) -> None:
    write(folder / "test_sent_emo.csv", [("You’ve “won” – café", "A", "joy", 0, 0)], encoding="cp1252")
    path = write(folder / "dev_sent_emo.csv", [("It’s it?s", "A", "joy", 0, 0)], encoding="utf-8-sig")
    path.write_bytes(path.read_bytes().replace(b"it?s", b"it\x92s"))
    found = surveyed(folder)
    assert found.findings == ()
    assert [clip.utterances[0].text for clip in found.clips[2:]] == ["It’s it’s", "You’ve “won” – café"]
    assert found.remarks == (
        "dev_sent_emo.csv isn't UTF-8 throughout: bytes that aren't were read as Windows-1252.",
        "test_sent_emo.csv isn't UTF-8 throughout: bytes that aren't were read as Windows-1252.",
        NO_VIDEO,
    )


def test_all_faults_are_said_at_once(folder: Path) -> None:
    rows: list[Row] = [
        ("a", "A", "bored", 0, 0),
        ("b", "A", "joy", "x", "-1"),
        ("c", "A", "joy", 1, 1),
        ("d", "A", "fear", 1, 1),
        ("e", "A", "joy", "²", 10**12),
    ]
    path = write(folder / "train_sent_emo.csv", rows)
    with path.open("a", encoding="utf-8") as file:
        file.write("6,too,short\n")
    write(folder / "dev_sent_emo.csv", said("dev", 0, [0]), HEADER.replace("Emotion", "Feeling"))
    (folder / "test_sent_emo.csv").unlink()
    found = surveyed(folder)
    expected = [
        r"has no test_sent_emo\.csv, but others of MELD's tables\. MELD's are",
        r"train_sent_emo\.csv, row 2, column Emotion is 'bored'\. It is one of anger, disgust",
        r"row 3, column Dialogue_ID is 'x'\. It is a whole number",
        r"row 3, column Utterance_ID is '-1'",
        r"row 6, column Dialogue_ID is '²'",
        r"row 6, column Utterance_ID is '1000000000000'",
        r"row 7 has 3 cell\(s\)\. A row has 11",
        r"row 5: Dialogue_ID 1 and Utterance_ID 1 are those of row 4\. Each utterance",
        r"dev_sent_emo\.csv has no column Emotion; it has Sr No\., Utterance, .*\. MELD's tables have",
    ]
    assert len(found.findings) == len(expected)
    for text, pattern in zip(texts(found), expected, strict=True):
        assert re.search(pattern, text), text
    with pytest.raises(DataError, match="bored"):
        found.accepted()


def test_what_is_no_table_is_refused(folder: Path) -> None:
    path = folder / "dev_sent_emo.csv"
    path.write_text(HEADER + '\n1,"never closed', encoding="utf-8")
    assert re.search(r"dev_sent_emo\.csv, line 2: this is no comma-separated table", texts(surveyed(folder))[0])
    write(path, [])
    assert "dev_sent_emo.csv holds no utterance." in texts(surveyed(folder))[0]
    path.write_bytes(b"")
    assert (
        "has no column Utterance, Speaker, Emotion, Dialogue_ID, Utterance_ID; it has none"
        in texts(surveyed(folder))[0]
    )


@pytest.mark.parametrize(("length", "refused"), [(2, 0), (3, 1)])
def test_a_dialogue_in_two_splits(length: int, refused: int, folder: Path) -> None:
    for part in ("train", "test"):
        write(folder / f"{part}_sent_emo.csv", said("same", 0, range(length)))
    found = texts(surveyed(folder))
    assert len(found) == refused
    assert all("train_dia0 (train) and test_dia0 (test) are the same dialogue, word for word" in text for text in found)


def test_the_published_protocol_takes_train_alone(folder: Path) -> None:
    found = meld.survey(folder, protocol="published")
    assert found is not None and found.findings == () and found.remarks == (NO_VIDEO, LEAKING)
    assert {clip.id for clip in found.clips} == {"train_0001", "validation_0001", "test_0001"}
    assert all(one.text.startswith("train") for clip in found.clips for one in clip.utterances)
    assert Counter(one.emotion for clip in found.clips[:2] for one in clip.utterances) == {0: 2, 1: 2, 2: 2, 3: 2}


@pytest.mark.shared_data
def test_the_real_tables(shared: Callable[[str], Path]) -> None:
    found = surveyed(shared("meld"))
    assert found.findings == () and found.remarks == (NO_VIDEO,)
    clips = Counter(clip.split for clip in found.clips)
    assert clips == {"train": 1038, "validation": 114, "test": 280}
    rows = {split: [one for clip in found.clips if clip.split == split for one in clip.utterances] for split in clips}
    assert {split: len(some) for split, some in rows.items()} == {"train": 9989, "validation": 1109, "test": 2610}
    counts = {split: [Counter(one.emotion for one in some)[n] for n in range(7)] for split, some in rows.items()}
    assert counts == {
        "train": [1109, 271, 268, 1743, 4710, 683, 1205],
        "validation": [153, 22, 40, 163, 470, 111, 150],
        "test": [345, 68, 50, 402, 1256, 208, 281],
    }
    assert all(one.text.strip() == one.text != "" for some in rows.values() for one in some[:50])
    copied = meld.survey(shared("meld"), protocol="published")
    assert copied is not None and copied.findings == ()
    total = Counter(one.emotion for clip in copied.clips if clip.split != "test" for one in clip.utterances)
    assert total == dict.fromkeys(range(7), 4710)
