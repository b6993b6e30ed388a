"""A fusion with the text encoder before it, trained together: ``stage2.finetune_text``.

The encoder starts as it is in stage 1. Before the first step this model predicts what its fusion predicts from the
cached features of texts that aren't longer than `MOST_TOKENS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from common.errors import ModelError
from common.models import Pretrained, fetch, load_model, load_tokenizer
from stage2_beit.config import BaseFusionConfig
from stage2_beit.model import FusionModel, FusionOutput
from stage2_beit.text_guided import TextGuidedModel
from stage2_beit.words import Subwords

#: A longer text is cut, as in the source; stage 1 reads it in parts.
MOST_TOKENS = 128

_FUSIONS: dict[str, Any] = {one.config_class.model_type: one for one in (FusionModel, TextGuidedModel)}


class FineTunedConfig(PreTrainedConfig):
    """Settings of a ``FineTunedModel``: those of its encoder and of its fusion, each with its ``model_type``.

    ``most_tokens``: how much of a text it is made to read, special tokens included.
    """

    model_type: ClassVar[str] = "maven-fine-tuned"
    keys_to_ignore_at_inference: ClassVar[list[str]] = BaseFusionConfig.keys_to_ignore_at_inference

    network: dict[str, Any] | None = None
    fusion: dict[str, Any] | None = None
    most_tokens: int = MOST_TOKENS


@dataclass(frozen=True)
class Trainable:
    """A text encoder to be trained, as stage 1 has it: its configuration, its layers, its sub-words."""

    config: dict[str, Any]
    network: Any
    subwords: Subwords

    def in_words(self) -> str:
        """What is trained, and on how much of a text."""
        size = sum(weights.numel() for weights in self.network.parameters())
        kind = type(self.network).__name__
        return f"the text encoder too: {kind}, {size / 1e6:.1f} M weights, texts of up to {self.subwords.most} tokens"


def load_trainable(found: Pretrained) -> Trainable:
    """Load a text encoder, in float32 on the processor.

    Raises
    ------
    ModelError
        Where it can't be fetched or loaded, or has no fast tokenizer.
    """
    folder = fetch(found)
    model = load_model(folder).float()  # a checkpoint may be of half precision: too coarse for small steps
    model.config.dtype = torch.float32
    config = model.config.to_dict()
    config.pop("_name_or_path", None)  # a path of this machine, or of none
    tokenizer = load_tokenizer(folder)
    return Trainable(config, _without_top(model), Subwords(tokenizer, _most_tokens(model, tokenizer)))


class FineTunedModel(PreTrainedModel):
    """A text encoder, and a fusion that is given the mean of each utterance's tokens as its text.

    Saved and loaded with ``save_pretrained`` and ``from_pretrained``, both parts and the tokenizer in one folder.

    Parameters
    ----------
    config : FineTunedConfig
    encoder, fusion : modules, optional
        Made already; new ones where not given.
    """

    config_class = FineTunedConfig
    main_input_name = "visual"
    supports_gradient_checkpointing = True
    #: The encoder's, where no row of a batch, or of one process's part of it, has text.
    leaves_out_weights = True
    #: Saved with the model, so that its folder suffices anywhere.
    tokenizer: Any = None

    def __init__(self, config: FineTunedConfig, encoder: Any = None, fusion: Any = None) -> None:
        super().__init__(config)
        if encoder is None:
            encoder = _without_top(AutoModel.from_config(AutoConfig.for_model(**config.network or {})))
        if fusion is None:
            settings = dict(config.fusion or {})
            kind = _FUSIONS[settings.pop("model_type")]
            fusion = kind(kind.config_class(**settings))
        self.encoder = encoder
        self.fusion = fusion
        self.post_init()

    @classmethod
    def starting_from(cls, fusion: Any, text: Trainable) -> FineTunedModel:
        """The model before its first step; takes the modules it is given.

        Raises
        ------
        ModelError
            If the fusion takes text features of another width than the encoder makes.
        """
        width = int(text.network.config.hidden_size)
        if width != fusion.config.text_dim:
            raise ModelError(
                f"The text encoder is {width} wide, and the cached text features {fusion.config.text_dim}.",
                "Run `make embeddings` again with this recipe.",
            )
        settings = {"network": text.config, "fusion": fusion.config.to_dict(), "most_tokens": text.subwords.most}
        model = cls(FineTunedConfig(**settings), text.network, fusion)
        model.tokenizer = text.subwords.tokenizer
        return model

    def subwords(self) -> Subwords:
        """What it reads of a text."""
        return Subwords(self.tokenizer, self.config.most_tokens)

    def forward(
        self,
        visual: Tensor,
        audio: Tensor,
        text: Tensor,
        present_visual: Tensor,
        present_audio: Tensor,
        present_text: Tensor,
        frame_mask: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        output_attentions: bool = False,
    ) -> FusionOutput:
        """As the fusion's forward, with text from its words.

        Parameters
        ----------
        text : (B, T, D) float32
            Features of the frozen encoder; not used but for their shape.
        present_text : (B, T) bool
            Only these rows' words are encoded.
        input_ids, attention_mask : (B, T, L) int64
            Sub-words of each row, special ones included, and 1 where there is one; at least one where text is present.
            What stands elsewhere doesn't matter.
        visual, audio, present_visual, present_audio, frame_mask, labels, output_attentions
            As the fusion has them.
        """
        rows = present_text & frame_mask
        return self.fusion(
            visual=visual,
            audio=audio,
            text=self._encoded(text, rows, input_ids, attention_mask),
            present_visual=present_visual,
            present_audio=present_audio,
            present_text=rows,
            frame_mask=frame_mask,
            labels=labels,
            output_attentions=output_attentions,
        )

    def _encoded(self, text: Tensor, rows: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, T, D) float32: the mean over each row's tokens, 0 where ``rows`` (B, T) is False."""
        encoded = torch.zeros_like(text, dtype=torch.float32)
        if not bool(rows.any()):
            return encoded
        mask = attention_mask[rows]  # (N, L)
        states = self.encoder(input_ids=input_ids[rows], attention_mask=mask).last_hidden_state.float()  # (N, L, D)
        weight = mask[..., None].float()
        encoded[rows] = (states * weight).sum(dim=1) / weight.sum(dim=1)
        return encoded

    def save_pretrained(self, save_directory: Any, **settings: Any) -> None:
        """As any model, with the tokenizer."""
        super().save_pretrained(save_directory, **settings)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(save_directory)

    @classmethod
    def from_pretrained(cls, folder: Any, *arguments: Any, **settings: Any) -> Any:
        """As any model, with the tokenizer; errors as in `common.models.load_tokenizer`."""
        model = super().from_pretrained(folder, *arguments, **settings)
        model.tokenizer = load_tokenizer(Path(folder))
        return model


def _without_top(model: Any) -> Any:
    """The encoder of an encoder-decoder; none of the pooler, which would get no gradient."""
    encoder = model.get_encoder() if model.config.is_encoder_decoder else model
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder


def _most_tokens(model: Any, tokenizer: Any) -> int:
    limits = [MOST_TOKENS, int(tokenizer.model_max_length)]
    if positions := getattr(model.config, "max_position_embeddings", None):
        table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
        first = getattr(table, "padding_idx", None)  # RoBERTa's positions begin after the one for padding
        limits.append(int(positions) - (0 if first is None else int(first) + 1))
    return min(limits)
