"""What is said: words chosen by the feeling of the moment, their times, and the two transcript formats."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from common.datasets.demo.path import Floats

#: Word -> the (valence, arousal) it belongs to. Words tell more of valence than of arousal.
LEXICON: dict[str, tuple[float, float]] = {
    "party": (0.8, 0.8), "cheer": (0.9, 0.6), "win": (0.6, 0.7),
    "happy": (0.9, 0.1), "love": (1.0, 0.0), "good": (0.6, 0.1), "friend": (0.5, -0.1),
    "calm": (0.6, -0.8), "garden": (0.5, -0.6), "peace": (0.9, -0.7),
    "run": (0.1, 0.8), "loud": (-0.1, 0.7), "table": (0.0, 0.0), "window": (0.0, -0.1),
    "quiet": (0.1, -0.8), "slow": (-0.1, -0.7),
    "hate": (-0.9, 0.7), "scream": (-0.7, 0.9), "danger": (-0.6, 0.6),
    "pain": (-1.0, 0.0), "bad": (-0.9, -0.1), "wrong": (-0.6, 0.1), "sorry": (-0.5, -0.1),
    "sad": (-0.9, -0.7), "tired": (-0.5, -0.8), "grey": (-0.6, -0.6),
}  # fmt: skip

_VALENCE_WIDTH = 0.25
_AROUSAL_WIDTH = 0.6
#: How often a word says nothing of the feeling.
_ANY_WORD_SHARE = 0.10
_WORDS_PER_CUE = 4
_PAUSE_S = (0.03, 0.10)
_LEAD_S = 0.06


@dataclass(frozen=True)
class Word:
    """One spoken word and when it is heard, seconds from the start of the clip."""

    text: str
    start_s: float
    end_s: float


def write_script(path: Floats, rate_hz: int, rng: np.random.Generator) -> list[Word]:
    """Fill a clip with words: about 2.3 a second when calm, 3.2 when aroused.

    Parameters
    ----------
    path : (T, 2) valence and arousal, one row per frame
    rate_hz : int, frames per second

    Returns
    -------
    list of Word, in order, without overlap, all inside the clip
    """
    words: list[Word] = []
    texts = list(LEXICON)
    places = np.array([LEXICON[text] for text in texts])
    duration_s = len(path) / rate_hz
    start_s = _LEAD_S
    while True:
        valence, arousal = path[min(int((start_s + 0.15) * rate_hz), len(path) - 1)]
        length_s = (0.31 - 0.06 * arousal) * rng.uniform(0.85, 1.15)
        end_s = start_s + length_s
        if end_s > duration_s:
            return words
        words.append(Word(_choose(texts, places, valence, arousal, rng), round(start_s, 3), round(end_s, 3)))
        start_s = end_s + rng.uniform(*_PAUSE_S)


def _choose(texts: list[str], places: Floats, valence: float, arousal: float, rng: np.random.Generator) -> str:
    if rng.uniform() < _ANY_WORD_SHARE:
        return texts[rng.integers(len(texts))]
    distance = ((places[:, 0] - valence) / _VALENCE_WIDTH) ** 2 + ((places[:, 1] - arousal) / _AROUSAL_WIDTH) ** 2
    chance = np.exp(-distance / 2)
    return texts[rng.choice(len(texts), p=chance / chance.sum())]


def as_json(words: list[Word]) -> str:
    """Whisper's form: ``{"language", "segments": [{"start", "end", "text", "words": [{"word", "start", "end"}]}]}``."""
    segments = [
        {
            "start": cue[0].start_s,
            "end": cue[-1].end_s,
            "text": _line(cue),
            "words": [{"word": word.text, "start": word.start_s, "end": word.end_s} for word in cue],
        }
        for cue in _cues(words)
    ]
    return json.dumps({"language": "en", "segments": segments}, indent=1) + "\n"


def as_srt(words: list[Word]) -> str:
    """SubRip: numbered cues of a few words each; the times of the single words are not in it."""
    blocks = [
        f"{number}\n{_stamp(cue[0].start_s)} --> {_stamp(cue[-1].end_s)}\n{_line(cue)}\n"
        for number, cue in enumerate(_cues(words), start=1)
    ]
    return "\n".join(blocks)


def _cues(words: list[Word]) -> list[list[Word]]:
    return [words[first : first + _WORDS_PER_CUE] for first in range(0, len(words), _WORDS_PER_CUE)]


def _line(cue: list[Word]) -> str:
    return " ".join(word.text for word in cue)


def _stamp(time_s: float) -> str:
    """``00:00:01,250``, the comma being SubRip's."""
    thousandths = round(time_s * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}"
