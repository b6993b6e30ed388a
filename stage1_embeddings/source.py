"""What a clip is made from, and how it is recognised the next time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.files import sha256
from common.manifest import Clip, Utterance
from common.videos import Videos
from stage1_embeddings import transcript
from stage1_embeddings.brought import RowFeatures
from stage1_embeddings.cache_index.inputs import seen
from stage1_embeddings.faces import ready


@dataclass(frozen=True)
class Source:
    """The identity of a clip's inputs. Size and time of change spare hashing a video that is known.

    For ready crops without a video, these are the number of files and the folder's time of change, and ``sha256`` is
    that of ``crops_sha256``. For a clip that comes as text they are the number of its rows and 0; ``sha256`` is that of
    its texts, ``annotation_sha256`` that of its labels and ``features_sha256`` that of the features that the data set
    brings for it, whatever else is in their table. ``seen`` is what a look at the inputs showed before they were read.
    """

    sha256: str
    size: int
    mtime_ns: int
    crops_sha256: str
    crops_listing: str
    transcript: Path | None
    transcript_sha256: str | None
    annotation_sha256: str | None
    features_sha256: str = ""
    seen: str = ""


def source_of_video(
    clip: Clip,
    known: Mapping[str, Any],
    *,
    wants_crops: bool,
    videos: Videos | None = None,
    fetch: bool = True,
) -> Source:
    """The identity of a clip's video or ready crops, and of what lies beside them.

    Parameters
    ----------
    known : attributes of the clip's cached file; where size and time of change are the same, so is the video
    videos : how the data set's are read; by default they are files of this machine
    fetch : fetch a video that is behind an address and isn't known by its identity; else its ``sha256`` is empty

    Raises
    ------
    DataError
        If there is no video, and the recipe doesn't take ready crops.
    """
    place = clip.source
    if place.is_dir() and not wants_crops:
        raise DataError(f"{place} has ready crops only, no video.", "Set stage1.faces.detector: crops.")
    videos = videos or Videos()
    shown = "" if wants_crops or videos.remote else seen(clip)  # first: what changes from here on differs from it
    size, mtime_ns = videos.identity(place)
    if place.is_dir():
        size = len(list(place.iterdir()))
    same = (known.get("source_size"), known.get("source_mtime_ns")) == (size, mtime_ns)
    crops = listing = ""
    if wants_crops and clip.crops is not None:
        listing = ready.listing(clip.crops)
        crops = str(known["crops_sha256"]) if known.get("crops_listing") == listing else ready.content(clip.crops)
    beside = transcript.find_transcript(place)
    if same:
        content = str(known["source_sha256"])
    else:
        content = crops if place.is_dir() else videos.sha256(place, fetch=fetch)
    return Source(
        sha256=content,
        size=size,
        mtime_ns=mtime_ns,
        crops_sha256=crops,
        crops_listing=listing,
        transcript=beside,
        transcript_sha256=sha256(beside) if beside else None,
        annotation_sha256=sha256(clip.annotation) if clip.annotation else None,
        seen=shown,
    )


def source_of_utterances(clip: Clip, features: RowFeatures | None = None) -> Source:
    """The identity of a clip that comes as text: of its own rows, not of the table they are from.

    Parameters
    ----------
    features : what the data set brings for its utterances
    """

    def digest(values: list[Any]) -> str:
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()

    brought = features.identity(clip) if features is not None else ""
    return Source(
        sha256=digest([utterance.text for utterance in clip.utterances]),
        size=len(clip.utterances),
        mtime_ns=0,
        crops_sha256="",
        crops_listing="",
        transcript=None,
        transcript_sha256=None,
        annotation_sha256=digest([_labels(utterance) for utterance in clip.utterances]),
        features_sha256=digest([brought]) if brought else "",
    )


def _labels(utterance: Utterance) -> list[float | str | None]:
    """What is written beside the features of an utterance."""
    beside = [None if utterance.emotion is None else utterance.emotion, utterance.speaker or None]
    return [utterance.valence, utterance.arousal, *([] if beside == [None, None] else beside)]
