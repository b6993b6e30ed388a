"""Which pretrained BEiT a fusion's settings name."""

from __future__ import annotations

from common.models import Pretrained, find
from common.recipe import Fusion, TextGuided


def pretrained_beit(fusion: Fusion | TextGuided) -> Pretrained | None:
    """The BEiT that the blocks start from; None where they start fresh. Errors as in `common.models.find`."""
    if isinstance(fusion, TextGuided) or fusion.beit_model is None:
        return None
    return find(fusion.beit_model, fusion.beit_revision, "stage2.fusion.beit_model")
