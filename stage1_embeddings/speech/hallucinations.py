"""What Whisper invents where nobody speaks, told from what people say.

Trained on the subtitles of films and web videos, Whisper fills silence and music with what such subtitles hold:
thanks for watching, credits of translators, ``[Music]``; or it says the same thing again and again. A segment is left
out for the first of these reasons that holds:

``sound mark``       no letter or digit in it, or all of it in brackets: a sound, not a word
``no speech``        the model itself doubts it: no_speech_prob > 0.6 and avg_logprob < -0.7
``loop``             the same one to six words again and again, twelve words or more; or text that compresses 2.4 times
``impossible rate``  more than 40 characters a second
``outside of speech``  none of its words touches a span of speech
``stock phrase``     all of it is a known phrase, and there is evidence that it wasn't said
``repeated``         the fourth and further segment in a row that says the same; the first three go as well, but for one

People do say "thank you": a phrase alone is never enough. Evidence is (1) doubt: words below 0.5 on average or
avg_logprob < -0.8, (2) no_speech_prob > 0.5, (3) too little speech: less than half of the segment, or more than 25
characters for each of its seconds. One of the three is enough against what only videos say, two are needed against
what people say.
"""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence

from stage1_embeddings.speech.heard import Heard
from stage1_embeddings.speech.stock_phrases import CREDITS, SAID_BY_PEOPLE, SAID_BY_VIDEOS, plain
from stage1_embeddings.speech.voice import Span

#: Raise when speech is found, cut or sifted differently.
RULES_VERSION = 1

#: Whisper's own threshold for text that repeats itself.
MAX_COMPRESSION = 2.4

#: The fastest speakers reach `FAST_CHARACTERS_PER_S`.
MAX_CHARACTERS_PER_S = 40.0
FAST_CHARACTERS_PER_S = 25.0

#: Word times come in steps of 20 ms and with errors of several of them.
_SHORTEST_S = 0.2

_LOOP_WORDS = 12
_LONGEST_LOOP = 6
_SAME_SEGMENTS = 4
_BRACKETED = re.compile(r"\s*(?:[\[(*♪【（<][^\])*♪】）>]*[\])*♪】）>][\s.,!]*)+")


def sift(segments: Sequence[Heard], spans: Sequence[Span]) -> tuple[list[Heard], Counter[str]]:
    """The segments that were said, and how many were left out for which reason.

    Parameters
    ----------
    segments : sequence of Heard
        In order.
    spans : sequence of Span
        Where there is speech, on the clock of the words; they don't overlap.
    """
    kept: list[Heard] = []
    reasons: Counter[str] = Counter()
    for segment in (segment for segment in segments if segment.words):
        reason = why_not_said(segment, spans)
        if reason is None:
            kept.append(segment)
        else:
            reasons[reason] += 1
    said: list[Heard] = []
    for text, group in itertools.groupby(kept, key=lambda segment: plain(segment.text)):
        run = list(group)
        if len(run) >= _SAME_SEGMENTS and len(text) >= 8:
            reasons["repeated"] += len(run) - 1
            run = run[:1]
        said += run
    return said, reasons


def why_not_said(segment: Heard, spans: Sequence[Span]) -> str | None:
    """Why a segment (of one word at least) is taken for an invention; None where it is taken for speech."""
    text = segment.text
    speech_s = _speech_s(segment, spans)
    if not plain(text) or _BRACKETED.fullmatch(text):
        return "sound mark"
    if segment.no_speech_prob > 0.6 and segment.avg_logprob < -0.7:
        return "no speech"
    if _is_loop(plain(text)):
        return "loop"
    if _characters(segment) > MAX_CHARACTERS_PER_S * max(_length_s(segment), _SHORTEST_S):
        return "impossible rate"
    if not any(touches(word.start_s, word.end_s, span) for word in segment.words for span in spans):
        return "outside of speech"
    if _evidence(segment, speech_s) >= _evidence_needed(text):
        return "stock phrase"
    return None


def touches(start_s: float, end_s: float, span: Span) -> bool:
    """Do a word and a span of speech have a moment in common? A word can be of no length."""
    return start_s <= span.end_s and end_s >= span.start_s


def _evidence_needed(text: str) -> float:
    sentences = [plain(part) for part in re.split(r"[.!?。！？]+(?=\s|$)|(?<=[。！？])", text)]
    sentences = [part for part in sentences if part]
    if plain(text) in SAID_BY_VIDEOS or CREDITS.search(plain(text)):
        return 1
    if all(part in SAID_BY_VIDEOS | SAID_BY_PEOPLE for part in sentences):
        return 1 if any(part in SAID_BY_VIDEOS for part in sentences) else 2
    return math.inf


def _evidence(segment: Heard, speech_s: float) -> int:
    probability = sum(word.probability for word in segment.words) / len(segment.words)
    doubted = probability < 0.5 or segment.avg_logprob < -0.8
    too_little = speech_s < _length_s(segment) / 2 or _characters(segment) > FAST_CHARACTERS_PER_S * speech_s
    return doubted + (segment.no_speech_prob > 0.5) + too_little


def _is_loop(text: str) -> bool:
    content = text.encode()
    if len(content) / len(zlib.compress(content)) > MAX_COMPRESSION:
        return True
    words = text.split()
    for length in range(1, _LONGEST_LOOP + 1):
        same = 0  # words that are the one `length` before
        for before, word in zip(words, words[length:], strict=False):
            same = same + 1 if before == word else 0
            if same + length >= max(_LOOP_WORDS, 3 * length):
                return True
    return False


def _length_s(segment: Heard) -> float:
    return max(word.end_s for word in segment.words) - min(word.start_s for word in segment.words)


def _characters(segment: Heard) -> int:
    return sum(len(word.text) for word in segment.words)


def _speech_s(segment: Heard, spans: Sequence[Span]) -> float:
    start_s = min(word.start_s for word in segment.words)
    end_s = max(word.end_s for word in segment.words)
    return sum(max(0.0, min(end_s, span.end_s) - max(start_s, span.start_s)) for span in spans)
