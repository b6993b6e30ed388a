"""A temporal encoder within each modality (ours): what comes before and after a frame, by dilated convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: What a layer adds at first, as in BEiT's layer scale.
LAYER_SCALE = 0.1


class TemporalLayer(nn.Module):
    """x + lambda * W gelu(conv(LN x)), the convolution depthwise and over time.

    Parameters
    ----------
    dim : width D
    kernel_frames : odd number of frames that the convolution weighs
    dilation_frames : frames from one of them to the next
    dropout : on what is added, in training
    """

    def __init__(self, dim: int, *, kernel_frames: int, dilation_frames: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.over_time = nn.Conv1d(dim, dim, kernel_frames, padding="same", dilation=dilation_frames, groups=dim)
        self.mix = nn.Linear(dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), LAYER_SCALE))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """(B, T, D) float and (B, T) bool -> (B, T, D)."""
        rows = torch.where(present[..., None], self.norm(x), 0)
        around = self.over_time(rows.transpose(1, 2)).transpose(1, 2)  # (B, T, D)
        return x + self.scale * self.dropout(self.mix(F.gelu(around)))


class TemporalEncoder(nn.Module):
    """Layers whose reach doubles from one to the next, as in temporal convolutional networks (Bai et al., 2018).

    Rows that aren't present take no part in others, but take from their neighbours: a gap is bridged. ``layers`` layers
    of ``kernel_frames`` k see (k - 1) (2^layers - 1) / 2 frames to either side.

    Parameters
    ----------
    dim : width D
    layers : 0 leaves the rows as they are
    kernel_frames, dropout : of each layer
    """

    def __init__(self, dim: int, *, layers: int, kernel_frames: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TemporalLayer(dim, kernel_frames=kernel_frames, dilation_frames=2**index, dropout=dropout)
            for index in range(layers)
        )

    def forward(self, x: Tensor, present: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, T, D) float, ``present`` and ``frame_mask`` (B, T) bool -> (B, T, D); padding stays as it is."""
        for layer in self.layers:
            x = torch.where(frame_mask[..., None], layer(x, present), x)
        return x
