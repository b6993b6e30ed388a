"""A transcript to read, and what is read put plainly."""

from __future__ import annotations

from pathlib import Path

from stage1_embeddings.transcript import Transcript, read_transcript

SRT = """1
00:00:01,000 --> 00:00:03,000
ab cdef

2
01:00:00,500 --> 01:00:01,000
<i>Two</i> {\\an8}lines
of it
"""

JSON = {
    "text": " ab cdef",
    "language": "en",
    "segments": [
        {"start": 5.0, "end": 6.0, "text": " later", "words": []},
        {
            "start": 1.0,
            "end": 3.0,
            "text": " ab cdef",
            "words": [{"word": " cdef", "start": 1.5, "end": 2.5}, {"word": " ab", "start": 1.0, "end": 1.25}],
        },
    ],
}


def read(tmp_path: Path, name: str, content: str | bytes) -> Transcript:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_transcript(path)


def words(heard: Transcript) -> list[list[tuple[str, float, float]]]:
    return [[(word.text, word.start_s, word.end_s) for word in segment.words] for segment in heard.segments]
