"""Where somebody speaks: silero-vad over sound that comes in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from common.errors import ModelError
from common.reasons import headline_of
from common.timeline import AUDIO_RATE_HZ

#: What silero-vad looks at in one step at 16 kHz: 32 ms.
FRAME_SAMPLES = 512

#: Speech goes on until the probability falls this far below the threshold: silero-vad's own hysteresis.
HYSTERESIS = 0.15

#: A silence at least this long ends a span; a shorter one is a breath.
MIN_SILENCE_S = 0.4

#: A sound shorter than this, with silence on both sides, is a click or a cough.
MIN_SPEECH_S = 0.15

#: Spans are widened on both sides for soft first and last sounds; half of the silence, so that they never overlap.
PAD_S = MIN_SILENCE_S / 2


class Span(NamedTuple):
    """From the first sample, in seconds; ``start_s < end_s``."""

    start_s: float
    end_s: float


class SpeechFinder:
    """Spans of speech in 16 kHz sound, found as the sound comes in.

    A span begins with the first 32 ms whose probability reaches ``threshold``. It ends where the probability falls
    below ``threshold - 0.15`` and does not reach ``threshold`` again for `MIN_SILENCE_S`. What is shorter than
    `MIN_SPEECH_S` is left out; the rest is widened by `PAD_S` on either side, as far as there is sound. The spans
    don't depend on how the sound is cut into pieces, and nothing but the spans is kept.

    Parameters
    ----------
    threshold : float
        Probability from which sound is speech, in (0, 1).

    Raises
    ------
    ModelError
        If silero-vad is not installed or its weights can't be loaded.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self._threshold = threshold
        self._quiet_below = min(threshold, max(threshold - HYSTERESIS, 0.01))
        self._model = _network()
        self._spans: list[Span] = []
        self._rest = np.zeros(0, dtype=np.float32)
        self._samples = 0
        self._start: int | None = None
        self._quiet_from: int | None = None

    @property
    def open_from_s(self) -> float | None:
        """Where the span in progress begins, widened; None in silence."""
        if self._start is None:
            return None
        return max(0.0, self._start / AUDIO_RATE_HZ - PAD_S)

    def add(self, samples: npt.NDArray[np.float32]) -> list[Span]:
        """Go on with (N,) float32 samples in [-1, 1]; returns the spans that are now known to have ended."""
        known = len(self._spans)
        sound = np.concatenate([self._rest, np.asarray(samples, dtype=np.float32)])
        whole = len(sound) - len(sound) % FRAME_SAMPLES
        with _one_thread():
            for frame in sound[:whole].reshape(-1, FRAME_SAMPLES):
                self._step(frame)
        self._rest = sound[whole:].copy()
        return self._spans[known:]

    def close(self) -> tuple[Span, ...]:
        """All spans of the sound, which ends here."""
        length = self._samples + len(self._rest)
        if len(self._rest):
            with _one_thread():
                self._step(np.pad(self._rest, (0, FRAME_SAMPLES - len(self._rest))))
            self._rest = self._rest[:0]
        if self._start is not None:
            self._end(length if self._quiet_from is None else self._quiet_from)
        end_s = length / AUDIO_RATE_HZ
        self._spans = [Span(start_s, min(span_end_s, end_s)) for start_s, span_end_s in self._spans]
        return tuple(self._spans)

    def _step(self, frame: npt.NDArray[np.float32]) -> None:
        import torch

        with torch.inference_mode():
            probability = float(self._model(torch.from_numpy(frame), AUDIO_RATE_HZ))
        at = self._samples
        self._samples += FRAME_SAMPLES
        if probability >= self._threshold:
            self._quiet_from = None
            if self._start is None:
                self._start = at
        elif self._start is not None:
            if self._quiet_from is None and probability < self._quiet_below:
                self._quiet_from = at
            if self._quiet_from is not None and self._samples - self._quiet_from >= MIN_SILENCE_S * AUDIO_RATE_HZ:
                self._end(self._quiet_from)

    def _end(self, end: int) -> None:
        assert self._start is not None
        if end - self._start >= MIN_SPEECH_S * AUDIO_RATE_HZ:
            start_s = max(0.0, self._start / AUDIO_RATE_HZ - PAD_S)
            self._spans.append(Span(start_s, end / AUDIO_RATE_HZ + PAD_S))
        self._start = self._quiet_from = None


def find_speech(samples: npt.NDArray[np.float32], threshold: float = 0.5) -> tuple[Span, ...]:
    """Spans of speech in (N,) float32 samples, 16 kHz, in [-1, 1]."""
    finder = SpeechFinder(threshold)
    finder.add(samples)
    return finder.close()


@contextmanager
def _one_thread() -> Iterator[None]:
    """So small a network loses time with more threads: four to ten times as much on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _network() -> Any:
    """silero-vad's TorchScript, in its first state: one for each sound, as it remembers what it heard.

    The file is taken out of the package without importing it: the import leaves torch with one thread for the whole
    process.
    """
    import torch

    spec = find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise ModelError("silero-vad is not installed.", "Run make install, or pip install silero-vad==6.2.3.")
    weights = Path(spec.origin).parent / "data" / "silero_vad.jit"
    try:
        model = torch.jit.load(str(weights), map_location="cpu")
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{weights} can't be loaded: {headline_of(error)}.",
            "Install silero-vad again: pip install --force-reinstall --no-deps silero-vad==6.2.3.",
        ) from None
    model.eval()
    model.reset_states()
    return model
