"""Sound cut into stretches that a recogniser takes in one piece: speech together, silence left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.timeline import AUDIO_RATE_HZ
from stage1_embeddings.speech.voice import FRAME_SAMPLES, PAD_S, Span, SpeechFinder

#: Whisper's window.
MAX_STRETCH_S = 30.0

#: A pause longer than this ends a stretch: Whisper invents words for silence.
MAX_PAUSE_S = 2.0

#: Speech without a pause is cut where it is quietest in this last part of the 30 s ...
CUT_WITHIN_S = 10.0

#: ... over this long.
QUIET_S = 0.1


@dataclass(frozen=True)
class Stretch:
    """A piece of sound of at most `MAX_STRETCH_S`.

    Attributes
    ----------
    samples : (N,) float32, 16 kHz
    start_s : float
        Of its first sample, from the first sample of the whole sound.
    spans : tuple of Span
        Where there is speech in it, on the same clock.
    """

    samples: npt.NDArray[np.float32]
    start_s: float
    spans: tuple[Span, ...]

    @property
    def end_s(self) -> float:
        """Where it ends, on the clock of ``start_s``."""
        return self.start_s + len(self.samples) / AUDIO_RATE_HZ


class Stretches:
    """Groups the speech of a sound into stretches as the sound comes in.

    Spans of speech go together while they fit into `MAX_STRETCH_S` with pauses of at most `MAX_PAUSE_S`; a span that
    is longer is cut at its quietest moment. Only the sound of the stretch in progress is held. The stretches
    don't depend on how the sound is cut into pieces.

    Parameters
    ----------
    threshold : float
        As `voice.SpeechFinder` takes it.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self._finder = SpeechFinder(threshold)
        self._rest = np.zeros(0, dtype=np.float32)
        self._held: deque[npt.NDArray[np.float32]] = deque()
        self._held_from = 0  # sample
        self._samples = 0
        self._spans: list[Span] = []
        self._known = 0  # spans that the finder has handed out
        self._cut_s = 0.0  # where the span in progress was cut last

    def add(self, samples: npt.NDArray[np.float32]) -> list[Stretch]:
        """Go on with (N,) float32 samples in [-1, 1]; returns the stretches that are now complete."""
        sound = np.concatenate([self._rest, np.asarray(samples, dtype=np.float32)])
        whole = len(sound) - len(sound) % FRAME_SAMPLES
        done: list[Stretch] = []
        for frame in sound[:whole].reshape(-1, FRAME_SAMPLES):
            done += self._step(frame.copy())
        self._rest = sound[whole:].copy()
        return done

    def close(self) -> list[Stretch]:
        """The stretches that are left; the sound ends here."""
        self._hold(self._rest)
        self._finder.add(self._rest)
        self._take(self._finder.close()[self._known :])
        return self._flush()

    def _step(self, frame: npt.NDArray[np.float32]) -> list[Stretch]:
        self._hold(frame)
        self._take(self._finder.add(frame))
        done: list[Stretch] = []
        # What comes at the end of the sound can be longer by less than a frame.
        latest_s = (self._samples + FRAME_SAMPLES) / AUDIO_RATE_HZ
        open_from_s = self._open_from_s()
        if open_from_s is None:
            if self._spans and latest_s - self._spans[-1].end_s > MAX_PAUSE_S:
                done += self._flush()
        else:
            if self._spans and latest_s - self._spans[0].start_s > MAX_STRETCH_S:
                done += self._flush()
            if latest_s - open_from_s > MAX_STRETCH_S:
                done.append(self._cut(open_from_s))
        self._forget()
        return done

    def _open_from_s(self) -> float | None:
        start_s = self._finder.open_from_s
        return None if start_s is None else max(start_s, self._cut_s)

    def _take(self, ended: Sequence[Span]) -> None:
        self._known += len(ended)
        for span in ended:
            # Of a span that was cut in the silence after it, only that silence is left.
            if span.start_s >= self._cut_s or span.end_s - self._cut_s > PAD_S:
                self._spans.append(Span(max(span.start_s, self._cut_s), span.end_s))

    def _flush(self) -> list[Stretch]:
        if not self._spans:
            return []
        spans, self._spans = tuple(self._spans), []
        return [self._stretch(spans)]

    def _cut(self, open_from_s: float) -> Stretch:
        first = self._samples - round(CUT_WITHIN_S * AUDIO_RATE_HZ)
        self._cut_s = (first + _quietest(self._sound(first, self._samples))) / AUDIO_RATE_HZ
        return self._stretch((Span(open_from_s, self._cut_s),))

    def _stretch(self, spans: tuple[Span, ...]) -> Stretch:
        first, last = round(spans[0].start_s * AUDIO_RATE_HZ), round(spans[-1].end_s * AUDIO_RATE_HZ)
        return Stretch(self._sound(first, last), first / AUDIO_RATE_HZ, spans)

    def _hold(self, samples: npt.NDArray[np.float32]) -> None:
        self._held.append(samples)
        self._samples += len(samples)

    def _forget(self) -> None:
        open_from_s = self._open_from_s()
        if self._spans:
            needed_s = self._spans[0].start_s
        elif open_from_s is not None:
            needed_s = open_from_s
        else:
            needed_s = self._samples / AUDIO_RATE_HZ - PAD_S
        while self._held and self._held_from + len(self._held[0]) <= needed_s * AUDIO_RATE_HZ - 1:
            self._held_from += len(self._held.popleft())

    def _sound(self, first: int, last: int) -> npt.NDArray[np.float32]:
        return np.concatenate(self._held)[first - self._held_from : last - self._held_from]


def _quietest(samples: npt.NDArray[np.float32]) -> int:
    """The sample in the middle of the quietest `QUIET_S`, in steps of a tenth of that."""
    hop = round(QUIET_S * AUDIO_RATE_HZ / 10)
    power = np.square(samples[: len(samples) // hop * hop].astype(np.float64)).reshape(-1, hop).sum(axis=1)
    smooth = np.convolve(power, np.ones(10), mode="valid")
    return int(np.argmin(smooth)) * hop + 5 * hop
