"""From decoded pieces of sound to one mono waveform, each piece at its own presentation time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from common.errors import MediaError

#: Presentation times are rounded (to 1 ms in WebM): a piece this close to the end of the one before it follows it.
JITTER_S = 0.02

#: A hole in the sound longer than this is taken for a broken clock.
MAX_GAP_S = 3600.0


@dataclass(frozen=True)
class Audio:
    """Sound on the presentation clock.

    Attributes
    ----------
    samples : (N,) float32, mono, in [-1, 1]
    rate_hz : int
    start_s : float
        Presentation time of the first sample, on the clock of the video's frames.
    gaps : tuple of (start_s, end_s)
        Where the file has no sound between its first and last sample; the samples there are 0.
    """

    samples: npt.NDArray[np.float32]
    rate_hz: int
    start_s: float
    gaps: tuple[tuple[float, float], ...] = ()


class SoundTrack:
    """Collects pieces of sound in order; neighbours that follow each other are resampled as one run."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._runs: list[_Run] = []

    @property
    def end_s(self) -> float | None:
        """Where the sound collected so far ends; None before there is any."""
        return self._runs[-1].end_s if self._runs else None

    def add(self, frame: Any, time_s: float) -> None:
        """Add a decoded ``av.AudioFrame`` that starts at ``time_s``."""
        form = frame.format.name, frame.layout.name, frame.sample_rate
        end_s = self.end_s
        follows = end_s is not None and abs(time_s - end_s) <= JITTER_S
        if not follows or self._runs[-1].form != form:
            if self._runs:
                self._runs[-1].flush()
            self._runs.append(_Run(end_s if end_s is not None and follows else time_s, form, self.rate_hz))
        self._runs[-1].add(frame)

    def audio(self, path: Path) -> Audio | None:
        """The waveform; None where nothing was added. ``path`` names the file in errors.

        Raises
        ------
        MediaError
            If the sound has a hole of more than an hour, or values that aren't numbers.
        """
        if not self._runs:
            return None
        self._runs[-1].flush()
        start_s = self._runs[0].start_s
        pieces: list[npt.NDArray[np.float32]] = []
        gaps: list[tuple[float, float]] = []
        end_s, length = start_s, 0
        for run in self._runs:
            if run.start_s > end_s + MAX_GAP_S:
                raise MediaError(
                    f"{path}: its sound stops at {end_s:.2f} s and goes on at {run.start_s:.2f} s.",
                    "Its clock is broken: re-encode it (ffmpeg -i in -c:v libx264 -c:a aac out.mp4).",
                )
            if run.start_s > end_s + JITTER_S:
                gaps.append((end_s, run.start_s))
            first = round((run.start_s - start_s) * self.rate_hz)
            pieces.append(np.zeros(max(0, first - length), dtype=np.float32))
            pieces.append(run.samples[max(0, length - first) :])
            length += len(pieces[-2]) + len(pieces[-1])
            end_s = max(end_s, run.end_s)
        samples = np.concatenate(pieces)
        if not np.isfinite(samples).all():
            raise MediaError(f"{path}: its sound has values that aren't numbers.", "Convert its sound again.")
        return Audio(np.clip(samples, -1.0, 1.0, out=samples), self.rate_hz, start_s, tuple(gaps))


class _Run:
    """Sound without a break, in one format, on its way through libswresample."""

    def __init__(self, start_s: float, form: tuple[str, str, int], rate_hz: int) -> None:
        self.start_s = start_s
        self.form = form
        self._taken = 0
        self._pieces: list[npt.NDArray[np.float32]] = []
        # Without a ceiling libswresample mixes stereo down at 1.41 times its level, beyond 1.
        self._resampler = av.AudioResampler("fltp", "mono", rate_hz, options={"rematrix_maxval": "1.0"})

    @property
    def end_s(self) -> float:
        return self.start_s + self._taken / self.form[2]

    @property
    def samples(self) -> npt.NDArray[np.float32]:
        return np.concatenate([np.zeros(0, dtype=np.float32), *self._pieces])

    def add(self, frame: Any) -> None:
        self._taken += frame.samples
        self._keep(self._resampler.resample(frame))

    def flush(self) -> None:
        self._keep(self._resampler.resample(None))

    def _keep(self, frames: list[Any]) -> None:
        # A resampler that has nothing to do hands back what it is given, the closing None as well.
        self._pieces += [frame.to_ndarray()[0] for frame in frames if frame is not None]
