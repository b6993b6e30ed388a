"""What must be computed for a clip, and what the cache already holds. Loads no model."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import CacheError
from common.files import sha256
from common.manifest import Clip
from common.models import Pretrained
from common.recipe import Stage1, fingerprint
from common.schema import (
    AROUSAL,
    FACE_BOX,
    FACE_LANDMARKS,
    FACE_SCORE,
    MODALITIES,
    TIME,
    VALENCE,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    Modality,
    present,
)
from common.store import Array, read_attributes, read_clip, validate
from stage1_embeddings import transcript
from stage1_embeddings.encoders import audio, text, visual
from stage1_embeddings.encoders.resolve import resolve

#: Raise when faces are found or cut out differently.
FRONT_END_VERSION = 1

#: The datasets that belong together: computed together, carried over together.
GROUPS: dict[Modality, tuple[str, ...]] = {
    "visual": (TIME, "visual", present("visual"), FACE_BOX, FACE_LANDMARKS, FACE_SCORE),
    "audio": ("audio", present("audio")),
    "text": ("text", present("text"), WORD_TEXT, WORD_START, WORD_END),
}
LABELS = (VALENCE, AROUSAL)


@dataclass(frozen=True)
class Source:
    """The identity of a clip's inputs. Size and time of change spare hashing a video that is known."""

    video_sha256: str
    size: int
    mtime_ns: int
    transcript: Path | None
    transcript_sha256: str | None
    annotation_sha256: str | None


class FeaturePlan:
    """Fingerprints of stage 1's settings, and where the files they shape lie.

    Parameters
    ----------
    settings : the recipe's stage 1
    cache : the cache's root

    Attributes
    ----------
    fingerprints : modality to 16 hex digits
        Over everything that shapes that modality's numbers: settings, the encoder's identity, code versions.
    folder : ``cache/features/<fingerprint of the three>``
    """

    def __init__(self, settings: Stage1, cache: Path) -> None:
        self.settings = settings
        self.cache = cache
        self.resolved: dict[Modality, Pretrained] = {
            "visual": resolve(settings.visual, "visual", cache),
            "audio": resolve(settings.audio, "audio", cache),
            "text": resolve(settings.text, "text", cache),
        }
        parts: dict[Modality, list[Any]] = {
            "visual": [FRONT_END_VERSION, visual.CODE_VERSION, settings.faces.shaping(), settings.visual.shaping()],
            "audio": [audio.CODE_VERSION, settings.audio.shaping()],
            "text": [text.CODE_VERSION, settings.speech.shaping(), _recogniser(settings), settings.text.shaping()],
        }
        self.fingerprints = {
            modality: fingerprint(modality, self.resolved[modality].identity, *parts[modality])
            for modality in MODALITIES
        }
        self.folder = cache / "features" / fingerprint(self.fingerprints)

    def path(self, clip: Clip) -> Path:
        return self.folder / f"{clip.id}.h5"

    def content(self, source: Source) -> str:
        """Fingerprint of all that shapes one clip's file."""
        return fingerprint(self.fingerprints, source.video_sha256, source.transcript_sha256, source.annotation_sha256)

    def source(self, clip: Clip) -> Source:
        """Identify a clip's inputs, hashing the video only if it isn't known from the cached file."""
        status = clip.source.stat()
        known = _attributes_or_none(self.path(clip)) or {}
        if (known.get("source_size"), known.get("source_mtime_ns")) == (status.st_size, status.st_mtime_ns):
            video = str(known["source_sha256"])
        else:
            video = sha256(clip.source)
        beside = transcript.find_transcript(clip.source)
        return Source(
            video,
            status.st_size,
            status.st_mtime_ns,
            beside,
            sha256(beside) if beside else None,
            sha256(clip.annotation) if clip.annotation else None,
        )

    def is_done(self, clip: Clip, source: Source) -> bool:
        """Is the clip's file there, whole, and made by these settings from these inputs?

        Raises
        ------
        CacheError
            If a file is there but broken.
        """
        path = self.path(clip)
        if not path.exists() or read_attributes(path).get("content") != self.content(source):
            return False
        validate(path, deep=False)
        return True

    def carried(self, clip: Clip, source: Source) -> dict[Modality, dict[str, Array | list[str]]]:
        """What other cache files already hold of this clip, made from the same inputs by the same settings."""
        found: dict[Modality, dict[str, Array | list[str]]] = {}
        for path in self._candidates(clip):
            attributes = _attributes_or_none(path)
            if attributes is None or attributes.get("source_sha256") != source.video_sha256:
                continue
            for modality in MODALITIES:
                if modality not in found and self._same(modality, attributes, source):
                    with contextlib.suppress(CacheError):  # damaged: nothing to carry over, it is computed again
                        found[modality] = read_clip(path, GROUPS[modality])
        return found

    def _candidates(self, clip: Clip) -> list[Path]:
        others = sorted((self.cache / "features").glob("*/"))
        return [path for folder in [self.folder, *others] if (path := folder / f"{clip.id}.h5").is_file()]

    def _same(self, modality: Modality, attributes: Mapping[str, Any], source: Source) -> bool:
        if attributes.get(f"fingerprint_{modality}") != self.fingerprints[modality]:
            return False
        return modality != "text" or attributes.get("transcript_sha256", "") == (source.transcript_sha256 or "")


def _recogniser(settings: Stage1) -> str | None:
    """The SHA-256 of a Whisper checkpoint given as a file; a known name stands for one checkpoint already."""
    path = Path(settings.speech.model).expanduser()
    return sha256(path) if settings.speech.recogniser != "none" and path.is_file() else None


def _attributes_or_none(path: Path) -> dict[str, Any] | None:
    """A broken or foreign file holds nothing to carry over; `FeaturePlan.is_done` is where it is reported."""
    try:
        return read_attributes(path)
    except CacheError:
        return None
