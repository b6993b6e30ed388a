"""From decoded pieces of sound to one mono waveform, each piece at its own presentation time, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

#: Length of the blocks that sound is handed on in.
BLOCK_S = 10.0

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SoundBlock:
    """A stretch of a waveform; a block begins where the one before it ended.

    Attributes
    ----------
    start_s : float
        Presentation time of the first sample, on the clock of the video's frames.
    samples : (N,) float32, mono, in [-1, 1]
    rate_hz : int
    hole : bool
        The file has no sound here; the samples are 0.
    """

    start_s: float
    samples: Samples
    rate_hz: int
    hole: bool = False

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.samples) / self.rate_hz


@dataclass(frozen=True)
class Audio:
    """A whole waveform: `SoundBlock`s put together; ``gaps`` lists its holes as (start_s, end_s)."""

    samples: Samples
    rate_hz: int
    start_s: float
    gaps: tuple[tuple[float, float], ...] = ()


def joined(blocks: Iterable[SoundBlock]) -> Audio | None:
    """One waveform from its blocks; None where there is none."""
    found = list(blocks)
    if not found:
        return None
    gaps: list[tuple[float, float]] = []
    for block in found:
        if block.hole:
            follows = bool(gaps) and abs(gaps[-1][1] - block.start_s) < 1 / block.rate_hz
            gaps[-1:] = [(gaps[-1][0], block.end_s)] if follows else [*gaps[-1:], (block.start_s, block.end_s)]
    samples = np.concatenate([block.samples for block in found])
    return Audio(samples, found[0].rate_hz, found[0].start_s, tuple(gaps))


class SoundTrack:
    """Puts pieces of sound in their places; neighbours that follow each other are resampled as one run.

    Parameters
    ----------
    rate_hz : int
        Of the waveform.
    path : Path
        Names the file in errors.
    """

    def __init__(self, rate_hz: int, path: Path) -> None:
        self.rate_hz = rate_hz
        self._path = path
        self._run: _Run | None = None
        self._start_s = 0.0
        self._length = 0  # samples handed on so far
        self._kept: list[Samples] = []

    @property
    def end_s(self) -> float | None:
        """Where the sound added so far ends; None before there is any."""
        return self._run.end_s if self._run else None

    def add(self, frame: Any, time_s: float) -> Iterator[SoundBlock]:
        """Add a decoded ``av.AudioFrame`` that starts at ``time_s``; hand on what is complete.

        Raises
        ------
        MediaError
            If the sound has a hole of more than an hour, or values that aren't numbers.
        """
        form = frame.format.name, frame.layout.name, frame.sample_rate
        end_s = self.end_s
        follows = end_s is not None and abs(time_s - end_s) <= JITTER_S
        if self._run is None:
            self._start_s = time_s
            self._run = _Run(time_s, form, self.rate_hz)
        elif not follows or self._run.form != form:
            yield from self._placed(self._run.flush())
            old_end_s = self._run.end_s
            self._run = _Run(old_end_s if follows else time_s, form, self.rate_hz)
            yield from self._hole(old_end_s)
        yield from self._placed(self._run.add(frame))

    def close(self) -> Iterator[SoundBlock]:
        """The rest."""
        if self._run is not None:
            yield from self._placed(self._run.flush())
            yield from self._handed_on(0)

    def _hole(self, end_s: float) -> Iterator[SoundBlock]:
        """Zeros up to where the new run begins; listed as a hole where it is more than jitter."""
        run = self._run
        assert run is not None
        if run.start_s > end_s + MAX_GAP_S:
            raise MediaError(
                f"{self._path}: its sound stops at {end_s:.2f} s and goes on at {run.start_s:.2f} s.",
                "Its clock is broken: re-encode it (ffmpeg -i in -c:v libx264 -c:a aac out.mp4).",
            )
        first = round((run.start_s - self._start_s) * self.rate_hz)
        held = self._length + sum(map(len, self._kept))
        run.surplus = max(0, held - first)
        missing = max(0, first - held)
        if run.start_s <= end_s + JITTER_S:
            self._kept.append(np.zeros(missing, dtype=np.float32))
            return
        yield from self._handed_on(0)
        while missing > 0:
            count = min(missing, round(BLOCK_S * self.rate_hz))
            yield self._block(np.zeros(count, dtype=np.float32), hole=True)
            missing -= count

    def _placed(self, pieces: list[Samples]) -> Iterator[SoundBlock]:
        run = self._run
        assert run is not None
        for piece in pieces:
            if not np.isfinite(piece).all():
                raise MediaError(f"{self._path}: its sound has values that aren't numbers.", "Convert its sound again.")
            kept = piece[run.surplus :]
            run.surplus -= len(piece) - len(kept)
            self._kept.append(np.clip(kept, -1.0, 1.0))
        yield from self._handed_on(round(BLOCK_S * self.rate_hz))

    def _handed_on(self, least: int) -> Iterator[SoundBlock]:
        """What is kept, as one block, once it has ``least`` samples."""
        count = sum(map(len, self._kept))
        if count and count >= least:
            samples = np.concatenate(self._kept)
            self._kept = []
            yield self._block(samples, hole=False)

    def _block(self, samples: Samples, *, hole: bool) -> SoundBlock:
        block = SoundBlock(self._start_s + self._length / self.rate_hz, samples, self.rate_hz, hole)
        self._length += len(samples)
        return block


class _Run:
    """Sound without a break, in one format, on its way through libswresample."""

    def __init__(self, start_s: float, form: tuple[str, str, int], rate_hz: int) -> None:
        self.start_s = start_s
        self.form = form
        self.surplus = 0  # samples at the beginning that the run before it has already filled
        self._taken = 0
        # Without a ceiling libswresample mixes stereo down at 1.41 times its level, beyond 1.
        self._resampler = av.AudioResampler("fltp", "mono", rate_hz, options={"rematrix_maxval": "1.0"})

    @property
    def end_s(self) -> float:
        return self.start_s + self._taken / self.form[2]

    def add(self, frame: Any) -> list[Samples]:
        self._taken += frame.samples
        return _arrays(self._resampler.resample(frame))

    def flush(self) -> list[Samples]:
        return _arrays(self._resampler.resample(None))


def _arrays(frames: list[Any]) -> list[Samples]:
    # A resampler that has nothing to do hands back what it is given, the closing None as well.
    return [frame.to_ndarray()[0] for frame in frames if frame is not None]
