"""Settings of a fusion, as they are saved beside its weights."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from transformers import PreTrainedConfig

from common.classification import CLASS_LOSSES, ClassLossKind, check_class_settings
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
    "positional": get_args(Positional),
}
LOSSES = (*get_args(LossKind), *CLASS_LOSSES)


class BaseFusionConfig(PreTrainedConfig):
    """What every kind of fusion is told: the widths of its features, and what is predicted by which loss.

    ``classes`` K counts the emotions; 0 is valence and arousal. ``loss`` and ``ccc_weight`` are those of
    ``common.losses.regression_loss``, or ``loss``, ``focal_gamma``, ``class_weights`` (K of them) and
    ``label_smoothing`` those of ``common.classification.classification_loss``.

    Raises
    ------
    RecipeError
        If a loss isn't known, or doesn't go with the classes; see ``check_class_settings``.
    """

    #: What an evaluation need not collect: (B, T, d_beit) of every batch fills the memory.
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["refined", "attentions"]

    visual_dim: int = 1024
    audio_dim: int = 768
    text_dim: int = 768
    modality_dropout: float = 0.0
    loss: LossKind | ClassLossKind = "mse"
    ccc_weight: float = 0.1
    classes: int = 0
    focal_gamma: float = 2.0
    class_weights: list[float] | None = None
    label_smoothing: float = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        check_choice("loss", self.loss, LOSSES)
        check_class_settings(self)

    @property
    def dims(self) -> dict[Modality, int]:
        """Feature width of each modality."""
        return {"visual": self.visual_dim, "audio": self.audio_dim, "text": self.text_dim}

    @property
    def outputs(self) -> int:
        """Width of a prediction: K logits, or 2 for valence and arousal."""
        return self.classes or 2


class FusionConfig(BaseFusionConfig):
    """Settings of a ``FusionModel``; the recipe's ``stage2.fusion`` says what each means.

    ``positional: sinusoidal`` adds the sines and cosines of the frame's number in its window to each modality's rows.
    The paper has nothing of the kind; without it, the model doesn't know the order of the frames.

    Raises
    ------
    RecipeError
        If a choice isn't known, or ``attention: beit`` is combined with ``block: bare``.
    """

    model_type: ClassVar[str] = "maven-fusion"

    d_k: int = 256
    pathway: Pathway = "paper"
    cross_residual: bool = True
    heads: int = 8
    d_proj: int = 768
    attention: AttentionKind = "additive"
    block: Block = "beit"
    arrangement: Arrangement = "series"
    self_attention: bool = True
    beit_layers: int = 2
    beit_heads: int = 12
    mlp_ratio: float = 4.0
    temporal_layers: int = 0
    temporal_kernel_frames: int = 5
    dropout: float = 0.1
    feature_dropout: float = 0.0
    head_dropout: float = 0.0
    positional: Positional = "none"

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for key, known in CHOICES.items():
            check_choice(key, getattr(self, key), known)
        if self.attention == "beit" and self.block == "bare":
            raise RecipeError(
                "block: bare leaves out what surrounds the additive attention; BEiT's own layers are whole blocks.",
                "Set attention: additive, or block: beit.",
            )


class TextGuidedConfig(BaseFusionConfig):
    """Settings of a ``TextGuidedModel``; the recipe's ``stage2.fusion`` says what each means.

    ``audio_parts`` are the widths of the parts of which the sound's columns consist, in order, as in 512 (acoustic),
    25 (prosodic), 25 (spectral); None: they are one part.

    Raises
    ------
    RecipeError
        If the parts don't add up to ``audio_dim``, or ``heads`` doesn't divide ``width``.
    """

    model_type: ClassVar[str] = "maven-text-guided"

    visual_dim: int = 512
    audio_dim: int = 562
    text_dim: int = 768
    audio_parts: list[int] | None = None
    width: int = 512
    heads: int = 8
    branch: int = 256
    narrow_branch: int = 128
    dropout: float = 0.3

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if sum(self.parts) != self.audio_dim or min(self.parts) < 1:
            raise RecipeError(
                f"audio_parts is {self.audio_parts}, and the audio features are {self.audio_dim} wide.",
                "Give the widths of their parts, each 1 or more; they add up to that.",
            )
        if self.width % self.heads:
            raise RecipeError(
                f"{self.heads} attention heads don't divide a width of {self.width}.",
                f"Choose stage2.fusion.heads among the divisors of {self.width}.",
            )

    @property
    def parts(self) -> list[int]:
        """Widths of the sound's parts, in order."""
        return self.audio_parts or [self.audio_dim]


def check_choice(key: str, value: object, known: tuple[str, ...]) -> None:
    """Refuse a value that isn't among the known ones, with a RecipeError."""
    if value not in known:
        raise RecipeError(f"{key} is {value!r}.", f"Known: {', '.join(known)}.")
