"""Files of labels: Aff-Wild2's annotations, MELD's and EmoBank's tables, a challenge's sample file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from common.datasets import emobank, meld
from common.datasets.annotations import read_annotation, scan_annotation
from common.datasets.survey import Survey
from stage3_mlp.samplefile import SampleRows, read_sample
from tests.fuzz.changes import changed_file
from tests.fuzz.target import Target, accepted, from_file

ANNOTATION = "valence,arousal\n0.1,-0.2\n-5,-5\n1,-1\n0.25,5e-1\n"
SAMPLE = "image_location,valence,arousal\nvideo1/00001.jpg,-5,-5\nvideo1/00002.jpg,0,0\nb c/000123.jpg,-5,-5\n"
SAMPLE_ALONE = "image_location\nvideo1/00001.jpg\nvideo2/1.jpg\n"
MELD = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season\n"
    '1,"also I was, the point",Chandler,neutral,neutral,0,0,8\n2,You must’ve,The Interviewer,surprise,positive,0,1,8\n'
    '3,"He said ""no""",Joey,joy,positive,1,0,8\n'
)
EMOBANK = 'id,split,V,A,D,text\na_1,train,3.0,2.5,3.1,A sentence.\nb_2,dev,1,5,3,"Another, with commas"\n'


def _scanned(path: Path) -> tuple[Any, Path]:
    labels, faults = scan_annotation(path)
    if not faults:
        np.testing.assert_array_equal(labels, read_annotation(path))
    return read_annotation(path), path


def _annotation_holds(found: tuple[Any, Path]) -> None:
    labels, path = found
    assert labels.dtype == np.float32 and labels.ndim == 2 and labels.shape[1] == 2 and len(labels)
    some = labels[~np.isnan(labels)]
    assert (np.abs(some) <= 1).all() and (np.isnan(labels[:, 0]) == np.isnan(labels[:, 1])).all()
    # A row per line, whatever else there is in it.
    lines = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    assert len(labels) == len(lines) - 1, (len(labels), lines)
    assert "".join(lines[1:]).isascii()


def _sample_holds(rows: SampleRows) -> None:
    assert len(rows) and len(rows.video) == len(rows.frame) == len(rows.digits)
    assert (rows.frame >= 0).all() and set(rows.video.tolist()) == set(range(len(rows.videos)))
    locations = list(rows.locations(0, len(rows)))
    assert len(set(zip(rows.video.tolist(), rows.frame.tolist(), strict=True))) == len(locations)
    assert all(name.isprintable() for name in rows.videos), rows.videos


def _sample_again(content: bytes, folder: Path) -> SampleRows:
    """Read, written, read again."""
    rows = from_file("sample.txt", read_sample)(content, folder)
    again = folder / "again.txt"
    quoted = ('"' + place.replace('"', '""') + '"' for place in rows.locations(0, len(rows)))
    again.write_text("image_location\n" + "\n".join(quoted) + "\n", encoding="utf-8", newline="")
    other = read_sample(again)
    assert other.videos == rows.videos
    for name in ("video", "frame", "digits"):
        np.testing.assert_array_equal(getattr(other, name), getattr(rows, name))
    return rows


def _meld(path: Path) -> Survey:
    for name in ("dev_sent_emo.csv", "test_sent_emo.csv"):
        path.with_name(name).write_text(MELD.replace("also", name), encoding="utf-8")
    return accepted(meld.survey(path.parent), path.name)


def _emobank(path: Path) -> Survey:
    path.with_name("dev.csv").write_text(EMOBANK.replace("_", "-"), encoding="utf-8")
    return accepted(emobank.survey(path.parent), path.name)


def utterances_hold(found: Survey, *, categorical: bool) -> None:
    """Names that can be files, labels in their range, text that a cache can hold; as many clips as names."""
    assert found.clips and len({clip.id for clip in found.clips}) == len(found.clips)
    for clip in found.clips:
        assert clip.id.isprintable() and clip.utterances
        for one in clip.utterances:
            assert "\0" not in one.text + one.speaker and (one.text + one.speaker).encode() is not None
            values = [value for value in (one.valence, one.arousal) if value is not None]
            assert all(-1 <= value <= 1 for value in values) and (len(values) == 2) == (not categorical)
            assert one.emotion is None or 0 <= one.emotion < len(found.classes)


TARGETS = (
    Target(
        "annotations",
        changed_file(
            ANNOTATION,
            odd=("-5", "valence,arousal", "Valence", "0.5", "-1", "1e-3", "0", "+1", "-.25", " ", "\n0.1,0.2\n"),
        ),
        from_file("video.txt", _scanned),
        _annotation_holds,
        file="video.txt",
    ),
    Target(
        "sample file",
        changed_file(
            SAMPLE, SAMPLE_ALONE, odd=("/0.jpg", "/1000000000.jpg", "video1/00001.jpg", ".JPG", "image_location")
        ),
        _sample_again,
        _sample_holds,
        file="sample.txt",
    ),
    Target(
        "MELD's table",
        changed_file(MELD, odd=("Emotion", "Utterance", "Dialogue_ID", "joy", "JOY ", "999999999", "\x92")),
        from_file("train_sent_emo.csv", _meld),
        functools.partial(utterances_hold, categorical=True),
        file="_sent_emo.csv",
    ),
    Target(
        "EmoBank's table",
        changed_file(EMOBANK, odd=("id", "text", "5", "5.01", "0.99", "a_1")),
        from_file("train.csv", _emobank),
        functools.partial(utterances_hold, categorical=False),
        file="train.csv",
    ),
)
