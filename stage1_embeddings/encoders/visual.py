"""Aligned face crops through a frozen vision model (Swin in the paper, eq. 1-4)."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.device import memory_ran_out
from common.errors import ModelError
from common.reasons import reason_of
from common.recipe import VisualEncoder as Settings
from stage1_embeddings.encoders.frozen import Frozen
from stage1_embeddings.encoders.pictures import picture_input

#: Raise when the numbers this file computes change.
CODE_VERSION = 2


class VisualEncoder:
    """A vision model from a local folder: Swin, ViT, DeiT, BEiT, DINOv2, ConvNeXt and their like.

    ``pooling: mean`` is the mean of the last layer's patches, without class, distillation and register tokens (for
    Swin that is its pooled output; a ConvNeXt's map is averaged over space); ``cls`` is the class token.

    A crop's row doesn't depend on what else is in its batch: batches are always full, the last one made up by
    repeating its last crop, so each row comes from the same arithmetic (tested bit for bit). The exception is a run
    in which memory ran out and the batch was halved.

    Attributes
    ----------
    dim : int
        Width D of a feature.
    size_px : (height, width)
        What crops are resized to.

    Raises
    ------
    ModelError
        If the folder holds no vision model, or one whose pooling is in doubt; the message says why.
    """

    def __init__(self, folder: Path, settings: Settings, device: str) -> None:
        self._network = Frozen(folder, settings, device, "visual")
        self._network.use(self._network.model)
        self._input = picture_input(folder, self._network.config)
        self.size_px = self._input.size_px
        self._pooling = settings.pooling
        self._arguments = self._for_this_size()
        self._leading, self.dim = self._probe()

    @property
    def batch_size(self) -> int:
        """Crops that go through the model together; less than the recipe's where memory ran out."""
        return self._network.batch_size

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Encode crops.

        Parameters
        ----------
        crops : (N, S, S, 3) uint8, RGB, of any S

        Returns
        -------
        (N, D) float32

        Raises
        ------
        ModelError
            If memory doesn't suffice for one crop, or the model gives values that aren't finite.
        """
        parts = list(self._network.batches(crops, self._encode))
        return np.concatenate(parts) if parts else np.empty((0, self.dim), dtype=np.float32)

    def _encode(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        import torch

        count = len(crops)
        full = np.concatenate([crops, np.repeat(crops[-1:], self.batch_size - count, axis=0)])
        pixels = self._input(torch.from_numpy(full).to(self._network.device))
        return self._pooled(self._network.forward(pixel_values=pixels, **self._arguments))[:count]

    def _pooled(self, state: Any) -> npt.NDArray[np.float32]:
        """(N, L, D) tokens or (N, D, height, width) map -> (N, D) float32."""
        if state.ndim == 4:
            values = state.float().mean(dim=(2, 3))
        elif self._pooling == "cls":
            values = state[:, 0].float()
        else:
            values = state[:, self._leading :].float().mean(dim=1)
        return values.cpu().numpy()

    def _for_this_size(self) -> dict[str, Any]:
        """Position tables are stretched where the model isn't used at the size it was made for."""
        made_for = getattr(self._network.config, "image_size", None)
        own = (made_for, made_for) if isinstance(made_for, int) else tuple(made_for or self.size_px)
        # Swin's forward takes the argument as well, but it matters only with absolute positions.
        takes = "interpolate_pos_encoding" in inspect.signature(self._network.model.forward).parameters
        return {"interpolate_pos_encoding": True} if takes and own != self.size_px else {}

    def _probe(self) -> tuple[int, int]:
        """Number of tokens before the patches, and the width, by sending one black picture through."""
        import torch

        network, folder = self._network, self._network.folder
        black = torch.zeros(1, *self.size_px, 3, dtype=torch.uint8, device=network.device)
        try:
            state = network.forward(pixel_values=self._input(black), eager=True, **self._arguments)
        except (RuntimeError, ValueError, TypeError, AttributeError, MemoryError) as error:
            if memory_ran_out(error):
                raise network.too_large(error) from error
            raise ModelError(
                f"{folder} doesn't take pictures of {self.size_px[0]} x {self.size_px[1]} px: {reason_of(error)}.",
                "Correct `size` (or `crop_size`) in its preprocessor_config.json.",
            ) from error
        if state.ndim == 4:
            leading, dim = 0, int(state.shape[1])
        else:
            leading, dim = self._tokens_before_patches(int(state.shape[1])), int(state.shape[2])
        if self._pooling == "cls" and not leading:
            raise ModelError(
                f"{folder} is a {network.config.model_type} model, which has no class token.",
                "Set stage1.visual.pooling to mean.",
            )
        return leading, dim

    def _tokens_before_patches(self, tokens: int) -> int:
        """Class, distillation and register tokens: what there is beside one token for each patch."""
        config = self._network.config
        if hasattr(config, "depths"):  # stages that merge patches, as Swin's, have no other tokens
            return 0
        patch = getattr(config, "patch_size", None)
        height, width = (patch, patch) if isinstance(patch, int) else tuple(patch or (0, 0))
        patches = (self.size_px[0] // height) * (self.size_px[1] // width) if height and width else 0
        # A class token, one for distillation, and registers, of which the largest models have a few.
        known = 2 + int(getattr(config, "num_register_tokens", 0))
        if not patches or not patches <= tokens <= patches + known:
            raise ModelError(
                f"{self._network.folder} gives {tokens} tokens for {patches} patches, so it can't be told which of "
                f"them are patches ({config.model_type}).",
                "Use a Swin, ViT, DeiT, BEiT, DINOv2 or ConvNeXt as stage1.visual.model.",
            )
        return tokens - patches
