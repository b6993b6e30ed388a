"""Timed transcripts that lie beside a video: SubRip, WebVTT, Whisper's JSON, or lines ``[12.3s - 14.0s] text``."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import DataError

#: Where several lie beside a video, the first of these is read.
SUFFIXES = (".json", ".srt", ".vtt", ".txt")

_TIME = r"(?:(\d{1,4}):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})"
_CUE_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?", re.ASCII)
_WORD_TIME = re.compile(rf"<{_TIME}>", re.ASCII)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|\{\\[^{}]*\}")
_LINE = re.compile(r"\s*\[\s*(\S+?)\s*s?\s+-\s+(\S+?)\s*s?\s*\]\s*(.*)")
_NOT_A_CUE = re.compile(r"(?:WEBVTT|NOTE|STYLE|REGION)(?:\s|$)")


@dataclass(frozen=True)
class Word:
    """A word and when it is said, in seconds on the video's presentation clock; ``start_s <= end_s``."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Segment:
    """A sentence or cue: at least one word, in order of their starts."""

    words: tuple[Word, ...]


@dataclass(frozen=True)
class Transcript:
    """What is said in a clip.

    Attributes
    ----------
    segments : tuple of Segment
        In order of their starts; they may overlap. Empty where nothing is said.
    source : str
        Name of the file, or of the model that heard it.
    language : str or None
        As the source says, such as ``en``.
    """

    segments: tuple[Segment, ...]
    source: str
    language: str | None = None


def find_transcript(video: Path) -> Path | None:
    """The transcript beside a video: its name with ``.json``, ``.srt``, ``.vtt`` or ``.txt``, the first that exists.

    A ``.txt`` counts only if its first line that isn't blank begins like ``[12.3s - 14.0s]``: annotations are
    text files too.
    """
    for suffix in SUFFIXES:
        path = video.with_suffix(suffix)
        if path != video and path.is_file() and (suffix != ".txt" or _has_timed_lines(path)):
            return path
    return None


def read_transcript(path: Path) -> Transcript:
    """Read a transcript by its suffix (``.json``, ``.srt``, ``.vtt``, ``.txt``); UTF-8, with or without a BOM.

    Words without times of their own share their cue's in proportion to their length in characters.

    Raises
    ------
    DataError
        If the file can't be read, is empty, isn't UTF-8 or isn't what its suffix says; if a time can't be read, is
        negative or not finite, or ends before it starts. The message gives the line, or the place in the JSON.
    """
    text = _text(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        language, segments = _json(text, path)
    elif suffix in (".srt", ".vtt"):
        language, segments = None, list(_cues(text, path))
    elif suffix == ".txt":
        language, segments = None, list(_timed_lines(text, path))
    else:
        raise DataError(f"{path} is no transcript by its name.", f"Name it {', '.join(SUFFIXES)}.")
    return transcript(segments, source=path.name, language=language)


def transcript(segments: Iterable[Iterable[Word]], *, source: str, language: str | None) -> Transcript:
    """Put words in order, and segments in the order of their first words; segments without a word are left out."""
    ordered = [tuple(sorted(words, key=lambda word: (word.start_s, word.end_s))) for words in segments]
    ordered.sort(key=lambda words: words[0].start_s if words else 0.0)
    return Transcript(tuple(Segment(words) for words in ordered if words), source, language)


def spread(text: str, start_s: float, end_s: float) -> list[Word]:
    """Words of ``text`` one after the other over ``[start_s, end_s]``, each for its share of the characters."""
    words = text.split()
    edges_s = [start_s]
    total, done = sum(map(len, words)), 0
    for word in words:
        done += len(word)
        edges_s.append(min(start_s + (end_s - start_s) * (done / total), end_s))
    edges_s[-1] = end_s if words else start_s
    return [Word(*timed) for timed in zip(words, edges_s[:-1], edges_s[1:], strict=True)]


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.", "Check the path.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = f"has the byte 0x{content[error.start]:02x}, which isn't UTF-8"
        raise _wrong(f"{path}, line {line}", what, "Save it as UTF-8.") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise _wrong(f"{path}, line {line}", "has a character 0", "Save it as plain UTF-8 text.")
    if not text.strip():
        raise DataError(f"{path} is empty.", "Write the transcript again, or remove the file.")
    return text


def _has_timed_lines(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = next((line for line in file if line.strip()), "")
    return _LINE.match(first) is not None


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """Runs of lines that aren't blank, with their numbers from 1."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _cues(text: str, path: Path) -> Iterator[list[Word]]:
    """Words of each cue of a SubRip or WebVTT file."""
    webvtt = path.suffix.lower() == ".vtt"
    for block in _blocks(text):
        if webvtt and _NOT_A_CUE.match(block[0][1]) and not any("-->" in line for _, line in block):
            continue
        # A cue may begin with its number or name.
        body = block[1:] if "-->" not in block[0][1] and len(block) > 1 else block
        number, line = body[0]
        where = f"{path}, line {number}"
        times = _CUE_TIMES.fullmatch(line)
        if times is None:
            raise _wrong(where, f"{line.strip()!r} isn't a cue's time", "Write it as 00:00:01,500 --> 00:00:02,000.")
        start_s, end_s = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
        _check(start_s, end_s, where)
        stray = next((number for number, line in body[1:] if "-->" in line), None)
        if stray is not None:
            raise _wrong(f"{path}, line {stray}", "has a cue's time inside a cue", "Put a blank line before each cue.")
        words = " ".join(line for _, line in body[1:])
        yield _inline(words, start_s, end_s, where) if webvtt else spread(_TAG.sub("", words), start_s, end_s)


def _inline(text: str, start_s: float, end_s: float, where: str) -> list[Word]:
    """Words of a WebVTT cue, which may have times between them: ``Hello <00:00:01.500>world``."""
    found = list(_WORD_TIME.finditer(text))
    edges_s = [start_s, *(_seconds(match.groups()) for match in found), end_s]
    places = [0, *(match.end() for match in found)]
    stops = [*(match.start() for match in found), len(text)]
    words: list[Word] = []
    for place, stop, from_s, to_s in zip(places, stops, edges_s[:-1], edges_s[1:], strict=True):
        _check(from_s, to_s, where)
        words += spread(html.unescape(_TAG.sub("", text[place:stop])), from_s, to_s)
    return words


def _timed_lines(text: str, path: Path) -> Iterator[list[Word]]:
    """Words of each line ``[12.3s - 14.0s] text``."""
    for block in _blocks(text):
        for number, line in block:
            where = f"{path}, line {number}"
            match = _LINE.fullmatch(line)
            if match is None:
                raise _wrong(where, f"{line.strip()[:80]!r} isn't a timed line", "Write [12.3s - 14.0s] text.")
            start_s, end_s = _number(match[1], where), _number(match[2], where)
            _check(start_s, end_s, where)
            yield spread(match[3], start_s, end_s)


def _json(text: str, path: Path) -> tuple[str | None, list[list[Word]]]:
    """Language, and words of each segment, of Whisper's JSON."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise _wrong(f"{path}, line {error.lineno}", f"isn't JSON: {error.msg}", "Write it again.") from None
    except (ValueError, RecursionError) as error:
        raise _wrong(str(path), f"isn't usable JSON: {error}", "Write it again.") from None
    segments = content.get("segments") if isinstance(content, dict) else None
    if not isinstance(segments, list):
        raise _wrong(str(path), "has no list 'segments'", "Give Whisper's JSON, or keep other JSON under another name.")
    language = content.get("language")
    read = [_json_segment(item, f"{path}, segments[{index}]") for index, item in enumerate(segments)]
    return language if isinstance(language, str) else None, read


def _json_segment(item: Any, where: str) -> list[Word]:
    words = item.get("words") if isinstance(item, dict) else None
    # Some aligners leave out the times of what they can't align: then the whole segment is spread.
    if isinstance(words, list) and words and all(map(_is_timed, words)):
        read = []
        for index, word in enumerate(words):
            place = f"{where}.words[{index}]"
            start_s, end_s, text = _json_timed(word, place, "word")
            read += spread(text, start_s, end_s)
        return read
    start_s, end_s, text = _json_timed(item, where, "text")
    return spread(text, start_s, end_s)


def _is_timed(word: Any) -> bool:
    return isinstance(word, dict) and word.get("start") is not None and word.get("end") is not None


def _json_timed(item: Any, where: str, key: str) -> tuple[float, float, str]:
    if not isinstance(item, dict) or not isinstance(item.get(key), str):
        raise _wrong(where, f"has no text {key!r}", "Give Whisper's JSON.")
    text: str = item[key]
    if re.search("[\0\ud800-\udfff]", text):
        raise _wrong(where, f"has a character that isn't text in {text!r}", "Write it again.")
    start_s, end_s = (_number(item.get(name), f"{where}.{name}") for name in ("start", "end"))
    _check(start_s, end_s, where)
    return start_s, end_s, text


def _seconds(parts: tuple[str | None, ...]) -> float:
    """Hours, minutes, seconds and the digits after the point, in seconds."""
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000


def _number(value: Any, where: str) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(where, f"has the time {str(value)[:40]!r}", "Give seconds, such as 12.3.")
    return number


def _check(start_s: float, end_s: float, where: str) -> None:
    if start_s < 0:
        raise _wrong(where, f"starts at {start_s:g} s", "Times count from the start of the video.")
    if end_s < start_s:
        raise _wrong(where, f"ends at {end_s:g} s, before its start at {start_s:g} s", "Put the times right.")


def _wrong(where: str, what: str, cure: str) -> DataError:
    return DataError(f"{where} {what}.", cure)
