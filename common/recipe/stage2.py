"""Settings of stage 2: windows, fusion, training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from common.recipe.section import Section
from common.recipe.training import Training
from common.schema import MODALITIES, Modality

#: The kinds of fusion.
FUSIONS = ("six-path", "text-guided")


class Window(Section):
    """``frames`` counts rows: frames of a video, utterances of a dialogue."""

    frames: int = Field(300, ge=1)
    hop_frames: int = Field(200, ge=1)

    @model_validator(mode="after")
    def _hop_leaves_no_hole(self) -> Window:
        if self.hop_frames > self.frames:
            raise ValueError(f"hop_frames ({self.hop_frames}) is larger than frames ({self.frames})")
        return self


class Fusion(Section):
    """Equations 13 to 25; see docs/fidelity.md for what each choice reads out of the paper."""

    kind: Literal["six-path"] = "six-path"
    pathway: Literal["paper", "released"] = "paper"
    d_k: int = Field(256, ge=1)
    cross_residual: bool = True
    heads: int = Field(8, ge=1)
    d_proj: int = Field(768, ge=1)
    attention: Literal["additive", "beit"] = "additive"
    block: Literal["beit", "bare"] = "beit"
    arrangement: Literal["series", "parallel"] = Field(
        "series", description="of the BEiT encoders: one after the other (eq. 25), or side by side and averaged"
    )
    beit_layers: int = Field(2, ge=1)
    beit_heads: int = Field(12, ge=1)
    beit_model: str | None = Field(
        None, description="BEiT whose weights the blocks start from; all but the attention's where it is additive"
    )
    beit_revision: str | None = None
    positional: Literal["none", "sinusoidal"] = "none"
    self_attention: bool = Field(True, description="within each modality (eq. 15-18); false leaves it out")
    temporal_layers: int = Field(0, ge=0, description="convolutions over time within each modality; 0: the paper")
    temporal_kernel_frames: int = Field(5, ge=3, description="odd; the second layer looks twice as far, and so on")
    dropout: float = Field(0.1, ge=0, lt=1)
    feature_dropout: float = Field(0.0, ge=0, lt=1, description="of the features themselves, before anything else")
    head_dropout: float = Field(0.0, ge=0, lt=1, description="before the light head that stage 3 replaces")
    modality_dropout: float = Field(0.0, ge=0, lt=1)
    standardise: bool = Field(True, description="features by the mean and deviation of the training frames")

    @field_validator("temporal_kernel_frames")
    @classmethod
    def _has_a_centre(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"a kernel around a frame has an odd number of frames, not {value}")
        return value

    @model_validator(mode="after")
    def _bare_block_has_no_pretrained_weights(self) -> Fusion:
        if self.block == "bare" and (self.beit_model is not None or self.attention == "beit"):
            raise ValueError("block: bare is eq. 21-24 alone; BEiT's layers and weights need block: beit")
        return self


class TextGuided(Section):
    """The published MELD and IEMOCAP classifier up to its classifier: text asks sound and picture, row by row."""

    kind: Literal["text-guided"]
    width: int = Field(512, ge=1, description="of text, of attention, and of what comes out")
    heads: int = Field(8, ge=1)
    branch: int = Field(256, ge=1, description="width of sound, and of picture, before attention")
    narrow_branch: int = Field(128, ge=1, description="width that sound's narrow parts (V3, V4) share")
    dropout: float = Field(0.3, ge=0, lt=1)
    modality_dropout: float = Field(0.0, ge=0, lt=1)
    standardise: bool = Field(True, description="features by the mean and deviation of the training rows")

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> TextGuided:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads don't divide a width of {self.width}")
        return self


def _kind(values: Any) -> str:
    """Which fusion: the paper's, where nothing is said."""
    kind = values.get("kind", "six-path") if isinstance(values, dict) else getattr(values, "kind", "six-path")
    return str(kind)


_FUSIONS = Discriminator(
    _kind,
    custom_error_type="unknown_fusion",
    custom_error_message=f"there is no such kind; known: {', '.join(FUSIONS)}",
)


class Stage2(Section):
    modalities: tuple[Modality, ...] = MODALITIES
    window: Window = Window()
    fusion: Annotated[Annotated[Fusion, Tag("six-path")] | Annotated[TextGuided, Tag("text-guided")], _FUSIONS] = (
        Fusion()
    )
    finetune_text: bool = Field(False, description="train the text encoder too, from the utterances' words")
    training: Training = Training()

    @field_validator("modalities")
    @classmethod
    def _at_least_one(cls, value: tuple[Modality, ...]) -> tuple[Modality, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError(f"name each of {', '.join(MODALITIES)} at most once, and at least one")
        return value

    @model_validator(mode="after")
    def _text_is_seen_where_its_encoder_is_trained(self) -> Stage2:
        if self.finetune_text and "text" not in self.modalities:
            raise ValueError(f"finetune_text trains the text encoder, and modalities are {', '.join(self.modalities)}")
        return self
