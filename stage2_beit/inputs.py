"""What happens to cached features on their way into the fusion: statistics, absent rows, time, dropped modalities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from common.errors import CacheError
from common.schema import MODALITIES, Modality
from common.standardise import mean_and_scale


class FeatureInput(nn.Module):
    """Rows of one modality: standardised where present, a learned vector (at first 0) where absent.

    Parameters
    ----------
    dim : feature width D
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.absent = nn.Parameter(torch.zeros(dim))

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """(B, T, D) float and (B, T) bool -> (B, T, D); nothing depends on what an absent row holds."""
        return torch.where(present[..., None], (features - self.mean) * self.scale, self.absent)

    def set_statistics(self, mean: npt.ArrayLike, std: npt.ArrayLike, what: str) -> None:
        """Standardise by these (D,) vectors from now on; see ``common.standardise.mean_and_scale``."""
        m, scale = mean_and_scale(mean, std, len(self.mean), what)
        self.mean.copy_(torch.from_numpy(m))
        self.scale.copy_(torch.from_numpy(scale))

    def initialise(self) -> None:
        """As made; ``init`` leaves alone what a checkpoint has already filled."""
        init.zeros_(self.mean)
        init.ones_(self.scale)
        init.zeros_(self.absent)


class FeatureInputs(nn.ModuleDict):
    """The rows of all modalities on their way into a fusion, one ``FeatureInput`` each.

    Parameters
    ----------
    dims : feature width of each modality
    modality_dropout : probability with which, in training, a window lacks a modality; see ``drop_modalities``
    feature_dropout : probability with which, in training, a standardised number is dropped
    """

    def __init__(self, dims: Mapping[Modality, int], modality_dropout: float, feature_dropout: float = 0.0) -> None:
        super().__init__({m: FeatureInput(dims[m]) for m in MODALITIES})
        self.dims = dict(dims)
        self.modality_dropout = modality_dropout
        self.feature_dropout = feature_dropout

    def forward(
        self, rows: Mapping[Modality, Tensor], present: Mapping[Modality, Tensor], frame_mask: Tensor
    ) -> tuple[dict[Modality, Tensor], dict[Modality, Tensor]]:
        """Features and masks as the fusion sees them.

        Parameters
        ----------
        rows : per modality (B, T, D) float
        present : per modality (B, T) bool
        frame_mask : (B, T) bool, False on padding

        Returns
        -------
        features : per modality (B, T, D); no padded or absent row holds anything of its own
        present : per modality (B, T) bool; False on padding, and where the modality was dropped

        Raises
        ------
        CacheError
            If a modality's features have another width than the model was made for.
        """
        for modality, width in self.dims.items():
            if rows[modality].shape[-1] != width:
                raise CacheError(
                    f"The {modality} features are {rows[modality].shape[-1]} wide; the model was made for {width}.",
                    "Use the features it was trained with, or train it again on these.",
                )
        there = {m: present[m] & frame_mask for m in MODALITIES}
        if self.training and self.modality_dropout > 0:
            there = drop_modalities(there, self.modality_dropout)
        features = {m: self[m](rows[m], there[m]) for m in MODALITIES}
        return {m: F.dropout(x, self.feature_dropout, self.training) for m, x in features.items()}, there

    def set_statistics(self, statistics: Mapping[Modality, tuple[npt.ArrayLike, npt.ArrayLike]]) -> None:
        """Keep mean and standard deviation, (D,) each, of modalities' training features; saved with the model.

        From then on, features go in as (x - mean) / std; constant dimensions become 0. The same statistics hold in
        training and after it: no clip is standardised by its own.

        Raises
        ------
        DataError
            If a shape is wrong or a value isn't finite.
        """
        for modality, (mean, std) in statistics.items():
            cast(FeatureInput, self[modality]).set_statistics(mean, std, f"the {modality} features")


def placed(batch: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A batch on the device; on a GPU through pinned memory, so that the copy doesn't hold up who asked for it."""
    if device.type == "cuda":
        return {name: values.pin_memory().to(device, non_blocking=True) for name, values in batch.items()}
    return {name: values.to(device) for name, values in batch.items()}


def drop_modalities(present: Mapping[Modality, Tensor], probability: float) -> dict[Modality, Tensor]:
    """Hide each modality of each window with ``probability``, but never all that the window has.

    ``present`` holds (B, T) bool masks; so does what is returned. Draws from torch's default generator.
    """
    there = torch.stack([present[m].any(dim=1) for m in MODALITIES], dim=1)  # (B, M)
    dropped = torch.rand(there.shape, device=there.device) < probability
    kept = ~dropped | ~(there & ~dropped).any(dim=1, keepdim=True)
    return {m: present[m] & kept[:, index, None] for index, m in enumerate(MODALITIES)}


def sinusoids(x: Tensor) -> Tensor:
    """Sines (even columns) and cosines (odd) of the frame's number in its window.

    ``x`` (B, T, E) gives shape, dtype and device of the (T, E) that is returned. Wavelengths go from 2 pi frames in
    the first pair of columns to nearly 20000 pi in the last. Computed each time, so that no buffer needs saving.
    """
    T, E = x.shape[-2:]
    column = torch.arange(E, device=x.device)
    rate = torch.exp(-math.log(10000.0) * (column // 2 * 2) / E)
    angle = torch.arange(T, device=x.device)[:, None] * rate
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).to(x.dtype)
