"""Aligned face crops through a frozen vision transformer (Swin in the paper, eq. 1-4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.device import torch_device, torch_dtype
from common.errors import ModelError
from common.models import load_model
from common.recipe import Encoder

#: Raise when the numbers this file computes change.
CODE_VERSION = 1


class VisualEncoder:
    """A vision model from a local folder; ``dim`` is the width D of its features.

    The feature of a crop is the mean of the last layer's tokens, which for Swin is its pooled output.
    """

    def __init__(self, folder: Path, settings: Encoder, device: str) -> None:
        import torch
        from transformers.image_processing_base import ImageProcessingMixin

        self.device = torch_device(device)
        self.dtype = torch_dtype(settings.precision, self.device)
        self.batch_size = settings.batch_size
        self.model = load_model(folder).to(self.device, self.dtype)
        self.dim = int(self.model.config.hidden_size)
        size = self.model.config.image_size
        self.size_px: tuple[int, int] = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        try:
            values, _ = ImageProcessingMixin.get_image_processor_dict(folder, local_files_only=True)
            mean, std = values["image_mean"], values["image_std"]
        except (OSError, KeyError) as error:
            raise ModelError(
                f"{folder} doesn't say how its pixels are normalised.",
                "Put its preprocessor_config.json with image_mean and image_std there.",
            ) from error
        self.mean = torch.tensor(mean, device=self.device).view(1, 3, 1, 1)
        self.std = torch.tensor(std, device=self.device).view(1, 3, 1, 1)

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Encode crops.

        Parameters
        ----------
        crops : (N, S, S, 3) uint8, RGB

        Returns
        -------
        (N, D) float32
        """
        import torch

        parts = []
        with torch.inference_mode():
            for start in range(0, len(crops), self.batch_size):
                pixels = torch.from_numpy(crops[start : start + self.batch_size]).to(self.device)
                tokens = self.model(pixel_values=self._normalised(pixels)).last_hidden_state
                parts.append(tokens.float().mean(dim=1).cpu().numpy())
        return np.concatenate(parts) if parts else np.empty((0, self.dim), dtype=np.float32)

    def _normalised(self, crops):  # type: ignore[no-untyped-def]
        """(N, S, S, 3) uint8 -> (N, 3, height, width) in the model's size and precision."""
        from torch.nn.functional import interpolate

        pixels = crops.permute(0, 3, 1, 2).float() / 255
        if tuple(pixels.shape[-2:]) != self.size_px:
            shrinks = pixels.shape[-1] > self.size_px[1]
            pixels = interpolate(pixels, self.size_px, mode="bilinear", antialias=shrinks, align_corners=False)
        return ((pixels - self.mean) / self.std).to(self.dtype)
