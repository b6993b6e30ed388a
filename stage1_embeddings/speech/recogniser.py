"""Words and their times by speech recognition, for videos without a transcript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from common.timeline import AUDIO_RATE_HZ
from common.words import Word
from stage1_embeddings.speech.hallucinations import sift, touches
from stage1_embeddings.speech.heard import Engine, Heard, HeardWord
from stage1_embeddings.speech.stretches import Stretch, Stretches
from stage1_embeddings.speech.voice import Span
from stage1_embeddings.transcript import Transcript, spread, transcript

if TYPE_CHECKING:
    from common.recipe import Speech

#: The language is told from this much speech; a few words are easily mistaken.
LANGUAGE_FROM_S = 30.0


class Recogniser:
    """An engine and how it is used: speech is found first, and only speech is recognised.

    Parameters
    ----------
    engine : Engine
        `whisper_engine.WhisperEngine` or `faster_engine.FasterEngine`.
    language : str or None
        A code or name, such as ``en`` or ``english``; None lets the engine tell it from the first 30 s of speech.
    vad_threshold : float
        Probability from which sound is speech, in (0, 1).

    Raises
    ------
    UsageError
        If the engine doesn't know the language.
    """

    def __init__(self, engine: Engine, *, language: str | None = None, vad_threshold: float = 0.5) -> None:
        self.engine = engine
        self.language = engine.language_code(language)
        self.vad_threshold = vad_threshold

    def listen(self, start_s: float = 0.0) -> Listening:
        """Listen to a sound that comes in pieces, its first sample at the presentation time ``start_s``."""
        return Listening(self, start_s)

    def __call__(self, samples: npt.NDArray[np.float32], *, start_s: float = 0.0) -> Transcript:
        """Transcribe a sound that is there as a whole: (N,) float32, mono, 16 kHz, in [-1, 1]."""
        listening = self.listen(start_s)
        listening.add(samples)
        return listening.close()


class Listening:
    """One sound on its way to a transcript; holds no more of it than the stretch in progress.

    Until the language is known it holds up to 30 s of speech besides. Each stretch is recognised alone: what was
    said before is not given to the engine, so that an invention can't breed others, and a stretch has the same words
    wherever it lies.
    """

    def __init__(self, recogniser: Recogniser, start_s: float) -> None:
        self._engine = recogniser.engine
        self._language = recogniser.language
        self._start_s = start_s
        self._stretches = Stretches(recogniser.vad_threshold)
        self._waiting: list[Stretch] = []
        self._segments: list[list[Word]] = []
        self._reasons: Counter[str] = Counter()

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Go on with (N,) float32 samples, mono, 16 kHz, in [-1, 1]."""
        for stretch in self._stretches.add(samples):
            self._take(stretch)

    def close(self) -> Transcript:
        """What was said; empty, and the engine never run, where there was no speech.

        Word times are on the presentation clock and within speech: a word is cut to the span of speech that it
        shares most time with, and left out where it touches none.
        """
        for stretch in self._stretches.close():
            self._take(stretch)
        if self._waiting:
            self._tell_language()
        reasons = tuple(sorted(self._reasons.items()))
        return transcript(self._segments, source=self._engine.source, language=self._language, reasons=reasons)

    def _take(self, stretch: Stretch) -> None:
        if self._language is not None:
            self._hear(stretch, self._language)
            return
        self._waiting.append(stretch)
        if sum(len(waiting.samples) for waiting in self._waiting) >= LANGUAGE_FROM_S * AUDIO_RATE_HZ:
            self._tell_language()

    def _tell_language(self) -> None:
        waiting, self._waiting = self._waiting, []
        sound = np.concatenate([stretch.samples for stretch in waiting])
        self._language = self._engine.tell_language(sound[: round(LANGUAGE_FROM_S * AUDIO_RATE_HZ)])
        for stretch in waiting:
            self._hear(stretch, self._language)

    def _hear(self, stretch: Stretch, language: str) -> None:
        heard = [segment.later(stretch.start_s) for segment in self._engine.hear(stretch.samples, language)]
        said, reasons = sift(heard, stretch.spans)
        self._reasons += reasons
        self._segments += [self._words(segment, stretch.spans) for segment in said]

    def _words(self, segment: Heard, spans: Sequence[Span]) -> list[Word]:
        words: list[Word] = []
        for word in segment.words:
            span = _span_of(word, spans)
            if span is not None:
                start_s, end_s = (min(max(at, span.start_s), span.end_s) for at in (word.start_s, word.end_s))
                words += spread(word.text, self._start_s + start_s, self._start_s + end_s)
        return words


def recogniser(settings: Speech, device: str) -> Recogniser | None:
    """The recogniser that a recipe asks for, loaded; None where it asks for none.

    Parameters
    ----------
    device : str
        As `common.device.torch_device` takes it.

    Raises
    ------
    ModelError
        If the engine isn't installed, or the model isn't known, can't be fetched or isn't one.
    UsageError
        If the model doesn't know the language, or the device isn't there.
    """
    if settings.recogniser == "none":
        return None
    engine: Engine
    if settings.recogniser == "faster-whisper":
        from stage1_embeddings.speech.faster_engine import FasterEngine

        engine = FasterEngine(settings.model, device=device)
    else:
        from stage1_embeddings.speech.whisper_engine import WhisperEngine

        engine = WhisperEngine(settings.model, device=device)
    return Recogniser(engine, language=settings.language, vad_threshold=settings.vad_threshold)


def _span_of(word: HeardWord, spans: Sequence[Span]) -> Span | None:
    """The span of speech that a word shares most time with, the first of equals; None where it touches none."""
    touched = [span for span in spans if touches(word.start_s, word.end_s, span)]
    return max(touched, key=lambda span: min(word.end_s, span.end_s) - max(word.start_s, span.start_s), default=None)
