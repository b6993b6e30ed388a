"""Stage 1 as the published documents describe it: frozen Swin, HuBERT and RoBERTa over batches of segments.

From MAVEN's README and paper, section 3 and 4: synchronised segments of frames, sound and words; face crops of 112 px;
batches of 16; float32. What they leave open is done as such scripts do it: each frame is opened with PIL and prepared
by the model's image processor by itself, a batch is padded to its longest segment, and one encoder follows the other.
The faults of the released code (the first second of sound for a whole segment, one vector per segment) aren't repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.schema import Modality

#: Segments that are padded to one length: the documents' batch size.
BATCH_SEGMENTS = 16

#: Frames that go through Swin at once; more wouldn't be faster, but take gigabytes.
_FRAMES_AT_ONCE = 64

_RATE_HZ = 16_000

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Segment:
    """What is seen, heard and said in a stretch of a clip.

    Attributes
    ----------
    crops : picture files, one a frame
    samples : (N,) float32 at 16 kHz
    text : str
    """

    crops: tuple[Path, ...]
    samples: Rows
    text: str


@dataclass(frozen=True)
class Embedded:
    """Rows of each segment, (frames, D), (hops, D) and (tokens, D), without those of the padding."""

    visual: list[Rows]
    audio: list[Rows]
    text: list[Rows]


class Published:
    """The three encoders, loaded in float32.

    Parameters
    ----------
    folders : of each modality's encoder, as ``save_pretrained`` writes them
    device : torch.device
    """

    def __init__(self, folders: Mapping[Modality, Path], device: Any) -> None:
        from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer, ViTImageProcessorPil
        from transformers.image_processing_base import ImageProcessingMixin

        self._device = device
        self._models = {name: AutoModel.from_pretrained(folder).to(device).eval() for name, folder in folders.items()}
        values, _ = ImageProcessingMixin.get_image_processor_dict(folders["visual"])
        side = self._models["visual"].config.image_size
        mean, std = values["image_mean"], values["image_std"]
        self._picture = ViTImageProcessorPil(size={"height": side, "width": side}, image_mean=mean, image_std=std)
        self._sound = AutoFeatureExtractor.from_pretrained(folders["audio"])
        self._tokens = AutoTokenizer.from_pretrained(folders["text"])

    def __call__(self, segments: Sequence[Segment]) -> Embedded:
        """One encoder after the other over all segments."""
        import torch

        with torch.no_grad():
            return Embedded(
                [rows for batch in _batches(segments) for rows in self._visual(batch)],
                [rows for batch in _batches(segments) for rows in self._audio(batch)],
                [rows for batch in _batches(segments) for rows in self._text(batch)],
            )

    def _visual(self, batch: Sequence[Segment]) -> Iterator[Rows]:
        import torch

        seen = [torch.stack([self._one_picture(path) for path in segment.crops]) for segment in batch]
        padded = torch.nn.utils.rnn.pad_sequence(seen, batch_first=True)  # (B, longest, 3, H, W)
        parts = padded.flatten(0, 1).split(_FRAMES_AT_ONCE)
        tokens = [self._models["visual"](pixel_values=part.to(self._device)).last_hidden_state for part in parts]
        rows = torch.cat([part.mean(dim=1) for part in tokens]).unflatten(0, padded.shape[:2]).cpu()
        for pictures, own in zip(seen, rows, strict=True):
            yield own[: len(pictures)].numpy()

    def _one_picture(self, path: Path) -> Any:
        """(3, H, W) float32, resized and normalised."""
        from PIL import Image

        with Image.open(path) as picture:
            return self._picture(picture.convert("RGB"), return_tensors="pt")["pixel_values"][0]

    def _audio(self, batch: Sequence[Segment]) -> Iterator[Rows]:
        waves = [segment.samples for segment in batch]
        padded = self._sound(waves, sampling_rate=_RATE_HZ, padding=True, return_tensors="pt")
        model = self._models["audio"]
        states = model(input_values=padded["input_values"].to(self._device)).last_hidden_state.cpu().numpy()
        for wave, own in zip(waves, states, strict=True):
            hops = int(model._get_feat_extract_output_lengths(len(wave)))
            yield own[: max(hops, 0)]

    def _text(self, batch: Sequence[Segment]) -> Iterator[Rows]:
        padded = self._tokens([segment.text for segment in batch], padding=True, truncation=True, return_tensors="pt")
        placed = {name: values.to(self._device) for name, values in padded.items()}
        states = self._models["text"](**placed).last_hidden_state.cpu().numpy()
        for own, mask in zip(states, padded["attention_mask"].numpy().astype(bool), strict=True):
            yield own[mask]


def _batches(segments: Sequence[Segment]) -> Iterator[Sequence[Segment]]:
    for first in range(0, len(segments), BATCH_SEGMENTS):
        yield segments[first : first + BATCH_SEGMENTS]
