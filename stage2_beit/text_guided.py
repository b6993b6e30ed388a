"""The text-guided fusion: the published MELD and IEMOCAP classifier, between its frozen encoders and its classifier.

Start at ``TextGuidedModel.forward``. Text asks sound, text asks picture, and what comes back is added to the text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer

from common.joined import summed
from common.processes import grouped
from common.schema import Modality
from stage2_beit.config import TextGuidedConfig
from stage2_beit.inputs import FeatureInput, FeatureInputs
from stage2_beit.model import FusionOutput, fusion_loss

__all__ = ["TextGuidedConfig", "TextGuidedModel"]

#: A part of the sound with as many columns has a branch of its own; narrower ones share one.
WIDE_COLUMNS = 128


class RowNorm(nn.BatchNorm1d):
    """Batch normalisation over rows (N, D) that are all there; the caller leaves out the others.

    A variance needs two rows: in training, a batch of fewer is normalised by the running statistics, as in evaluation.
    Where several processes train, rows are those of the whole batch; torch's SyncBatchNorm needs GPUs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) float, N >= 0 -> (N, D)."""
        if self.training and torch.is_grad_enabled() and grouped():
            return self._over_all(x)
        if self.training and len(x) < 2:
            return self._by_running(x)
        return super().forward(x)

    def _by_running(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)

    def _over_all(self, x: Tensor) -> Tensor:
        """By mean and variance over the rows of all processes, each of which may have none."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        sums = summed(torch.cat([x.sum(dim=0), x.new_full((1,), len(x))]))  # (D + 1,)
        rows = sums[-1].detach()
        if rows < 2:
            return self._by_running(x)
        centred = x - sums[:-1] / rows
        variance = summed(centred.square().sum(dim=0)) / rows
        with torch.no_grad():
            self.running_mean.lerp_(sums[:-1] / rows, self.momentum or 0.0)
            self.running_var.lerp_(variance * rows / (rows - 1), self.momentum or 0.0)
            self.num_batches_tracked.add_(1)
        return centred * (variance + self.eps).rsqrt() * self.weight + self.bias


class SoundBranches(nn.Module):
    """Each wide part of the sound by itself, the narrow ones together, then all of them into one.

    Parameters
    ----------
    parts : widths of the parts, in order
    branch : width of a wide part's branch, and of what comes out
    narrow_branch : width of the branch that all narrow parts share
    dropout : of what comes out, in training
    """

    def __init__(self, parts: list[int], *, branch: int, narrow_branch: int, dropout: float) -> None:
        super().__init__()
        self.parts = parts
        wide = [width for width in parts if width >= WIDE_COLUMNS]
        narrow = sum(parts) - sum(wide)
        self.wide = nn.ModuleList(_branch(width, branch) for width in wide)
        self.narrow = _branch(narrow, narrow_branch) if narrow else None
        width = branch * len(wide) + (narrow_branch if narrow else 0)
        self.combined = nn.Sequential(nn.Linear(width, branch), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, sound: Tensor) -> Tensor:
        """(N, sum of the parts) float -> (N, branch)."""
        columns = sound.split(self.parts, dim=-1)
        wide = [part for part in columns if part.shape[-1] >= WIDE_COLUMNS]
        branches = [branch(part) for branch, part in zip(self.wide, wide, strict=True)]
        if self.narrow is not None:
            narrow = [part for part in columns if part.shape[-1] < WIDE_COLUMNS]
            branches.append(self.narrow(torch.cat(narrow, dim=-1)))
        return self.combined(torch.cat(branches, dim=-1))


def _branch(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), RowNorm(outputs))


class TextAsks(GradientCheckpointingLayer):
    """Text asks sound and picture of its own row; both answers, each added to the text, become one vector.

    Each row has one key, so the softmax over the keys is 1, whatever is asked: what comes back is a linear map of the
    sound (or the picture), and the projections to queries and keys never learn. The source has it so; rows of a
    dialogue that ask each other are the six-path fusion.

    Parameters
    ----------
    width : of text, of attention, and of what comes out
    heads : of the attention; must divide ``width``
    branch : width of sound and of picture
    dropout : of what comes out, in training; none on the attention
    """

    def __init__(self, width: int, *, heads: int, branch: int, dropout: float) -> None:
        super().__init__()
        self.audio, self.visual = (
            nn.MultiheadAttention(width, heads, kdim=branch, vdim=branch, batch_first=True) for _ in range(2)
        )
        self.combined = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, text: Tensor, audio: Tensor, visual: Tensor, has_audio: Tensor, has_visual: Tensor) -> Tensor:
        """Fuse N rows, of which M and P have sound and picture.

        Parameters
        ----------
        text : (N, width) float
        audio, visual : (M, branch) and (P, branch) float
            Rows that have any, in order.
        has_audio, has_visual : (N,) bool, M and P of them True
            The other rows' text comes with nothing added.

        Returns
        -------
        (N, width)
        """
        heard = text + _answers(self.audio, text, audio, has_audio)
        seen = text + _answers(self.visual, text, visual, has_visual)
        return self.combined(torch.cat([heard, seen], dim=-1))


def _answers(attention: nn.MultiheadAttention, text: Tensor, rows: Tensor, there: Tensor) -> Tensor:
    """What each row's text (N, width) gets from its own row of the M; 0 where ``there`` (N,) is False."""
    one_key = rows[:, None]  # (M, 1, branch): a row is a sequence of its own
    attended = attention(text[there][:, None], one_key, one_key, need_weights=False)[0][:, 0]  # (M, width)
    answers = attended.new_zeros(len(there), attended.shape[-1])
    answers[there] = attended
    return answers


class TextGuidedModel(PreTrainedModel):
    """Text that asks sound and picture, row by row, with the source's classifier as head.

    Its head is used while stage 2 trains; stage 3 replaces it. No row sees another one, but by the batch's statistics
    in training, as batch normalisation is. These, and the running ones, are over the rows where a modality is present:
    padding and gaps have no part in them.

    Saved and loaded with ``save_pretrained`` and ``from_pretrained``, with the statistics of its training features.
    """

    config_class = TextGuidedConfig
    main_input_name = "visual"
    #: Of ``TextAsks``. Computing the branches twice would move their running statistics twice.
    supports_gradient_checkpointing = True

    def __init__(self, config: TextGuidedConfig) -> None:
        super().__init__(config)
        width, branch, dropout = config.width, config.branch, config.dropout
        self.inputs = FeatureInputs(config.dims, config.modality_dropout)
        self.text = nn.Sequential(nn.Linear(config.text_dim, width), nn.ReLU(), nn.Dropout(dropout))
        self.audio = SoundBranches(config.parts, branch=branch, narrow_branch=config.narrow_branch, dropout=dropout)
        self.visual = nn.Sequential(*_branch(config.visual_dim, branch), nn.Dropout(dropout))
        self.asks = TextAsks(width, heads=config.heads, branch=branch, dropout=dropout)
        self.head = nn.Sequential(
            nn.Linear(width, branch), nn.ReLU(), nn.Dropout(dropout), nn.Linear(branch, config.outputs)
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Fresh weights as torch makes them; ``init`` leaves alone what a checkpoint has already filled."""
        if isinstance(module, nn.Linear):
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            init.uniform_(module.bias, -(module.in_features**-0.5), module.in_features**-0.5)
        elif isinstance(module, FeatureInput):
            module.initialise()
        else:
            super()._init_weights(module)

    def forward(
        self,
        visual: Tensor,
        audio: Tensor,
        text: Tensor,
        present_visual: Tensor,
        present_audio: Tensor,
        present_text: Tensor,
        frame_mask: Tensor,
        labels: Tensor | None = None,
        output_attentions: bool = False,
    ) -> FusionOutput:
        """Predict the emotion, or valence and arousal, of each row; parameters and errors as ``FusionModel.forward``.

        ``output_attentions`` is there for the sake of the other fusion. Over a single key all weights are 1:
        ``attentions`` is always None.
        """
        B, T = frame_mask.shape
        features, present = self.inputs(
            {"visual": visual, "audio": audio, "text": text},
            {"visual": present_visual, "audio": present_audio, "text": present_text},
            frame_mask,
        )
        has_audio, has_visual = present["audio"].flatten(), present["visual"].flatten()  # (B T,)
        words = self.text(features["text"]).flatten(0, 1)  # (B T, width)
        sound = self.audio(features["audio"][present["audio"]])  # (M, branch): the rows that have sound
        picture = self.visual(features["visual"][present["visual"]])  # (P, branch)
        refined = self.asks(words, sound, picture, has_audio, has_visual).view(B, T, -1)
        prediction = self.head(refined)  # (B, T, K)
        loss = fusion_loss(prediction, labels, frame_mask, cast(TextGuidedConfig, self.config))
        return FusionOutput(loss=loss, prediction=prediction, refined=refined)

    def set_statistics(self, statistics: Mapping[Modality, tuple[npt.ArrayLike, npt.ArrayLike]]) -> None:
        """Standardise features by their training statistics from now on; see ``FeatureInputs.set_statistics``."""
        self.inputs.set_statistics(statistics)
