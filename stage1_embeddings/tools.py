"""The face detector, the encoders and the recogniser of a run, each loaded when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from common.models import fetch
from common.schema import Modality
from stage1_embeddings.plan import FeaturePlan

if TYPE_CHECKING:
    from stage1_embeddings.encoders.audio import AudioEncoder
    from stage1_embeddings.encoders.text import TextEncoder
    from stage1_embeddings.encoders.visual import VisualEncoder
    from stage1_embeddings.faces import Detector
    from stage1_embeddings.speech import Recogniser


class Tools:
    """What a clip needs to be computed, on one device."""

    def __init__(self, plan: FeaturePlan, device: str) -> None:
        self.settings = plan.settings
        self._resolved = plan.resolved
        self._device = device

    def load(self, modalities: Sequence[Modality]) -> None:
        """Load what these modalities need, so that a model that can't be had is known before a video is decoded."""
        if "visual" in modalities:
            _ = self.detector, self.visual
        if "audio" in modalities:
            _ = self.audio
        if "text" in modalities:
            _ = self.text, self.recogniser

    @cached_property
    def detector(self) -> Detector:
        from stage1_embeddings.faces import detector, yunet_weights

        faces = self.settings.faces
        weights = yunet_weights(path=faces.weights) if faces.detector == "yunet" else None
        return detector(
            faces.detector, weights=weights, min_score=faces.min_score, detect_width_px=faces.detect_width_px
        )

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
        """Whisper, or None where the recipe wants no recognition."""
        speech = self.settings.speech
        if speech.recogniser == "none":
            return None
        from stage1_embeddings.speech import Recogniser

        return Recogniser(speech.model, language=speech.language, device=self._device)
