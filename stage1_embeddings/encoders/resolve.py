"""From an encoder's settings to the weights they name.

``miniature`` is a model that is made on the spot; ``none`` is none, for a modality that the data doesn't have;
``given`` is none either: the data set brings the features.
"""

from __future__ import annotations

from pathlib import Path

from common.models import Pretrained, find, in_folder
from common.recipe import Encoder, Stage1
from common.schema import MODALITIES, Modality
from stage1_embeddings.encoders.miniature import miniature_folder

MINIATURE = "miniature"
NONE = "none"
GIVEN = "given"


def resolve(encoder: Encoder, modality: Modality, cache: Path) -> Pretrained:
    """Find out which weights an encoder's settings name; errors as in `common.models.find`."""
    if encoder.model == MINIATURE:
        return in_folder(MINIATURE, miniature_folder(modality, cache))
    if encoder.model in (NONE, GIVEN) and encoder.revision is None:
        return Pretrained(encoder.model, None, None, encoder.model)
    return find(encoder.model, encoder.revision, f"stage1.{modality}")


def miniatures_are_made(settings: Stage1, cache: Path) -> bool:
    """Making them would load what computes; a recipe whose encoders aren't there has no clip that is done."""
    wanted = [name for name in MODALITIES if getattr(settings, name).model == MINIATURE]
    return all(any((cache / "models").glob(f"{MINIATURE}-{name}-*")) for name in wanted)
