"""SubRip and WebVTT: cues, some of which say again what the cue before said."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.outside_text import shortened
from common.words import Word
from stage1_embeddings.transcript.lines import numbered_lines
from stage1_embeddings.transcript.words import check, spread, wrong

#: A cue follows the one before if it starts no later than this after its end.
FOLLOWS_S = 0.1

_TIME = r"(?:(\d{1,4}):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})"
_CUE_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?", re.ASCII)
_WORD_TIME = re.compile(rf"<{_TIME}>", re.ASCII)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|\{\\[^{}]*\}")
_NOT_A_CUE = re.compile(r"(?:WEBVTT|NOTE|STYLE|REGION)(?:\s|$)")


@dataclass(frozen=True)
class _Cue:
    start_s: float
    end_s: float
    lines: tuple[str, ...]  # none of them blank
    where: str

    @property
    def shown(self) -> tuple[str, ...]:
        """Its lines as a viewer reads them."""
        return tuple(" ".join(_TAG.sub("", _WORD_TIME.sub("", line)).split()) for line in self.lines)


def webvtt_or_subrip(text: str, path: Path) -> list[list[Word]]:
    """Words of each cue.

    Captions that roll (YouTube's, and the SubRip made of them) show each line a second and third time while the
    next is spoken; such a repetition is no speech. It is left out only where the whole file rolls: people repeat
    themselves too.
    """
    webvtt = path.suffix.lower() == ".vtt"
    cues = list(_cues(text, path, webvtt=webvtt))
    repeated = _repeated_lines(cues)
    read = []
    for cue, said_before in zip(cues, repeated, strict=True):
        words = " ".join(cue.lines[said_before:])
        if webvtt:
            read.append(_inline(words, cue.start_s, cue.end_s, cue.where))
        else:
            read.append(spread(_TAG.sub("", words), cue.start_s, cue.end_s))
    return read


def _repeated_lines(cues: Sequence[_Cue]) -> list[int]:
    """How many lines at the top of each cue are those at the end of the cue before; 0 throughout if it doesn't roll.

    A file rolls if that is so in at least half of its cues, and one of them at least goes on with a line of its own.
    """
    repeated = [0, *(_shared(before, cue) for before, cue in itertools.pairwise(cues))][: len(cues)]
    again = sum(map(bool, repeated))
    goes_on = any(0 < count < len(cue.lines) for count, cue in zip(repeated, cues, strict=True))
    return repeated if again >= 2 and 2 * again >= len(cues) - 1 and goes_on else [0] * len(cues)


def _shared(before: _Cue, cue: _Cue) -> int:
    if cue.start_s > before.end_s + FOLLOWS_S:
        return 0
    old, new = before.shown, cue.shown
    most = min(len(old), len(new))
    return next((count for count in range(most, 0, -1) if old[-count:] == new[:count]), 0)


def _cues(text: str, path: Path, *, webvtt: bool) -> Iterator[_Cue]:
    for block in _blocks(text, webvtt=webvtt):
        if webvtt and _NOT_A_CUE.match(block[0][1]) and not any("-->" in line for _, line in block):
            continue
        # A cue may begin with its number or name.
        body = block[1:] if "-->" not in block[0][1] and len(block) > 1 else block
        number, line = body[0]
        where = f"{path}, line {number}"
        times = _CUE_TIMES.fullmatch(line)
        if times is None:
            raise wrong(
                where, f"{shortened(line.strip(), 80)} isn't a cue's time", "Write it as 00:00:01,500 --> 00:00:02,000."
            )
        start_s, end_s = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
        check(start_s, end_s, where)
        stray = next((number for number, line in body[1:] if "-->" in line), None)
        if stray is not None:
            raise wrong(f"{path}, line {stray}", "has a cue's time inside a cue", "Put a blank line before each cue.")
        yield _Cue(start_s, end_s, tuple(line for _, line in body[1:]), where)


def _blocks(text: str, *, webvtt: bool) -> Iterator[list[tuple[int, str]]]:
    """Runs of lines between blank ones, with their numbers from 1.

    In WebVTT a line of spaces is part of a cue, unless a cue's time comes within the two lines after it.
    """
    lines = list(numbered_lines(text))
    block: list[tuple[int, str]] = []
    for index, (number, line) in enumerate(lines):
        if line.strip():
            block.append((number, line))
            continue
        part_of_cue = webvtt and line and not any("-->" in later for _, later in lines[index + 1 : index + 3])
        if block and not part_of_cue:
            yield block
            block = []
    if block:
        yield block


def _inline(text: str, start_s: float, end_s: float, where: str) -> list[Word]:
    """Words of a WebVTT cue, which may have times between them: ``Hello <00:00:01.500>world``."""
    found = list(_WORD_TIME.finditer(text))
    edges_s = [start_s, *(_seconds(match.groups()) for match in found), end_s]
    places = [0, *(match.end() for match in found)]
    stops = [*(match.start() for match in found), len(text)]
    words: list[Word] = []
    for place, stop, from_s, to_s in zip(places, stops, edges_s[:-1], edges_s[1:], strict=True):
        check(from_s, to_s, where)
        words += spread(html.unescape(_TAG.sub("", text[place:stop])), from_s, to_s)
    return words


def _seconds(parts: tuple[str | None, ...]) -> float:
    """Hours, minutes, seconds and the digits after the point, in seconds."""
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000
