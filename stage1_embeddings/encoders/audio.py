"""A waveform through a frozen speech model (HuBERT in the paper, eq. 6-7), at the model's own rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.device import torch_device, torch_dtype
from common.errors import ModelError
from common.models import load_model
from common.recipe import AudioEncoder as Settings
from common.timeline import AUDIO_RATE_HZ, hop_centres_s

#: Raise when the numbers this file computes change.
CODE_VERSION = 1

#: What wav2vec 2.0's feature extractor adds to the variance when it normalises a waveform.
_VARIANCE_FLOOR = 1e-7


class AudioEncoder:
    """A HuBERT- or wav2vec2-like model from a local folder; ``dim`` is the width D of its features.

    Eq. 5 of the paper feeds log-mel features; HuBERT takes the waveform, so the waveform is what it gets.
    """

    def __init__(self, folder: Path, settings: Settings, device: str) -> None:
        from transformers.feature_extraction_utils import FeatureExtractionMixin

        self.device = torch_device(device)
        self.dtype = torch_dtype(settings.precision, self.device)
        self.model = load_model(folder).to(self.device, self.dtype)
        config = self.model.config
        if not hasattr(config, "conv_stride"):
            raise ModelError(
                f"{folder} is a {config.model_type} model, whose convolutions aren't HuBERT's.",
                "Use HuBERT, wav2vec 2.0 or WavLM as stage1.audio.model.",
            )
        try:
            values, _ = FeatureExtractionMixin.get_feature_extractor_dict(folder, local_files_only=True)
        except OSError as error:
            raise ModelError(
                f"{folder} doesn't say how its waveform is normalised.", "Put its preprocessor_config.json there."
            ) from error
        self.normalise = bool(values.get("do_normalize", True))
        self.dim = int(config.hidden_size)
        self.hop_samples, self.field_samples = _hop_and_field(config.conv_kernel, config.conv_stride)
        self.chunk_hops = max(1, round(settings.chunk_s * AUDIO_RATE_HZ / self.hop_samples))
        self.context_hops = round(settings.context_s * AUDIO_RATE_HZ / self.hop_samples)

    def __call__(self, samples: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.floating]]:
        """Encode a waveform in chunks that overlap by the context and are cut back to what is their own.

        Parameters
        ----------
        samples : (N,) float32 at 16 kHz

        Returns
        -------
        features : (hops, D) float32; no hops if the sound is shorter than one receptive field (25 ms)
        centres_s : (hops,) seconds from the first sample
        """
        import torch

        hops = max(0, (len(samples) - self.field_samples) // self.hop_samples + 1)
        if self.normalise and hops:
            spread = np.sqrt(samples.var(dtype=np.float64) + _VARIANCE_FLOOR)
            samples = ((samples - samples.mean(dtype=np.float64)) / spread).astype(np.float32)
        parts = []
        with torch.inference_mode():
            for first in range(0, hops, self.chunk_hops):
                last = min(first + self.chunk_hops, hops)
                low, high = max(0, first - self.context_hops), min(hops, last + self.context_hops)
                chunk = samples[low * self.hop_samples : (high - 1) * self.hop_samples + self.field_samples]
                wave = torch.from_numpy(chunk).to(self.device, self.dtype)[None]
                values = self.model(wave).last_hidden_state[0].float().cpu().numpy()
                parts.append(values[first - low : last - low])
        features = np.concatenate(parts) if parts else np.empty((0, self.dim), dtype=np.float32)
        return features, hop_centres_s(hops, hop_samples=self.hop_samples, field_samples=self.field_samples)


def _hop_and_field(kernels: list[int], strides: list[int]) -> tuple[int, int]:
    """Total stride and receptive field, in samples, of a stack of unpadded convolutions."""
    hop, field = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * hop
        hop *= stride
    return hop, field
