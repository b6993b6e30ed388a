"""From a clip in hand to its file, or its files where each face track is a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from common.datasets import affwild2
from common.files import write_json
from common.manifest import Clip
from common.provenance import provenance
from common.rows import Array, Arrays
from common.schema import AROUSAL, MODALITIES, TIME, VALENCE
from common.store import write_clip
from common.timeline import frame_rate_hz
from stage1_embeddings.clip import ClipInHand
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.source import Source
from stage1_embeddings.utterances import UtterancesInHand


@dataclass(frozen=True)
class Written:
    """The arrays of each file that was written, by its name; how labels were mended, if they were."""

    arrays: dict[str, Arrays]
    mended: str


def write_clips(
    clip: Clip, source: Source, hand: ClipInHand | UtterancesInHand, labels: Array | None, plan: FeaturePlan
) -> Written:
    """Write the file of a clip; under ``policy: all`` one per face track, then their index. Kept crops come first.

    Raises
    ------
    DataError
        If the labels don't fit the frames.
    MediaError
        If there is no frame, or no track.
    """
    faces, mended = plan.settings.faces, ""
    if faces.policy == "all" and isinstance(hand, ClipInHand):
        files = hand.tracks(clip.id, faces.min_track_s)
    else:
        files = {clip.id: hand.arrays(clip.id)}
    attributes = file_attributes(clip, source, plan)
    if clip.annotation is not None and labels is not None:
        frames = len(_times(files[clip.id]))
        fitted, remark = affwild2.fit_to_frames(labels, frames, clip.annotation)
        files[clip.id] |= {VALENCE: fitted[:, 0], AROUSAL: fitted[:, 1]}
        mended = remark or ""
    heard = hand.heard
    attributes |= {"mended": mended, "filtered": heard.filtered if heard is not None else 0}
    if hand.picture is not None and hand.picture.keeper is not None:
        kept = {
            "clip": clip.id,
            "content": plan.crops_content(clip, source),
            "source_path": plan.videos.place(clip.source),
        }
        hand.picture.keeper.write(plan.crops_path(clip), kept)
    for name, arrays in files.items():
        content = plan.part_content(clip, name, plan.content(clip, source))
        own = {
            "clip": name,
            "content": content,
            "frame_rate_hz": 0.0 if clip.utterances else frame_rate_hz(_times(arrays)),
        }
        write_clip(plan.folder / f"{name}.h5", arrays, attributes | own)
    if faces.policy == "all":
        identity = {key: attributes[key] for key in _IDENTITY}
        index = {"clips": list(files), "content": plan.content(clip, source), **identity}
        write_json(plan.index_path(clip), index)
    return Written(files, mended)


_IDENTITY = ("source_sha256", "source_size", "source_mtime_ns", "crops_sha256", "crops_listing")


def file_attributes(clip: Clip, source: Source, plan: FeaturePlan) -> dict[str, Any]:
    """What a clip's file says of itself, besides its name, content and rate."""
    return {
        "video": clip.id,
        "source": clip.source.name,
        "source_path": plan.videos.place(clip.source),
        "source_sha256": source.sha256,
        "source_size": source.size,
        "source_mtime_ns": source.mtime_ns,
        "crops_sha256": source.crops_sha256,
        "crops_listing": source.crops_listing,
        "pictured": plan.pictured(clip, source),
        "side": clip.side or "",
        "transcript": source.transcript.name if source.transcript else "",
        "transcript_sha256": source.transcript_sha256 or "",
        "annotation_sha256": source.annotation_sha256 or "",
        "features_sha256": source.features_sha256,
        **{f"fingerprint_{modality}": plan.fingerprints[modality] for modality in MODALITIES},
        **{f"encoder_{modality}": plan.describe(modality) for modality in MODALITIES},
        "settings": plan.settings.model_dump(mode="json"),
        "provenance": provenance(),
    }


def _times(arrays: Arrays) -> Array:
    rows = arrays[TIME]
    assert not isinstance(rows, list)
    return rows if isinstance(rows, np.ndarray) else rows.read(0, rows.shape[0])
