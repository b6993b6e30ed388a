"""The fusion: three aligned feature sequences in, one refined sequence and a prediction per frame out (eq. 13-25).

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

from common.classification import configured_loss
from common.errors import ModelError
from common.losses import LossKind, regression_loss
from common.processes import rows_of_all
from common.schema import MODALITIES, Modality
from stage2_beit.additive import AdditiveAttention
from stage2_beit.attention import CrossModalAttention, SelfAttention
from stage2_beit.beit import (
    LAYER_SCALE,
    AdditiveBlock,
    BeitEncoder,
    PretrainedLayers,
    beit_config,
)
from stage2_beit.config import BaseFusionConfig, FusionConfig
from stage2_beit.inputs import FeatureInput, FeatureInputs, sinusoids
from stage2_beit.temporal import LAYER_SCALE as TEMPORAL_SCALE
from stage2_beit.temporal import TemporalEncoder, TemporalLayer


@dataclass
class FusionOutput(ModelOutput):
    """What a fusion returns.

    ``loss``: () float, where labels were given. ``prediction``: (B, T, 2) float, valence and arousal, not squashed; or
    (B, T, K) logits of the emotions. ``refined``: (B, T, d_beit) float, eq. 25. ``attentions``: six (B, T, T) maps by
    ``path_name``, where asked for. On padded frames, ``prediction`` and ``refined`` mean nothing.
    """

    loss: Tensor | None = None
    prediction: Tensor | None = None
    refined: Tensor | None = None
    attentions: dict[str, Tensor] | None = None


def fusion_loss(
    prediction: Tensor, labels: Tensor | None, frame_mask: Tensor, config: BaseFusionConfig
) -> Tensor | None:
    """The loss that ``config`` says, of (B, T, 2 or K) predictions over the labelled frames; padding never counts.

    Where several processes train, it is that of the whole batch.
    ``labels`` are (B, T, 2) float, NaN where there is none; for classes, (B, T) int64, -1 where there is none.
    """
    if labels is None:
        return None
    if config.classes:
        return configured_loss(*rows_of_all(prediction[frame_mask], labels[frame_mask]), config)
    labels = torch.where(frame_mask[..., None], labels, torch.nan)
    prediction, labels = rows_of_all(prediction, labels)
    return regression_loss(prediction, labels, cast(LossKind, config.loss), config.ccc_weight)  # eq. 32


class FusionModel(PreTrainedModel):
    """Six-path cross-modal attention and BEiT refinement (eq. 13-25) with a light head on what is labelled.

    That is valence and arousal, or the logits of ``config.classes`` emotions.

    Saved and loaded with ``save_pretrained`` and ``from_pretrained``, with the statistics of its training features.

    Raises
    ------
    RecipeError
        If a number of heads doesn't divide its width.
    """

    config_class = FusionConfig
    main_input_name = "visual"
    #: Of the BEiT encoders: about half of the activations that a training step keeps.
    supports_gradient_checkpointing = True

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        dims = config.dims
        self.inputs = FeatureInputs(dims, config.modality_dropout, config.feature_dropout)
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
            if config.self_attention
            else {}
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
        self.head = nn.Sequential(
            nn.LayerNorm(config.d_proj), nn.Dropout(config.head_dropout), nn.Linear(config.d_proj, config.outputs)
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Fresh weights; ``init`` leaves alone what a checkpoint has already filled."""
        if module is self.head[-1]:
            # Labels are within [-1, 1] and mostly small: start near 0. Of classes, none is likelier at first.
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
            module.initialise()
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
        """Predict valence and arousal, or the emotion, of each frame.

        Parameters
        ----------
        visual, audio, text : (B, T, D) float32
            Features; what absent rows hold doesn't matter.
        present_visual, present_audio, present_text : (B, T) bool
        frame_mask : (B, T) bool
            False on padding. Nothing at other frames depends on padded frames.
        labels : (B, T, 2) float32, optional
            Valence and arousal in [-1, 1]; NaN where there is none. For classes: (B, T) int64, -1 where there is none.
        output_attentions : bool
            Also return the six cross-modal maps.

        Raises
        ------
        CacheError
            If a modality's features have another width than the model was made for.
        """
        features, present = self.inputs(
            {"visual": visual, "audio": audio, "text": text},
            {"visual": present_visual, "audio": present_audio, "text": present_text},
            frame_mask,
        )
        if self.config.positional == "sinusoidal":
            features = {m: x + sinusoids(x) for m, x in features.items()}
        features = {m: self.temporal[m](x, present[m], frame_mask) for m, x in features.items()}

        enhanced, maps = self.cross(features, present, output_attentions)  # eq. 13-14
        if self.within:
            enhanced = {m: self.within[m](enhanced[m], present[m]) for m in MODALITIES}  # eq. 15-18
        projected = self.projection(torch.cat([enhanced[m] for m in MODALITIES], dim=-1))  # eq. 19-20: (B, T, d_proj)
        refined = self.beit(projected, frame_mask)  # eq. 21-25
        prediction = self.head(refined)  # (B, T, 2 or K)
        loss = fusion_loss(prediction, labels, frame_mask, self.config)
        return FusionOutput(loss=loss, prediction=prediction, refined=refined, attentions=maps)

    def set_statistics(self, statistics: Mapping[Modality, tuple[npt.ArrayLike, npt.ArrayLike]]) -> None:
        """Standardise features by their training statistics from now on; see ``FeatureInputs.set_statistics``."""
        self.inputs.set_statistics(statistics)

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
