"""Settings of stage 1: limits, faces, encoders, speech."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from common.recipe.section import Precision, Section

#: The widest aligned crop.
LARGEST_CROP_PX: Final = 1024


class Decode(Section):
    """What a video may be, so that a file made to fill memory or time ends in a sentence."""

    # A clip that passes is the same clip under any limit.
    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset({"max_pixels", "max_duration_s"})

    max_pixels: int = Field(8192 * 4320, ge=1, le=1 << 30, description="of a picture; the default is 8K (DCI)")
    max_duration_s: float = Field(86_400.0, gt=0, le=1e7, description="of a video, and of its sound")


class Faces(Section):
    """How faces are found, followed and cut out."""

    # YuNet's file is checked by its sha256; kept crops are the same crops.
    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset({"weights", "keep_crops"})

    detector: Literal["yunet", "haar", "none", "crops"] = Field(
        "yunet", description="none: each frame is one face; crops: ready crops, one image a frame, beside the videos"
    )
    weights: Path | None = Field(None, description="YuNet's ONNX file; fetched once where not given")
    min_score: float = Field(0.6, ge=0, le=1)
    detect_width_px: int = Field(320, ge=64, le=4096)
    every_frames: int = Field(12, ge=1, le=60, description="detect on every n-th frame, follow in between")
    policy: Literal["largest", "all", "left", "right"] = Field(
        "largest", description="whose face: one a frame, each as a clip of its own, or one of two people by their side"
    )
    min_track_s: float = Field(1.0, ge=0, description="policy all: a shorter track makes no clip")
    crop_px: int = Field(112, ge=32, le=LARGEST_CROP_PX)
    crops_rate_hz: float | None = Field(None, gt=0, description="frames a second of ready crops without their video")
    keep_crops: bool = Field(False, description="keep the aligned faces, for the next visual encoder")


class Encoder(Section):
    """A frozen network: a hub id at a pinned revision, a local folder, ``miniature``, or ``none``.

    ``none`` is for data that comes as text: the modality is absent from every row, and no model is loaded for it. Where
    a data set brings a modality's features itself, they are taken whatever is named here.
    """

    #: The weights' hash stands for the model.
    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset({"model", "revision", "batch_size", "compile"})

    model: str
    revision: str | None = Field(None, description="commit of the hub repository; not for a local folder")
    precision: Precision = "float32"
    batch_size: int = Field(64, ge=1)
    compile: bool = Field(False, description="torch.compile: slow to start, faster over many clips")


class VisualEncoder(Encoder):
    pooling: Literal["mean", "cls"] = Field(
        "mean", description="a crop's feature: mean of its patches, or the class token where the model has one"
    )


class AudioEncoder(Encoder):
    batch_size: int = Field(1, ge=1, description="chunks that go through the encoder together")
    chunk_s: float = Field(30.0, gt=0, description="long audio goes through the encoder in chunks of this length")
    context_s: float = Field(2.0, ge=0, description="what each chunk sees of its neighbours on either side")


class TextEncoder(Encoder):
    batch_size: int = Field(16, ge=1)
    alignment: Literal["words", "interpolate"] = Field(
        "words", description="place words by their times, or stretch tokens over the clip (eq. 12 as printed)"
    )


class Speech(Section):
    """Where words come from when no transcript lies beside a video."""

    recogniser: Literal["whisper", "faster-whisper", "none"] = "whisper"
    model: str = Field("small", description="a Whisper model's name, or a checkpoint file (faster-whisper: a folder)")
    language: str | None = Field(None, description="such as en; told from the first speech where not given")
    vad_threshold: float = Field(0.5, gt=0, lt=1, description="silero-vad's probability from which sound is speech")

    @model_validator(mode="before")
    @classmethod
    def _drop_model_without_recogniser(cls, values: Any) -> Any:
        """Without a recogniser its model is not a setting, and must not shape a fingerprint."""
        if isinstance(values, dict) and values.get("recogniser") == "none":
            return {"recogniser": "none"}
        return values


class Stage1(Section):
    decode: Decode = Decode()
    faces: Faces = Faces()
    visual: VisualEncoder
    audio: AudioEncoder
    speech: Speech = Speech()
    text: TextEncoder
