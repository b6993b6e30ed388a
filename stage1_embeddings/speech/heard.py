"""What a speech recogniser puts out for a stretch of sound, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class HeardWord:
    """A word, its times in seconds (``start_s <= end_s``), its probability in [0, 1]."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class Heard:
    """A segment as the model cuts them.

    Attributes
    ----------
    words : tuple of HeardWord
    avg_logprob : float
        Mean log probability of the tokens of its window, natural logarithm, at most 0.
    no_speech_prob : float
        The model's probability that its window has no speech, in [0, 1].
    """

    words: tuple[HeardWord, ...]
    avg_logprob: float
    no_speech_prob: float

    @property
    def text(self) -> str:
        """Its words with single spaces between them."""
        return " ".join(word.text for word in self.words)

    def later(self, seconds: float) -> Heard:
        """The same, ``seconds`` later."""
        words = (HeardWord(w.text, w.start_s + seconds, w.end_s + seconds, w.probability) for w in self.words)
        return Heard(tuple(words), self.avg_logprob, self.no_speech_prob)


class Engine(Protocol):
    """A recogniser's network. Sound is (N,) float32, mono, 16 kHz, in [-1, 1]; N > 0, at most 30 s."""

    @property
    def source(self) -> str:
        """What a transcript says it comes from, such as ``whisper small``."""

    def language_code(self, language: str | None) -> str | None:
        """The code of a language given by code or name; UsageError where the model doesn't know it."""

    def tell_language(self, samples: npt.NDArray[np.float32]) -> str:
        """The code of the language that is spoken."""

    def hear(self, samples: npt.NDArray[np.float32], language: str) -> Sequence[Heard]:
        """Segments in order; word times within the sound, from its first sample."""
