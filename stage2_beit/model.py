"""The fusion: three aligned feature sequences in, one refined sequence and valence/arousal per frame out (eq. 13-25).

Start here. ``FusionModel.forward`` reads as the paper's figure: inputs, six cross-modal paths, self-attention within
each modality, projection, BEiT encoders, and a light head that stage 3 replaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.models.beit.modeling_beit import BeitLayer
from transformers.utils import ModelOutput

from common.errors import CacheError, ModelError
from common.losses import regression_loss
from common.schema import MODALITIES, Modality
from stage2_beit.attention import CrossModalAttention, SelfAttention
from stage2_beit.beit import (
    LAYER_SCALE,
    AdditiveAttention,
    AdditiveBlock,
    BeitEncoder,
    PretrainedLayers,
    beit_config,
)
from stage2_beit.config import FusionConfig
from stage2_beit.inputs import FeatureInput, drop_modalities, sinusoids
from stage2_beit.temporal import LAYER_SCALE as TEMPORAL_SCALE
from stage2_beit.temporal import TemporalEncoder, TemporalLayer


@dataclass
class FusionOutput(ModelOutput):
    """What a ``FusionModel`` returns.

    ``loss``: () float, where labels were given. ``prediction``: (B, T, 2) float, valence and arousal, not squashed.
    ``refined``: (B, T, d_beit) float, eq. 25. ``attentions``: six (B, T, T) maps by ``path_name``, where asked for.
    On padded frames, ``prediction`` and ``refined`` mean nothing.
    """

    loss: Tensor | None = None
    prediction: Tensor | None = None
    refined: Tensor | None = None
    attentions: dict[str, Tensor] | None = None


class FusionModel(PreTrainedModel):
    """Six-path cross-modal attention and BEiT refinement (eq. 13-25) with a light head on valence and arousal.

    Saved and loaded with ``save_pretrained`` and ``from_pretrained``, with the statistics of its training features.

    Raises
    ------
    RecipeError
        If a number of heads doesn't divide its width.
    """

    config_class = FusionConfig
    main_input_name = "visual"

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        dims = config.dims
        self.inputs = nn.ModuleDict({m: FeatureInput(dims[m]) for m in MODALITIES})
        self.temporal = nn.ModuleDict(
            {
                m: TemporalEncoder(
                    dims[m],
                    layers=config.temporal_layers,
                    kernel_frames=config.temporal_kernel_frames,
                    dropout=config.dropout,
                )
                for m in MODALITIES
            }
        )
        self.cross = CrossModalAttention(
            dims,
            d_k=config.d_k,
            pathway=config.pathway,
            residual=config.cross_residual,
            dropout=config.dropout,
        )
        self.within = nn.ModuleDict(
            {m: SelfAttention(dims[m], heads=config.heads, dropout=config.dropout) for m in MODALITIES}
        )
        self.projection = nn.Linear(sum(dims.values()), config.d_proj)
        self.beit = BeitEncoder(
            config.d_proj,
            layers=config.beit_layers,
            attention=config.attention,
            block=config.block,
            arrangement=config.arrangement,
            heads=config.beit_heads,
            mlp_ratio=config.mlp_ratio,
            dropout=config.dropout,
        )
        self.head = nn.Sequential(nn.LayerNorm(config.d_proj), nn.Linear(config.d_proj, 2))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Fresh weights; ``init`` leaves alone what a checkpoint has already filled."""
        if module is self.head[-1]:
            # Labels are within [-1, 1] and mostly small: start near 0.
            init.normal_(module.weight, std=0.1 * self.config.d_proj**-0.5)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Conv1d):
            init.kaiming_uniform_(module.weight, nonlinearity="linear")
            init.zeros_(module.bias)
        elif isinstance(module, TemporalLayer):
            init.constant_(module.scale, TEMPORAL_SCALE)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, FeatureInput):
            init.zeros_(module.mean)
            init.ones_(module.scale)
            init.zeros_(module.absent)
        elif isinstance(module, AdditiveAttention):
            init.normal_(module.v, std=module.v.numel() ** -0.5)
        elif isinstance(module, BeitLayer) or (isinstance(module, AdditiveBlock) and not module.bare):
            init.constant_(module.lambda_1, LAYER_SCALE)
            init.constant_(module.lambda_2, LAYER_SCALE)

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
        """Predict valence and arousal of each frame.

        Parameters
        ----------
        visual, audio, text : (B, T, D) float32
            Features; what absent rows hold doesn't matter.
        present_visual, present_audio, present_text : (B, T) bool
        frame_mask : (B, T) bool
            False on padding. Nothing at other frames depends on padded frames.
        labels : (B, T, 2) float32, optional
            Valence and arousal in [-1, 1]; NaN where there is none.
        output_attentions : bool
            Also return the six cross-modal maps.

        Raises
        ------
        CacheError
            If a modality's features have another width than the model was made for.
        """
        rows: dict[Modality, Tensor] = {"visual": visual, "audio": audio, "text": text}
        present: dict[Modality, Tensor] = {"visual": present_visual, "audio": present_audio, "text": present_text}
        self._check_widths(rows)
        present = {m: present[m] & frame_mask for m in MODALITIES}
        if self.training and self.config.modality_dropout > 0:
            present = drop_modalities(present, self.config.modality_dropout)
        features = {m: self.inputs[m](rows[m], present[m]) for m in MODALITIES}
        if self.config.positional == "sinusoidal":
            features = {m: x + sinusoids(x) for m, x in features.items()}
        features = {m: self.temporal[m](x, present[m], frame_mask) for m, x in features.items()}

        enhanced, maps = self.cross(features, present, output_attentions)  # eq. 13-14
        within = [self.within[m](enhanced[m], present[m]) for m in MODALITIES]  # eq. 15-18
        projected = self.projection(torch.cat(within, dim=-1))  # eq. 19-20: (B, T, d_proj)
        refined = self.beit(projected, frame_mask)  # eq. 21-25
        prediction = self.head(refined)  # (B, T, 2)

        loss = None
        if labels is not None:
            labels = torch.where(frame_mask[..., None], labels, torch.nan)
            loss = regression_loss(prediction, labels, self.config.loss, self.config.ccc_weight)  # eq. 32
        return FusionOutput(loss=loss, prediction=prediction, refined=refined, attentions=maps)

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
            entry = cast(FeatureInput, self.inputs[modality])
            entry.set_statistics(mean, std, f"the {modality} features")

    def use_pretrained_layers(self, pretrained: PretrainedLayers) -> None:
        """Start the BEiT encoders from a pretrained BEiT: all of its layers, or all but the attention's weights
        where the attention is additive.

        Raises
        ------
        ModelError
            If the block is bare, or the layers have another shape than the configuration says; names both.
        """
        additive = self.config.attention == "additive"
        if self.config.block == "bare":
            raise ModelError("block: bare has nothing that a pretrained BEiT has.", "Set stage2.fusion.block: beit.")
        ours = beit_config(self.config.d_proj, heads=self.config.beit_heads, mlp_ratio=self.config.mlp_ratio)
        settings = {"hidden_size": "d_proj", "num_attention_heads": "beit_heads"}
        for key, theirs in pretrained.shape.items():
            if (own := getattr(ours, key)) != theirs and not (additive and key == "num_attention_heads"):
                raise ModelError(
                    f"{settings.get(key, key)} is {own}, but the BEiT layers at {pretrained.source} have a "
                    f"{key} of {theirs}.",
                    "Make the two equal, or take another BEiT.",
                )
        kept = {name: value for name, value in pretrained.state.items() if not (additive and ".attention." in name)}
        result = self.beit.layers.load_state_dict(kept, strict=not additive)
        assert not result.unexpected_keys and all(".attention." in name for name in result.missing_keys)

    def _check_widths(self, rows: Mapping[Modality, Tensor]) -> None:
        for modality, width in self.config.dims.items():
            if rows[modality].shape[-1] != width:
                raise CacheError(
                    f"The {modality} features are {rows[modality].shape[-1]} wide; the model was made for {width}.",
                    "Use the features it was trained with, or train it again on these.",
                )
