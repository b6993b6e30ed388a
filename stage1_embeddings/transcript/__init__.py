"""Timed transcripts that lie beside a video: Whisper's JSON, SubRip, WebVTT, GRID's alignments, timed lines."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from common.errors import DataError
from common.unpacking import check_text_size
from stage1_embeddings.transcript.cues import webvtt_or_subrip
from stage1_embeddings.transcript.lines import alignment, is_timed_line, timed_lines
from stage1_embeddings.transcript.whisper_json import whisper_json
from stage1_embeddings.transcript.words import Segment, Transcript, spread, transcript, wrong

__all__ = ["SUFFIXES", "Segment", "Transcript", "find_transcript", "read_transcript", "spread", "transcript"]

#: Where several lie beside a video, the first of these is read.
SUFFIXES = (".json", ".srt", ".vtt", ".align", ".txt")

#: What Whisper's JSON has and settings, poses, annotations don't.
_JSON_OBJECT = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")
_LIST_OF_SEGMENTS = re.compile(rb'"segments"\s*:\s*\[\s*[\]{]')


def find_transcript(video: Path) -> Path | None:
    """The transcript beside a video: its name with one of `SUFFIXES`, the first that exists.

    A ``.json`` counts only if it has a list ``segments``, a ``.txt`` only if its first line that isn't blank begins
    like ``[12.3s - 14.0s]``: settings and annotations come in such files too. An empty ``.json`` counts, so that a
    transcript that was never written is told from none.
    """
    for suffix in SUFFIXES:
        path = video.with_suffix(suffix)
        if path == video or not path.is_file():
            continue
        if (suffix == ".json" and not _has_segments(path)) or (suffix == ".txt" and not _has_timed_lines(path)):
            continue
        return path
    return None


def read_transcript(path: Path) -> Transcript:
    """Read a transcript by its suffix, one of `SUFFIXES`; UTF-8, with or without a BOM.

    Words without times of their own share their cue's in proportion to their length in characters.

    Raises
    ------
    DataError
        If the file can't be read, is empty, isn't UTF-8 or isn't what its suffix says; if a time can't be read, is
        negative or not finite, or ends before it starts. The message gives the line, or the place in the JSON.
    """
    text = _text(path)
    language = None
    match path.suffix.lower():
        case ".json":
            language, segments = whisper_json(text, path)
        case ".srt" | ".vtt":
            segments = webvtt_or_subrip(text, path)
        case ".align":
            segments = alignment(text, path)
        case ".txt":
            segments = timed_lines(text, path)
        case _:
            raise DataError(f"{path} is no transcript by its name.", f"Name it {', '.join(SUFFIXES)}.")
    return transcript(segments, source=path.name, language=language)


def _text(path: Path) -> str:
    check_text_size(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.", "Check the path.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = f"has the byte 0x{content[error.start]:02x}, which isn't UTF-8"
        raise wrong(f"{path}, line {line}", what, "Save it as UTF-8.") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise wrong(f"{path}, line {line}", "has a character 0", "Save it as plain UTF-8 text.")
    if not text.strip():
        raise DataError(f"{path} is empty.", "Write the transcript again, or remove the file.")
    return text


def _has_segments(path: Path) -> bool:
    """Looked for, not parsed: poses of an hour are hundreds of megabytes."""
    if path.stat().st_size == 0:
        return True
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return bool(_JSON_OBJECT.match(content) and _LIST_OF_SEGMENTS.search(content))


def _has_timed_lines(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return is_timed_line(next((line for line in file if line.strip()), ""))
