"""From a recipe to an untrained fusion of its kind, and from a trained one's recipe to its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from common.labels import loss_settings
from common.manifest import Manifest
from common.models import fetch
from common.processes import from_first
from common.recipe import Stage2
from common.schema import MODALITIES
from common.windows import FeatureWindows, feature_statistics
from stage2_beit.pretrained import pretrained_beit

if TYPE_CHECKING:
    from stage2_beit.finetune import Trainable


def model_class(settings: Stage2) -> Any:
    """The class of the models that ``stage2.fusion.kind`` and ``stage2.finetune_text`` name."""
    if settings.finetune_text:
        from stage2_beit.finetune import FineTunedModel

        return FineTunedModel
    if settings.fusion.kind == "text-guided":
        from stage2_beit.text_guided import TextGuidedModel

        return TextGuidedModel
    from stage2_beit.model import FusionModel

    return FusionModel


def build_model(
    settings: Stage2,
    manifest: Manifest,
    data: FeatureWindows,
    counts: npt.NDArray[np.int64],
    text: Trainable | None = None,
) -> Any:
    """An untrained fusion model for the widths of ``data``, standardised by its statistics.

    Parameters
    ----------
    counts : (K,) training rows of each class, for the weights of the loss; K is 0 for valence and arousal
    text : a text encoder that is to be trained too
    """
    fusion = settings.fusion
    widths = {f"{modality}_dim": data.arrays[0][modality].shape[1] for modality in MODALITIES}
    given = widths | loss_settings(settings.training, counts) | {"ccc_weight": settings.training.ccc_weight}
    if fusion.kind == "text-guided":
        from stage2_beit.text_guided import TextGuidedConfig, TextGuidedModel

        parts = manifest.encoders["audio"].get("parts") or {"audio": widths["audio_dim"]}
        chosen = fusion.model_dump(exclude={"kind", "standardise"})
        model: Any = TextGuidedModel(TextGuidedConfig(**given, **chosen, audio_parts=list(parts.values())))
    else:
        from stage2_beit.config import FusionConfig
        from stage2_beit.model import FusionModel

        ours = {"kind", "beit_model", "beit_revision", "standardise"}
        model = FusionModel(FusionConfig(**given, **fusion.model_dump(exclude=ours)))
        if (beit := pretrained_beit(fusion)) is not None:
            from stage2_beit.beit import load_beit_layers

            model.use_pretrained_layers(load_beit_layers(fetch(beit), fusion.beit_layers))
    if fusion.standardise:
        statistics = from_first(lambda: {modality: feature_statistics(data, modality) for modality in MODALITIES})
        model.set_statistics(statistics)
    if text is not None:
        from stage2_beit.finetune import FineTunedModel

        return FineTunedModel.starting_from(model, text)
    return model
