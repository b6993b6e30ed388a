"""What shapes each clip's file, and which files are done. Loads no model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.errors import CacheError, DataError
from common.files import safe_name, sha256
from common.json_lines import read_json
from common.manifest import CachedClip, Clip
from common.models import Pretrained
from common.recipe import Faces, Stage1, fingerprint
from common.schema import Modality
from common.store import read_attributes, read_summary
from common.videos import Videos
from stage1_embeddings.brought import Brought
from stage1_embeddings.cache_index.index import CacheIndex
from stage1_embeddings.cache_index.making import made_from, record_of
from stage1_embeddings.cache_index.record import Record
from stage1_embeddings.encoders import audio, text, visual
from stage1_embeddings.encoders.resolve import GIVEN, NONE, resolve
from stage1_embeddings.source import Source, source_of_utterances, source_of_video
from stage1_embeddings.speech.hallucinations import RULES_VERSION

#: Raise when faces are found or cut out differently.
FRONT_END_VERSION = 3


class FeaturePlan:
    """Fingerprints of stage 1's settings, and where the files they shape lie.

    Parameters
    ----------
    settings : the recipe's stage 1
    cache : the cache's root
    brought : what the data set brings for its utterances
    videos : how those of the data set are read

    Attributes
    ----------
    fingerprints : modality to 16 hex digits
        Over everything that shapes that modality's numbers: settings, the encoder's identity, code versions.
    folder : ``cache/features/<fingerprint of the three>``
    index : what is known of the files in it without opening them
    """

    def __init__(
        self, settings: Stage1, cache: Path, brought: Brought | None = None, videos: Videos | None = None
    ) -> None:
        self.settings = settings
        self.brought = brought or Brought()
        self.videos = videos or Videos()
        self.cache = cache
        self._front_end = [FRONT_END_VERSION, settings.faces.shaping()]
        self.resolved: dict[Modality, Pretrained] = {
            "visual": resolve(settings.visual, "visual", cache),
            "audio": resolve(settings.audio, "audio", cache),
            "text": resolve(settings.text, "text", cache),
        }
        self.resolved |= {
            modality: replace(self.resolved[modality], identity=f"{GIVEN}:{json.dumps(dict(parts))}")
            for modality, parts in self.brought.parts.items()
        }
        parts: dict[Modality, list[Any]] = {
            "visual": [*self._front_end, visual.CODE_VERSION, settings.visual.shaping()],
            "audio": [audio.CODE_VERSION, settings.audio.shaping()],
            "text": [text.CODE_VERSION, settings.speech.shaping(), *_recogniser(settings), settings.text.shaping()],
        }
        self.fingerprints = {
            modality: fingerprint(
                modality, found.identity, *(parts[modality] if found.model not in (NONE, GIVEN) else [])
            )
            for modality, found in self.resolved.items()
        }
        self.folder = cache / "features" / fingerprint(self.fingerprints)
        self.index = CacheIndex(self.folder)

    def path(self, clip: Clip) -> Path:
        return self.folder / f"{clip.id}.h5"

    def faces(self, clip: Clip) -> Faces:
        """The settings for a clip's faces; where its name says which of two people it is, that decides."""
        return self.settings.faces.model_copy(update={"policy": clip.side}) if clip.side else self.settings.faces

    def crops_path(self, clip: Clip) -> Path:
        """Where the clip's aligned crops are kept, if they are."""
        return self.cache / "crops" / fingerprint("crops", *self._front_end) / f"{clip.id}.h5"

    def content(self, clip: Clip, source: Source) -> str:
        """Fingerprint of all that shapes one clip's file."""
        brought = [source.features_sha256] if source.features_sha256 else []
        return fingerprint(
            self.fingerprints, self.pictured(clip, source), source.transcript_sha256, source.annotation_sha256, *brought
        )

    def describe(self, modality: Modality) -> dict[str, Any]:
        """What made a modality's features, for manifests and reports."""
        parts = self.brought.parts.get(modality)
        return self.resolved[modality].describe() | ({"parts": dict(parts)} if parts else {})

    def crops_content(self, clip: Clip, source: Source) -> str:
        """Fingerprint of all that shapes a clip's crops."""
        return fingerprint(self._front_end, self.pictured(clip, source))

    def source(self, clip: Clip, *, fetch: bool = True) -> Source:
        """Identify a clip's inputs, hashing its video and crops only if they aren't known from the cached file.

        Raises
        ------
        DataError
            As in `source_of_video`.
        """
        if clip.utterances:
            return source_of_utterances(clip, self.brought.features)
        record = self.index.fresh([clip.id]).get(clip.id)
        known = record.known() if record else attributes_or_none(self.path(clip))
        known = known or read_json(self.index_path(clip))
        crops = self.settings.faces.detector == "crops"
        return source_of_video(clip, known, wants_crops=crops, videos=self.videos, fetch=fetch)

    def done(self, clip: Clip, source: Source) -> list[CachedClip]:
        """The clip's files, where they are there, whole, and made by these settings from these inputs.

        One file, or with ``policy: all`` one per face track; nothing where something is missing.

        Raises
        ------
        CacheError
            If a file is there but broken.
        """
        content = self.content(clip, source)
        names = [clip.id]
        if self.settings.faces.policy == "all":
            index = read_json(self.index_path(clip))
            names = tracks_in(index) if index.get("content") == content else []
        records = self.index.fresh(names)
        entries = []
        for name in names:
            record = records.get(name)
            if record is None and not (self.folder / f"{name}.h5").exists():
                return []
            now = made_from(record, source) if record else self._read(name, source)
            if now.content != self.part_content(clip, name, content):
                return []
            if record != now:
                self.index.add(now)
            entries.append(now.entry(clip))
        return entries

    def entry(self, clip: Clip, name: str, source: Source) -> CachedClip:
        """What the manifest says of the file ``name`` of a clip, which was just made from ``source``."""
        record = self._read(name, source)
        if record.content == self.part_content(clip, name, self.content(clip, source)):
            self.index.add(record)
        return record.entry(clip)

    def _read(self, name: str, source: Source) -> Record:
        """A file's record, from the file."""
        before = self.index.identity(name) or (0, 0, 0)
        attributes, frames, labelled = read_summary(self.folder / f"{name}.h5")
        return record_of(name, before, attributes, frames, labelled=labelled, source=source)

    def part_content(self, clip: Clip, name: str, content: str) -> str:
        """The ``content`` of the file ``name``: that of the clip, or of one face track of it."""
        return content if name == clip.id else fingerprint(content, name)

    def index_path(self, clip: Clip) -> Path:
        """Lists the face tracks of a clip under ``policy: all``."""
        return self.folder / f"{clip.id}.tracks.json"

    def pictured(self, clip: Clip, source: Source) -> str:
        """Fingerprint of what gives a clip its frames and faces, and so its clock."""
        if clip.utterances:
            return fingerprint("utterances", text.WHOLE_VERSION, source.sha256)
        rows = [source.annotation_sha256, self.settings.faces.crops_rate_hz] if clip.source.is_dir() else []
        return fingerprint(source.sha256, source.crops_sha256, clip.side, *rows)


def tracks_in(index: Mapping[str, Any]) -> list[str]:
    """The clips that an index of face tracks names; none where one of them isn't a name in this folder."""
    try:
        return [safe_name(str(name), Path(str(name))) for name in index.get("clips", [])]
    except (DataError, TypeError):
        return []  # not this program's: it is computed again


def _recogniser(settings: Stage1) -> list[Any]:
    """What recognition is, besides its settings: rules, and the SHA-256 of a model given as a file or folder.

    A known name stands for one Whisper checkpoint already.
    """
    if settings.speech.recogniser == "none":
        return []
    path = Path(settings.speech.model).expanduser()
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [RULES_VERSION, sha256(*files) if path.exists() else None]


def attributes_or_none(path: Path) -> dict[str, Any] | None:
    """A broken or foreign file holds nothing to carry over; `FeaturePlan.done` is where it is reported."""
    try:
        return read_attributes(path)
    except CacheError:
        return None
