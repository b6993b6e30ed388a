"""A waveform through a frozen speech model (HuBERT in the paper, eq. 6-7), at the model's own rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import MediaError
from common.recipe import AudioEncoder as Settings
from common.timeline import hop_centres_s
from stage1_embeddings.encoders.frozen import Frozen
from stage1_embeddings.encoders.listeners import Listener, listener

#: Raise when the numbers this file computes change.
CODE_VERSION = 3

Samples = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]


class AudioEncoder:
    """HuBERT, wav2vec 2.0, WavLM, data2vec-audio or Whisper's encoder, from a local folder.

    Eq. 5 of the paper feeds log-mel features; HuBERT takes the waveform, so the waveform is what it gets.

    A long recording goes through in windows of ``chunk_s`` with ``context_s`` more on either side, of which only the
    middle is kept. All windows of a recording are equally long: the first begins with it, the last ends with it.
    Against one pass over everything, 20 s and 2 s give a cosine of at least 0.99 at each hop of even speech, at the
    seams as elsewhere, and of 0.99 on average where loudness jumps (docs/encoders.md).

    Attributes
    ----------
    dim : int
        Width D of a feature.
    hop_samples : int
        From one hop to the next: 320, or 20 ms.
    field_samples : int
        As `common.timeline.hop_centres_s` takes it: 400 for HuBERT; 0 for Whisper, whose convolutions are padded.

    Raises
    ------
    ModelError
        If the folder holds no speech model of these kinds, or no preprocessor_config.json.
    """

    def __init__(self, folder: Path, settings: Settings, device: str) -> None:
        self._network = Frozen(folder, settings, device, "audio")
        self._listener = listener(self._network, settings)
        self._together = settings.batch_size
        self.dim = self._listener.dim
        self.hop_samples, self.field_samples = self._listener.hop_samples, self._listener.field_samples

    def __call__(self, samples: Samples) -> tuple[Features, npt.NDArray[np.floating]]:
        """Encode a waveform that is in memory.

        Parameters
        ----------
        samples : (N,) float32 at 16 kHz

        Returns
        -------
        features : (hops, D) float32; no hops if the sound is shorter than one receptive field (25 ms)
        centres_s : (hops,) seconds from the first sample
        """
        stream = self.stream()
        features = np.concatenate([stream.add(samples), stream.close()])
        return features, self.centres_s(0, len(features))

    def stream(self) -> AudioStream:
        """Encode a waveform piece by piece, in constant memory."""
        return AudioStream(self._network, self._listener, self._together)

    def centres_s(self, first_hop: int, count: int) -> npt.NDArray[np.floating]:
        """(count,) seconds from the first sample: where hops ``first_hop`` and following are centred."""
        hops = first_hop + count
        return hop_centres_s(hops, hop_samples=self.hop_samples, field_samples=self.field_samples)[first_hop:]


class AudioStream:
    """A recording on its way through the encoder. However it is cut into pieces, the features are the same.

    At most ``batch_size + 1`` windows of samples are held. Which windows go through together depends on the
    recording alone.
    """

    def __init__(self, network: Frozen, hears: Listener, together: int) -> None:
        self._network = network
        self._hears = hears
        self._together = together
        self._pieces: list[Samples] = []
        self._held_from = 0  # the hop at whose first sample the pieces begin
        self._samples = 0
        self._windows = 0  # that have been encoded
        self._final = 0  # hops that have been handed out
        self._closed = False

    def add(self, samples: Samples) -> Features:
        """Take the next samples; (n, D) float32, the hops that became final, possibly none.

        Parameters
        ----------
        samples : (N,) float32 at 16 kHz, of any N

        Raises
        ------
        MediaError
            If a sample isn't a finite number.
        """
        if self._closed:
            raise RuntimeError("the stream is closed")
        if samples.ndim != 1:
            raise ValueError(f"samples of shape {samples.shape}, not one channel")
        if not np.isfinite(samples).all():
            raise MediaError("The sound holds samples that aren't finite numbers.", "Decode it again to 16-bit PCM.")
        self._pieces.append(np.array(samples, dtype=np.float32))
        self._samples += len(samples)
        parts = [np.empty((0, self._hears.dim), dtype=np.float32)]
        # A window is encoded once more follows: only then is it known not to be the last.
        while self._hears.hops_in(self._samples) > self._start(self._windows + self._together - 1) + self._length:
            parts.append(self._encode([self._start(self._windows + index) for index in range(self._together)]))
        return np.concatenate(parts)

    def close(self) -> Features:
        """The rest, (n, D) float32. Nothing can be added afterwards."""
        if self._closed:
            raise RuntimeError("the stream is closed")
        hops = self._hears.hops_in(self._samples)
        starts: list[int] = []
        while self._start(self._windows + len(starts)) + self._length < hops:
            starts.append(self._start(self._windows + len(starts)))
        starts.append(max(0, hops - self._length))
        parts = [np.empty((0, self._hears.dim), dtype=np.float32)]
        for first in range(0, len(starts) if hops else 0, self._together):
            parts.append(self._encode(starts[first : first + self._together], last=hops))
        self._closed = True
        self._pieces.clear()
        return np.concatenate(parts)

    @property
    def _length(self) -> int:
        return self._hears.window_hops

    def _start(self, window: int) -> int:
        """The first hop of a window, unless it is the last one."""
        return window * (self._length - 2 * self._hears.context_hops)

    def _encode(self, starts: list[int], last: int | None = None) -> Features:
        """Encode the windows that start at these hops and cut out what is their own; ``last`` ends the recording."""
        held = self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)
        hop = self._hears.hop_samples
        # A recording of one window goes in as it is, with the samples that make no hop of their own.
        short = last is not None and last <= self._length
        length = self._samples if short else self._hears.samples_in(self._length)
        offsets = [(start - self._held_from) * hop for start in starts]
        windows = np.stack([_fitted(held[offset : offset + length], length, last) for offset in offsets])
        values = np.concatenate(list(self._network.batches(windows, self._hears)))
        own = []
        for start, rows in zip(starts, values, strict=True):
            end = start + len(rows)
            until = end if end == last else end - self._hears.context_hops
            own.append(rows[self._final - start : until - start])
            self._final = until
        # The last window may begin anywhere after the start of the latest one.
        self._pieces = [held[offsets[-1] :]]
        self._held_from = starts[-1]
        self._windows += len(starts)
        return np.concatenate(own)


def _fitted(piece: Samples, length: int, last: int | None) -> Samples:
    """A piece at the end may lack part of its last hop (Whisper's hops reach beyond the sound): silence follows."""
    return piece if last is None else np.pad(piece, (0, length - len(piece)))
