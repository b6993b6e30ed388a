"""Timed transcripts of every form."""

from __future__ import annotations

import math
from pathlib import Path

from stage1_embeddings.transcript import Transcript, find_transcript, read_transcript
from tests.fuzz.changes import changed_file, changed_json
from tests.fuzz.target import Target, from_file

SRT = "1\n00:00:01,000 --> 00:00:02,500\nHello there\n\n2\n00:00:02,400 --> 00:00:04,000\n<i>you</i> two\nagain\n\n"
VTT = (
    "WEBVTT\n\nNOTE a note\n\nname\n00:01.000 --> 00:02.500 align:start\nHello <00:00:01.500>there &amp; <b>you</b>\n\n"
    "00:00:03.000 --> 00:00:04.000\nagain\n"
)
ALIGN = "0 12250 sil\n12250 19250 set\n19250 26250 white\n26250 30000 sp\n"
LINES = "[0.0s - 1.5s] Hello there\n[1.5 - 2.75] you\n\n[3s - 4 s]  again\n"
WHISPER = {
    "text": "ab cdef",
    "language": "en",
    "segments": [
        {"id": 0, "start": 1.0, "end": 3.0, "text": " ab cdef", "words": [
            {"word": " ab", "start": 1.0, "end": 1.25, "probability": 0.9}, {"word": " cdef", "start": 1.5, "end": 2.5},
        ]},
        {"start": 5.0, "end": 6.0, "text": " later"},
    ],
}  # fmt: skip
TIMES = (
    "00:00:01,000", "00:00:03.5", "99:59:59,999", "9999:00:00,000", "00:60:00,000", "-00:00:01,000", "00:00:0٣,000",
    " --> ",
    "<00:00:09.000>", "<c.x>", "</c>", "{\\an8}", "&#0;", "&#x110000;", "&#xd800;", "NOTE", "WEBVTT", "[1s - 2s]",
    "[", "1e3",
)  # fmt: skip


def _read(path: Path) -> Transcript:
    find_transcript(path.with_suffix(".mp4"))  # a glance into .json and .txt decides; it never fails
    return read_transcript(path)


def holds(found: Transcript) -> None:
    """Words with text, on the video's clock, in order; segments in the order of their first words."""
    for segment in found.segments:
        assert segment.words
        for word in segment.words:
            assert word.text and not word.text.isspace() and "\0" not in word.text
            word.text.encode()
            assert math.isfinite(word.start_s) and math.isfinite(word.end_s) and 0 <= word.start_s <= word.end_s
        starts = [word.start_s for word in segment.words]
        assert starts == sorted(starts)
    firsts = [segment.words[0].start_s for segment in found.segments]
    assert firsts == sorted(firsts)
    if found.language is not None:
        assert found.language.isprintable() and len(found.language) < 100, found.language


def _target(suffix: str, *valid: str) -> Target:
    name = f"talk{suffix}"
    return Target(f"transcript {suffix}", changed_file(*valid, odd=TIMES), from_file(name, _read), holds, file=name)


TARGETS = (
    _target(".srt", SRT, VTT),
    _target(".vtt", VTT, SRT),
    _target(".align", ALIGN),
    _target(".txt", LINES),
    Target("transcript .json", changed_json(WHISPER), from_file("talk.json", _read), holds, file="talk.json"),
)
