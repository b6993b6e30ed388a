"""One recipe is one experiment: every setting of the three stages, typed, validated together, fingerprinted.

A recipe is YAML (``recipes/*.yaml``); ``--set stage2.window.frames=64`` overrides single values. Whatever shapes
a result is part of its fingerprint; whatever only changes the speed (batch size of a frozen encoder, worker
processes) is listed in ``SPEED_ONLY`` of its section and is not.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from common.errors import RecipeError
from common.schema import MODALITIES, SCHEMA_VERSION, Modality

RECIPES = Path(__file__).resolve().parent.parent / "recipes"

Precision = Literal["float32", "bfloat16", "float16"]


class Section(BaseModel):
    """A frozen group of settings that refuses keys it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Settings that change how fast a result comes, not what it is.
    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset()

    def shaping(self) -> dict[str, Any]:
        """Every setting of this section, and of those inside it, that shapes a result, as plain JSON values."""
        plain = self.model_dump(mode="json")
        kept = {key: getattr(self, key) for key in plain if key not in self.SPEED_ONLY}
        return {key: value.shaping() if isinstance(value, Section) else plain[key] for key, value in kept.items()}


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
    crop_px: int = Field(112, ge=32, le=1024)
    crops_rate_hz: float | None = Field(None, gt=0, description="frames a second of ready crops without their video")
    keep_crops: bool = Field(False, description="keep the aligned faces, for the next visual encoder")


class Encoder(Section):
    """A frozen network: a hub id at a pinned revision, a local folder, or ``miniature``."""

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
    faces: Faces = Faces()
    visual: VisualEncoder
    audio: AudioEncoder
    speech: Speech = Speech()
    text: TextEncoder


class Window(Section):
    frames: int = Field(300, ge=2)
    hop_frames: int = Field(200, ge=1)

    @model_validator(mode="after")
    def _hop_leaves_no_hole(self) -> Window:
        if self.hop_frames > self.frames:
            raise ValueError(f"hop_frames ({self.hop_frames}) is larger than frames ({self.frames})")
        return self


class Plateau(Section):
    """``torch.optim.lr_scheduler.ReduceLROnPlateau`` on the validation CCC."""

    factor: float = Field(0.1, gt=0, lt=1)
    patience: int = Field(5, ge=0)


class Training(Section):
    """What ``transformers.Trainer`` is told."""

    SPEED_ONLY: ClassVar[frozenset[str]] = frozenset({"workers"})

    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    batch_size: int = Field(16, ge=1)
    accumulate: int = Field(1, ge=1, description="batches whose gradients are added up before a step")
    epochs: int = Field(100, ge=1)
    plateau: Plateau | None = Plateau()
    early_stop_epochs: int | None = Field(10, ge=1)
    clip_norm: float | None = Field(1.0, gt=0)
    loss: Literal["mse", "ccc", "mse+ccc"] = "mse"
    ccc_weight: float = Field(0.1, gt=0, description="weight of 1 - CCC in mse+ccc")
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    workers: int = Field(0, ge=0)


class Fusion(Section):
    """Equations 13 to 25; see docs/fidelity.md for what each choice reads out of the paper."""

    pathway: Literal["paper", "released"] = "paper"
    d_k: int = Field(256, ge=1)
    cross_residual: bool = True
    heads: int = Field(8, ge=1)
    d_proj: int = Field(768, ge=1)
    attention: Literal["additive", "beit"] = "additive"
    block: Literal["beit", "bare"] = "beit"
    beit_layers: int = Field(2, ge=1)
    beit_heads: int = Field(12, ge=1)
    beit_model: str | None = Field(
        None, description="BEiT whose weights the blocks start from; all but the attention's where it is additive"
    )
    beit_revision: str | None = None
    positional: Literal["none", "sinusoidal"] = "none"
    dropout: float = Field(0.1, ge=0, lt=1)
    modality_dropout: float = Field(0.0, ge=0, lt=1)
    standardise: bool = Field(True, description="features by the mean and deviation of the training frames")

    @model_validator(mode="after")
    def _bare_block_has_no_pretrained_weights(self) -> Fusion:
        if self.block == "bare" and (self.beit_model is not None or self.attention == "beit"):
            raise ValueError("block: bare is eq. 21-24 alone; BEiT's layers and weights need block: beit")
        return self


class Stage2(Section):
    modalities: tuple[Modality, ...] = MODALITIES
    window: Window = Window()
    fusion: Fusion = Fusion()
    training: Training = Training()

    @field_validator("modalities")
    @classmethod
    def _at_least_one(cls, value: tuple[Modality, ...]) -> tuple[Modality, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError(f"name each of {', '.join(MODALITIES)} at most once, and at least one")
        return value


class Head(Section):
    """Equations 26 to 31."""

    d1: int = Field(256, ge=1)
    d2: int = Field(128, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    pool_frames: int | Literal["clip"] = Field(1, description="width of the centred pooling window (eq. 26)")

    @field_validator("pool_frames")
    @classmethod
    def _odd(cls, value: int | str) -> int | str:
        if isinstance(value, int) and (value < 1 or value % 2 == 0):
            raise ValueError(f"a centred window has an odd number of frames, not {value}")
        return value


class Stage3(Section):
    head: Head = Head()
    training: Training = Training()


class Recipe(Section):
    """All settings of one experiment."""

    name: str = Field(pattern=r"^[\w][\w.+-]*$")
    summary: str = ""
    seed: int = Field(0, ge=0, lt=2**32)
    stage1: Stage1
    stage2: Stage2 = Stage2()
    stage3: Stage3 = Stage3()


def load_recipe(name_or_path: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe by name (``demo``) or path, apply ``key.path=value`` overrides, and validate it.

    Raises
    ------
    RecipeError
        If the file can't be found or parsed; or, all at once, for every key that doesn't fit.
    """
    path = _find(name_or_path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{path} isn't valid YAML: {reason}.", "Correct it there.") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} holds {type(values).__name__}, not settings.", "Start from recipes/demo.yaml.")
    for override in overrides:
        _apply(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_all_faults(path, error), "Correct these keys, or the --set that gave them.") from error


def fingerprint(*parts: Any) -> str:
    """Sixteen hex digits of the SHA-256 of ``parts`` as canonical JSON, with the schema version.

    Equal settings give an equal fingerprint on every machine; any change of any value gives another.
    """
    text = json.dumps([SCHEMA_VERSION, *parts], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or "/" in name_or_path:
        if path.is_file():
            return path
        raise RecipeError(f"There is no recipe at {path}.", f"Known by name: {_known()}.")
    if (RECIPES / f"{name_or_path}.yaml").is_file():
        return RECIPES / f"{name_or_path}.yaml"
    raise RecipeError(
        f"There is no recipe called {name_or_path!r}.",
        f"Known: {_known()}; or give the path of a .yaml file.",
    )


def _known() -> str:
    return ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {override!r} isn't of the form key.path=value.", "As in stage2.window.frames=64.")
    *folders, last = key.split(".")
    for folder in folders:
        values = values.setdefault(folder, {})
        if not isinstance(values, dict):
            raise RecipeError(f"--set {override!r}: {folder} is a value, not a section.", "Check the key's path.")
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override!r}: the value isn't valid YAML.", "Put it in quotes.") from error


def _all_faults(path: Path, error: ValidationError) -> str:
    lines = [f"{path} has {error.error_count()} fault(s):"]
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or "the recipe as a whole"
        value = "" if fault["type"] in {"missing", "extra_forbidden"} else f" (it is {fault['input']!r})"
        message = {
            "extra_forbidden": "isn't a setting of this version",
            "missing": "is required",
        }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        lines.append(f"  {key}: {message}{value}")
    return "\n".join(lines) + "\n"
