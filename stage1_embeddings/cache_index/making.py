"""Records from what a clip file says of itself and from what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stage1_embeddings.cache_index.record import Identity, Record
from stage1_embeddings.source import Source


def record_of(
    name: str, file: Identity, attributes: Mapping[str, Any], frames: int, *, labelled: bool, source: Source
) -> Record:
    """The record of a file whose attributes have just been read.

    Parameters
    ----------
    source : the clip's inputs as they are now, if the file was made from them; otherwise its content tells
    """
    content, pictured, features = (str(attributes.get(key, "")) for key in ("content", "pictured", "features_sha256"))
    rate_hz = float(attributes.get("frame_rate_hz", 0.0))
    record = Record(*file, "", name, frames, labelled, rate_hz, content, pictured, features)
    return made_from(record, source)


def made_from(record: Record, source: Source) -> Record:
    """The record with another look at its inputs."""
    return record._replace(
        source_sha256=source.sha256,
        source_size=source.size,
        source_mtime_ns=source.mtime_ns,
        crops_sha256=source.crops_sha256,
        crops_listing=source.crops_listing,
        transcript=source.transcript.name if source.transcript else "",
        seen=source.seen,
    )
