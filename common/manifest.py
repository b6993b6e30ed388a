"""The clips of a data set and their splits.

`Clip` is what a data set says there is. `Manifest` (``runs/<RUN>/manifest.json``) is what stage 1 made of it, and all
that stages 2 and 3 know of the data: clips, splits, and where the features lie.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from common.errors import CacheError, DataError
from common.files import safe_name
from common.outside_text import first_fault, shortened
from common.reasons import in_a_line
from common.recipe import fingerprint
from common.schema import SCHEMA_VERSION, Split
from common.sealed import read_sealed, write_sealed

MANIFEST = "manifest.json"

#: How a data set is split: so that nothing that is scored was seen, or as the published classifier did it.
Protocol = Literal["honest", "published"]

#: Read from a file, it has no keys but these.
_EXACTLY = ConfigDict(extra="forbid")

#: Marks what comes of the published protocol where there is no room for its remark.
LEAKS = "LEAKING: copies of test rows in training"


@dataclass(frozen=True)
class Utterance:
    """One row of a clip that is a dialogue: what is said, by whom, and its labels, None where not annotated.

    Attributes
    ----------
    text : str
        Empty where the data set has none for this row.
    valence, arousal : float or None
        In [-1, 1].
    emotion : int or None
        Index of its class in the data set's ``classes``.
    speaker : str
    row : int or None
        Its row in the table of features that the data set brings.
    video : Path or None
        The video of this utterance alone.
    """

    text: str
    valence: float | None = None
    arousal: float | None = None
    emotion: int | None = None
    speaker: str = ""
    row: int | None = None
    video: Path | None = None


@dataclass(frozen=True)
class Clip:
    """One clip of a data set.

    Attributes
    ----------
    id : str
    source : Path
        Its video; the folder of its ready crops where there is no video; the table that its utterances are from.
    split : Split
    annotation : Path or None
        File of labels, one row a frame.
    crops : Path or None
        Folder of ready crops: ``00001.jpg`` is the first frame's face.
    side : {"left", "right"} or None
        Which of the two people in the video the clip is about, where its name says so.
    utterances : tuple of Utterance
        The rows of a clip that is a dialogue, or a single sentence, in order. Empty for a video, whose rows are frames.
    group : str
        What must stay apart besides: the recording session. Empty where the data set names none.
    """

    id: str
    source: Path
    split: Split
    annotation: Path | None = None
    crops: Path | None = None
    side: Literal["left", "right"] | None = None
    utterances: tuple[Utterance, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class CachedClip:
    """One clip as stage 1 left it in the cache.

    ``content`` is a fingerprint of all that shaped the file: source, transcript, labels, settings. ``video`` is one of
    the video, or of its ready crops, and of which person in it, whatever they are called; of a dialogue, one of
    all that is known of its utterances but their labels; empty for a single sentence. ``group`` is that of `Clip`.
    """

    __pydantic_config__: ClassVar = _EXACTLY

    id: str
    split: Split
    source: str
    frames: int
    labelled: bool
    content: str
    video: str = ""
    group: str = ""


@dataclass(frozen=True)
class Failure:
    """A clip that could not be done, why, and what to do."""

    __pydantic_config__: ClassVar = _EXACTLY

    id: str
    problem: str
    cure: str


@dataclass(frozen=True)
class Manifest:
    """What stage 1 made of a data set.

    ``folder`` is where the clip files lie, relative to the cache. ``encoders`` says for each modality which
    network made it, at which revision or hash, and how wide it is. ``remarks`` are sentences that every later output
    repeats, such as that the encoders are miniatures with random weights. ``rows`` says what a row of a clip is;
    ``classes`` names the emotions that ``/label/emotion`` counts, none where labels are valence and arousal.
    ``videos`` is of utterances that have a video each: the ``folder`` of those clips, and their ``clips`` by id with
    their content. ``made_of`` is of refined features alone: as by the function of that name, what they were made of.
    """

    __pydantic_config__: ClassVar = _EXACTLY

    data: str
    data_kind: str
    folder: str
    fingerprints: dict[str, str]
    encoders: dict[str, dict[str, Any]]
    clips: tuple[CachedClip, ...]
    failures: tuple[Failure, ...] = ()
    remarks: tuple[str, ...] = ()
    rows: Literal["frames", "utterances"] = "frames"
    classes: tuple[str, ...] = ()
    protocol: Protocol = "honest"
    videos: dict[str, Any] = field(default_factory=dict)
    made_of: str = ""
    schema_version: int = field(default=SCHEMA_VERSION)

    def of(self, *splits: Split) -> list[CachedClip]:
        """The clips of these splits, in the manifest's order."""
        return [clip for clip in self.clips if clip.split in splits]


def made_of(features: Manifest, weights_sha256: str) -> str:
    """A fingerprint of what refined features are made of: the clips of ``features``, and the weights of the fusion."""
    clips = [(clip.id, clip.split, clip.content) for clip in features.clips]
    return fingerprint("made of", weights_sha256, clips)


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write ``manifest.json`` into ``folder``, whole or not at all."""
    path = folder / MANIFEST
    write_sealed(path, asdict(manifest))
    return path


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json`` of a run.

    Raises
    ------
    CacheError
        If there is none, or it isn't one this program wrote.
    """
    path = folder / MANIFEST
    cure = "Run `make embeddings` with this RUN first."
    if not path.is_file():
        raise CacheError(f"There is no {path}.", cure)
    try:
        values = read_sealed(path, cure=cure)
        if not isinstance(values, dict) or "schema_version" not in values:
            raise ValueError("it names no schema version")
        if (version := values["schema_version"]) != SCHEMA_VERSION:
            raise CacheError(f"{path} has schema version {shortened(version)}, not {SCHEMA_VERSION}.", cure)
        manifest = _as_manifest().validate_python(values)
        _check_places(manifest)
        return manifest
    except DataError as error:
        raise CacheError(f"{path} names what no run of this program does: {error.problem}", cure) from error
    except ValidationError as error:
        raise CacheError(f"{path} isn't a manifest of this program ({first_fault(error)}).", cure) from error
    except ValueError as error:
        raise CacheError(f"{path} isn't a manifest of this program ({in_a_line(error)}).", cure) from error


@functools.cache
def _as_manifest() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


def _check_places(manifest: Manifest) -> None:
    """That no folder or clip of a manifest is a way out of the cache: a manifest may be a stranger's."""
    videos = manifest.videos
    for folder in (manifest.folder, *([str(videos["folder"])] if videos else [])):
        if not folder or folder.startswith("/"):
            raise DataError(f"{shortened(folder)} is no folder of a cache.", "")
        for part in folder.split("/"):
            safe_name(part, Path(folder))
    for name in (*(clip.id for clip in manifest.clips), *videos.get("clips", ())):
        safe_name(name, Path(name))
