"""What happens to cached features on their way into the fusion: statistics, absent rows, time, dropped modalities."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy.typing as npt
import torch
from torch import Tensor, nn

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
