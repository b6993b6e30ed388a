"""Settings of a ``FusionModel``, as they are saved beside its weights."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from transformers import PreTrainedConfig

from common.errors import RecipeError
from common.losses import LossKind
from common.schema import Modality
from stage2_beit.attention import Pathway
from stage2_beit.beit import Arrangement, AttentionKind, Block

Positional = Literal["none", "sinusoidal"]

CHOICES = {
    "pathway": get_args(Pathway),
    "attention": get_args(AttentionKind),
    "block": get_args(Block),
    "arrangement": get_args(Arrangement),
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
    arrangement: Arrangement = "series"
    beit_layers: int = 2
    beit_heads: int = 12
    mlp_ratio: float = 4.0
    temporal_layers: int = 0
    temporal_kernel_frames: int = 5
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
