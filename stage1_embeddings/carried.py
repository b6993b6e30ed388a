"""What the cache already holds of a clip: rows of modalities that no setting has changed, and crops that were kept."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import CacheError
from common.manifest import Clip
from common.rows import Array, Rows
from common.schema import (
    FACE_BOX,
    FACE_LANDMARKS,
    FACE_SCORE,
    MODALITIES,
    TIME,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    Modality,
    present,
)
from common.store import read_rows, validate
from stage1_embeddings.plan import FeaturePlan, attributes_or_none
from stage1_embeddings.source import Source

#: The datasets that belong together: computed together, carried over together.
GROUPS: dict[Modality, tuple[str, ...]] = {
    "visual": (TIME, "visual", present("visual"), FACE_BOX, FACE_LANDMARKS, FACE_SCORE),
    "audio": ("audio", present("audio")),
    "text": ("text", present("text"), WORD_TEXT, WORD_START, WORD_END),
}


def carried_over(plan: FeaturePlan, clip: Clip, source: Source) -> dict[Modality, dict[str, Rows | Array | list[str]]]:
    """What other cache files already hold of this clip, made from the same inputs by the same settings."""
    found: dict[Modality, dict[str, Rows | Array | list[str]]] = {}
    for path in _candidates(plan, clip):
        attributes = attributes_or_none(path)
        if attributes is None or attributes.get("pictured") != plan.pictured(clip, source):
            continue
        for modality in MODALITIES:
            if modality not in found and _same(plan, modality, attributes, source):
                with contextlib.suppress(CacheError):  # damaged: nothing to carry over, it is computed again
                    found[modality] = dict(read_rows(path, GROUPS[modality]))
    return found


def kept_crops(plan: FeaturePlan, clip: Clip, source: Source) -> Path | None:
    """The file of the clip's crops, if they were kept and are still right."""
    path = plan.crops_path(clip)
    attributes = attributes_or_none(path) or {}
    if attributes.get("content") != plan.crops_content(clip, source):
        return None
    try:
        validate(path)
    except CacheError:
        return None  # damaged: they are made, and kept, again
    return path


def _candidates(plan: FeaturePlan, clip: Clip) -> list[Path]:
    others = sorted((plan.cache / "features").glob("*/"))
    return [path for folder in [plan.folder, *others] if (path := folder / f"{clip.id}.h5").is_file()]


def _same(plan: FeaturePlan, modality: Modality, attributes: Mapping[str, Any], source: Source) -> bool:
    if attributes.get(f"fingerprint_{modality}") != plan.fingerprints[modality]:
        return False
    return modality != "text" or attributes.get("transcript_sha256", "") == (source.transcript_sha256 or "")
