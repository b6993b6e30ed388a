"""The encoders and the recogniser of a run, each loaded when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from common.models import fetch
from common.schema import Modality
from stage1_embeddings.encoders.resolve import NONE
from stage1_embeddings.faces.yunet import yunet_weights
from stage1_embeddings.plan import FeaturePlan

if TYPE_CHECKING:
    from stage1_embeddings.encoders.audio import AudioEncoder
    from stage1_embeddings.encoders.text import TextEncoder
    from stage1_embeddings.encoders.visual import VisualEncoder
    from stage1_embeddings.speech.recogniser import Recogniser


#: Width of a modality that the recipe has no encoder for. Its rows are never there, but the fusion keeps a place for
#: them and splits it among attention heads: 48 suits any usual number of heads.
ABSENT_WIDTH = 48


class Tools:
    """What a clip needs to be computed, on one device."""

    def __init__(self, plan: FeaturePlan, device: str) -> None:
        self.settings = plan.settings
        self._resolved = plan.resolved
        self._scratch = plan.folder
        self._device = device

    def load(self, modalities: Sequence[Modality]) -> None:
        """Load what these modalities need, so that a model that can't be had is known before a video is decoded."""
        if "visual" in modalities:
            _ = self.visual
        if "audio" in modalities:
            _ = self.audio
        if "text" in modalities and self.settings.text.model != NONE:
            _ = self.text, self.recogniser

    def width(self, modality: Modality) -> int:
        """Width D of a modality's features, whether there are any or not."""
        if self._resolved[modality].model == NONE:
            return ABSENT_WIDTH
        encoder: VisualEncoder | AudioEncoder | TextEncoder = getattr(self, modality)
        return encoder.dim

    @property
    def scratch(self) -> Path:
        """Where rows on their way to the cache may lie: the disk they go to."""
        return self._scratch

    @cached_property
    def detector_weights(self) -> Path | None:
        """YuNet's file, fetched if need be; None for other detectors."""
        faces = self.settings.faces
        return yunet_weights(path=faces.weights) if faces.detector == "yunet" else None

    @cached_property
    def visual(self) -> VisualEncoder:
        from stage1_embeddings.encoders.visual import VisualEncoder

        return VisualEncoder(fetch(self._resolved["visual"]), self.settings.visual, self._device)

    @cached_property
    def audio(self) -> AudioEncoder:
        from stage1_embeddings.encoders.audio import AudioEncoder

        return AudioEncoder(fetch(self._resolved["audio"]), self.settings.audio, self._device)

    @cached_property
    def text(self) -> TextEncoder:
        from stage1_embeddings.encoders.text import TextEncoder

        return TextEncoder(fetch(self._resolved["text"]), self.settings.text, self._device)

    @cached_property
    def recogniser(self) -> Recogniser | None:
        """Speech recognition, or None where the recipe wants none."""
        if self.settings.speech.recogniser == "none":
            return None
        from stage1_embeddings.speech.recogniser import recogniser

        return recogniser(self.settings.speech, self._device)
