"""The two kinds of speech models: those that take the waveform (HuBERT and its like), and Whisper's encoder.

Each says how its hops lie on the samples, and turns windows of equal length into features; cutting a recording into
windows is `stage1_embeddings.encoders.audio`'s.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from common.errors import ModelError
from common.recipe import AudioEncoder as Settings
from common.timeline import AUDIO_RATE_HZ
from stage1_embeddings.encoders.frozen import Frozen

#: What wav2vec 2.0's feature extractor adds to the variance when it normalises a waveform.
_VARIANCE_FLOOR = 1e-7


class Listener(Protocol):
    """What the encoder of a whole recording needs to know of a model.

    Attributes
    ----------
    dim : int
    hop_samples : int
        From one hop to the next.
    field_samples : int
        Twice the distance from the first sample to the centre of the first hop.
    context_hops : int
        What a window sees on either side of what is its own.
    window_hops : int
        Length of a window, its context on both sides included.
    """

    dim: int
    hop_samples: int
    field_samples: int
    context_hops: int
    window_hops: int

    def hops_in(self, samples: int) -> int:
        """How many hops so many samples give."""

    def samples_in(self, hops: int) -> int:
        """How many samples so many hops hear."""

    def __call__(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B, N) float32 samples -> (B, hops, D) float32."""


def listener(network: Frozen, settings: Settings) -> Listener:
    """The listener for a loaded model; ModelError where it is of neither kind."""
    config = network.config
    if config.model_type == "whisper":
        return WhisperListener(network, settings)
    if hasattr(config, "conv_stride") and hasattr(config, "conv_kernel"):
        return WaveformListener(network, settings)
    raise ModelError(
        f"{network.folder} is a {config.model_type} model, which listens neither as HuBERT does nor as Whisper.",
        "Use HuBERT, wav2vec 2.0, WavLM, data2vec-audio or Whisper as stage1.audio.model.",
    )


class WaveformListener:
    """HuBERT, wav2vec 2.0, WavLM, data2vec-audio: a stack of unpadded convolutions, then a transformer.

    Where the model's processor normalises the waveform, each window is normalised by its own mean and variance (a
    stream has no other); a recording that fits into one window gets what the processor would give it.
    """

    def __init__(self, network: Frozen, settings: Settings) -> None:
        config = network.config
        self._network = network
        network.use(network.model)
        self._normalise = bool(_extractor(network).get("do_normalize", True))
        self.dim = int(config.hidden_size)
        self.hop_samples, self.field_samples = hop_and_field(config.conv_kernel, config.conv_stride)
        hops_per_s = AUDIO_RATE_HZ / self.hop_samples
        self.context_hops = round(settings.context_s * hops_per_s)
        self.window_hops = max(1, round(settings.chunk_s * hops_per_s)) + 2 * self.context_hops

    def hops_in(self, samples: int) -> int:
        return max(0, (samples - self.field_samples) // self.hop_samples + 1)

    def samples_in(self, hops: int) -> int:
        return (hops - 1) * self.hop_samples + self.field_samples

    def __call__(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        import torch

        if self._normalise:
            mean = windows.mean(axis=1, dtype=np.float64, keepdims=True)
            spread = np.sqrt(windows.var(axis=1, dtype=np.float64, keepdims=True) + _VARIANCE_FLOOR)
            windows = ((windows - mean) / spread).astype(np.float32)
        state = self._network.forward(input_values=torch.from_numpy(np.ascontiguousarray(windows)))
        expected = self.hops_in(windows.shape[1])
        if state.shape[1] != expected:
            raise ModelError(
                f"{self._network.folder} gives {state.shape[1]} hops where its convolutions give {expected}: "
                "something after them changes the rate.",
                "Give the pretrained model without an adapter (add_adapter: false in its config.json).",
            )
        return state.float().cpu().numpy()


class WhisperListener:
    """Whisper's encoder over the log-mel features of its own extractor; the decoder is let go.

    It always hears a whole window (30 s; shorter sound is followed by silence, as Whisper does it), so ``chunk_s``
    doesn't apply. Its convolutions are padded: hop ``k`` is centred at sample ``k * hop_samples``.
    """

    def __init__(self, network: Frozen, settings: Settings) -> None:
        from transformers import WhisperFeatureExtractor

        _extractor(network)
        config = network.config
        self._network = network
        network.use(network.model.get_encoder())
        self._features: Any = WhisperFeatureExtractor.from_pretrained(network.folder, local_files_only=True)
        self._features.dither = 0.0  # noise would make each run another
        self.dim = int(config.d_model)
        self.window_hops = int(config.max_source_positions)
        self.hop_samples = 2 * int(self._features.hop_length)  # the second convolution's stride
        self.field_samples = 0
        self.context_hops = round(settings.context_s * AUDIO_RATE_HZ / self.hop_samples)
        window_s = self.window_hops * self.hop_samples / AUDIO_RATE_HZ
        if self._features.n_samples != self.window_hops * self.hop_samples:
            raise ModelError(
                f"{network.folder} hears {window_s:g} s by its config.json, {self._features.chunk_length} s by its "
                "preprocessor_config.json.",
                "Put the preprocessor_config.json there that came with the weights.",
            )
        if self._features.feature_size != config.num_mel_bins:
            raise ModelError(
                f"{network.folder} takes {config.num_mel_bins} mel bins by its config.json, "
                f"{self._features.feature_size} by its preprocessor_config.json.",
                "Put the preprocessor_config.json there that came with the weights.",
            )
        if 2 * self.context_hops >= self.window_hops:
            raise ModelError(
                f"stage1.audio.context_s is {settings.context_s:g}, but {network.folder} hears {window_s:g} s at once.",
                f"Set it below {window_s / 2:g}.",
            )

    def hops_in(self, samples: int) -> int:
        return -(-samples // self.hop_samples)

    def samples_in(self, hops: int) -> int:
        return hops * self.hop_samples

    def __call__(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        mel = self._features(list(windows), sampling_rate=AUDIO_RATE_HZ, return_tensors="pt").input_features
        state = self._network.forward(input_features=mel)
        return state[:, : self.hops_in(windows.shape[1])].float().cpu().numpy()


def hop_and_field(kernels: list[int], strides: list[int]) -> tuple[int, int]:
    """Total stride and receptive field, in samples, of a stack of unpadded convolutions."""
    hop, field = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * hop
        hop *= stride
    return hop, field


def _extractor(network: Frozen) -> dict[str, Any]:
    """The model's preprocessor_config.json; ModelError where it is missing or listens at another rate."""
    from transformers.feature_extraction_utils import FeatureExtractionMixin

    try:
        values, _ = FeatureExtractionMixin.get_feature_extractor_dict(network.folder, local_files_only=True)
    except OSError as error:
        raise ModelError(
            f"{network.folder} doesn't say how its waveform is normalised.", "Put its preprocessor_config.json there."
        ) from error
    rate_hz = values.get("sampling_rate", AUDIO_RATE_HZ)
    if rate_hz != AUDIO_RATE_HZ:
        raise ModelError(
            f"{network.folder} listens at {rate_hz} Hz, and sound is decoded to {AUDIO_RATE_HZ} Hz.",
            "Use a model for 16 kHz as stage1.audio.model.",
        )
    return values
