"""The fusion: three aligned feature sequences in, one refined sequence and valence/arousal per frame out (eq. 13-25).

Start here. ``FusionModel.forward`` reads as the paper's figure: inputs, six cross-modal paths, self-attention within
each modality, projection, BEiT encoders, and a light head that stage 3 replaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast, get_args

import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.models.beit.modeling_beit import BeitLayer
from transformers.utils import ModelOutput

from common.errors import CacheError, ModelError, RecipeError
from common.losses import LossKind, regression_loss
from common.schema import MODALITIES, Modality
from stage2_beit.attention import CrossModalAttention, Pathway, SelfAttention
from stage2_beit.beit import (
    LAYER_SCALE,
    AdditiveAttention,
    AdditiveBlock,
    AttentionKind,
    BeitEncoder,
    Block,
    PretrainedLayers,
    beit_config,
)
from stage2_beit.inputs import FeatureInput, drop_modalities, sinusoids

Positional = Literal["none", "sinusoidal"]

CHOICES = {
    "pathway": get_args(Pathway),
    "attention": get_args(AttentionKind),
    "block": get_args(Block),
    "loss": get_args(LossKind),
    "positional": get_args(Positional),
}


class FusionConfig(PreTrainedConfig):
    """Settings of a ``FusionModel``; the recipe's ``stage2.fusion`` says what each means.

    ``loss`` and ``ccc_weight`` are those of ``common.losses.regression_loss``. ``positional: sinusoidal`` adds the
    sines and cosines of the frame's number in its window to each modality's rows. The paper has nothing of the kind;
    without it, the model doesn't know the order of the frames.

    Raises
    ------
    RecipeError
        If a choice isn't known, or ``attention: beit`` is combined with ``block: bare``.
    """

    model_type: ClassVar[str] = "maven-fusion"
    #: What an evaluation need not collect: (B, T, d_beit) of every batch fills the memory.
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["refined", "attentions"]

    visual_dim: int = 1024
    audio_dim: int = 768
    text_dim: int = 768
    d_k: int = 256
    pathway: Pathway = "paper"
    cross_residual: bool = True
    heads: int = 8
    d_proj: int = 768
    attention: AttentionKind = "additive"
    block: Block = "beit"
    beit_layers: int = 2
    beit_heads: int = 12
    mlp_ratio: float = 4.0
    dropout: float = 0.1
    modality_dropout: float = 0.0
    loss: LossKind = "mse"
    ccc_weight: float = 0.1
    positional: Positional = "none"

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for key, known in CHOICES.items():
            if getattr(self, key) not in known:
                raise RecipeError(f"{key} is {getattr(self, key)!r}.", f"Known: {', '.join(known)}.")
        if self.attention == "beit" and self.block == "bare":
            raise RecipeError(
                "block: bare leaves out what surrounds the additive attention; BEiT's own layers are whole blocks.",
                "Set attention: additive, or block: beit.",
            )

    @property
    def dims(self) -> dict[Modality, int]:
        """Feature width of each modality."""
        return {"visual": self.visual_dim, "audio": self.audio_dim, "text": self.text_dim}


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
