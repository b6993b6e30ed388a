"""What a transcript is, and the rules every reader shares."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from common.errors import DataError
from common.outside_text import number_of, shortened
from common.words import Word


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
    reasons : tuple of (str, int)
        Why segments that a model put out were left out, and how many for each reason; see `hallucinations`.
    """

    segments: tuple[Segment, ...]
    source: str
    language: str | None = None
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def filtered(self) -> int:
        """Number of segments that a model put out and that were left out."""
        return sum(count for _, count in self.reasons)


def transcript(
    segments: Iterable[Iterable[Word]],
    *,
    source: str,
    language: str | None,
    reasons: tuple[tuple[str, int], ...] = (),
) -> Transcript:
    """Put words in order, and segments in the order of their first words; segments without a word are left out."""
    ordered = [tuple(sorted(words, key=lambda word: (word.start_s, word.end_s))) for words in segments]
    ordered.sort(key=lambda words: words[0].start_s if words else 0.0)
    return Transcript(tuple(Segment(words) for words in ordered if words), source, language, reasons)


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


def number(value: Any, where: str) -> float:
    """A finite number, given as one or as text; ``where`` is named where it isn't."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError
        read = number_of(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        read = math.nan
    if not math.isfinite(read):
        said = shortened(value if isinstance(value, str | list | dict) else str(value))
        raise wrong(where, f"has the time {said}", "Give seconds, such as 12.3.")
    return read


def check(start_s: float, end_s: float, where: str) -> None:
    """That a span lies on the video's clock, and runs forwards."""
    if start_s < 0:
        raise wrong(where, f"starts at {start_s:g} s", "Times count from the start of the video.")
    if end_s < start_s:
        raise wrong(where, f"ends at {end_s:g} s, before its start at {start_s:g} s", "Put the times right.")


def wrong(where: str, what: str, cure: str) -> DataError:
    """The fault of a place in a file."""
    return DataError(f"{where} {what}.", cure)
