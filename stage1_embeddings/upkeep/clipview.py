"""One clip of the cache, looked at: found by its id, and read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import UsageError
from common.schema import (
    AROUSAL,
    EMOTION,
    FACE_BOX,
    FACE_LANDMARKS,
    MODALITIES,
    TIME,
    VALENCE,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    Modality,
    present,
)
from common.store import read_clip, read_locations
from common.timeline import frame_edges_s
from stage1_embeddings.upkeep.folders import FEATURES, Use, clip_files, folders, how_made
from stage1_embeddings.upkeep.status import names

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ClipView:
    """What one clip file holds, its features excepted.

    Attributes
    ----------
    attributes : as the file has them; ``source_path`` may be missing
    made : the log's line on it, or {}
    widths : modality to the width of its features
    time_s : (T,) float64
    present : modality to (T,) bool
    box : (T, 4) float32, landmarks : (T, 5, 2) float32
        NaN without a face.
    words : texts within the clip's time; their ``start_s`` and ``end_s`` are (W,) float64
    labels : (T, 2) float32, valence and arousal, or None
    emotions : (T,) int16, classes of utterances, -1 where not annotated, or None
    source : Path or None
        The video or folder it was made from, where that is still there, unchanged.
    """

    path: Path
    attributes: dict[str, Any]
    made: dict[str, Any]
    widths: dict[str, int]
    time_s: npt.NDArray[np.float64]
    present: dict[Modality, npt.NDArray[np.bool_]]
    box: Array
    landmarks: Array
    words: list[str]
    start_s: npt.NDArray[np.float64]
    end_s: npt.NDArray[np.float64]
    labels: Array | None
    emotions: Array | None
    source: Path | None

    @property
    def id(self) -> str:
        return self.path.stem

    @property
    def video(self) -> str:
        """The id of the video that the clip is, or is a face track of."""
        return str(self.attributes.get("video") or self.id)

    @property
    def of_utterances(self) -> bool:
        """Is a row an utterance, not a frame?"""
        return self.attributes.get("source_mtime_ns") == 0

    @property
    def edges_s(self) -> npt.NDArray[np.float64]:
        """(T + 1,) seconds: frame i is shown from the i-th to the next."""
        return frame_edges_s(self.time_s)


def find_clip(cache: Path, clip: str, folder: str | None = None) -> tuple[Path, list[Path]]:
    """The file of a clip, and those of the same clip in other folders of features, newest first.

    Parameters
    ----------
    folder : str, optional
        The beginning of the fingerprint that names the folder; the newest file where not given.

    Raises
    ------
    UsageError
        Where there is none: with the names that are nearest, or the folders that do hold it.
    """
    every = folders(cache, FEATURES)
    holding = [path for place in every if (path := place / f"{clip}.h5") in clip_files(place)]
    holding.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    if not holding:
        ids = sorted({path.stem for place in every for path in clip_files(place)})
        parts = [other for other in ids if clip.lower() in other.lower()]
        near = [*parts, *(name for name in difflib.get_close_matches(clip, ids, n=5, cutoff=0.5) if name not in parts)]
        listing = names(near) if near else f"none of its {len(ids)} clips has a name like it"
        raise UsageError(f"There is no clip {clip!r} in {cache}.", f"Nearest: {listing}.")
    if folder is None:
        return holding[0], holding[1:]
    wanted = [path for path in holding if path.parent.name.startswith(Path(folder).name)]
    if len(wanted) != 1:
        held = ", ".join(path.parent.name for path in holding)
        raise UsageError(f"--folder {folder} names {len(wanted)} of the folders with {clip!r}.", f"There are: {held}.")
    return wanted[0], [path for path in holding if path != wanted[0]]


def read_view(path: Path, named: Iterable[Use] = ()) -> ClipView:
    """Read a clip file, its features excepted; checksums of what is read are verified.

    Parameters
    ----------
    named : what runs name of the cache: where to look for the source
    """
    places, attributes = read_locations(path)
    wanted = [TIME, *map(present, MODALITIES), FACE_BOX, FACE_LANDMARKS]
    arrays = read_clip(path, (*wanted, WORD_TEXT, WORD_START, WORD_END))
    labels = read_clip(path, (VALENCE, AROUSAL)) if VALENCE in places else None
    time_s = np.asarray(arrays[TIME])
    texts, start_s, end_s = list(arrays[WORD_TEXT]), np.asarray(arrays[WORD_START]), np.asarray(arrays[WORD_END])
    edges = frame_edges_s(time_s)
    within = np.flatnonzero((end_s > edges[0]) & (start_s < edges[-1]))  # a face track's file has the whole video's
    return ClipView(
        path=path,
        attributes=attributes,
        made=how_made(path.parent, str(attributes.get("video") or path.stem)),
        widths={modality: places[modality].shape[1] for modality in MODALITIES if modality in places},
        time_s=time_s,
        present={modality: np.asarray(arrays[present(modality)]) for modality in MODALITIES},
        box=np.asarray(arrays[FACE_BOX]),
        landmarks=np.asarray(arrays[FACE_LANDMARKS]),
        words=[texts[index] for index in within],
        start_s=start_s[within],
        end_s=end_s[within],
        labels=None if labels is None else np.stack([labels[VALENCE], labels[AROUSAL]], axis=1),
        emotions=np.asarray(read_clip(path, (EMOTION,))[EMOTION]) if EMOTION in places else None,
        source=_source(path, attributes, named),
    )


def _source(path: Path, attributes: dict[str, Any], named: Iterable[Use]) -> Path | None:
    """The source, where it still lies at one of the places known for it, with its size and time of change."""
    candidates: list[Path] = []
    kept = attributes.get("source_path")
    if isinstance(kept, str) and kept:
        candidates.append(Path(kept))
    for use in named:
        root = Path(use.manifest.data)
        candidates += [Path(clip.source) for clip in use.manifest.clips if clip.id == path.stem]
        candidates += [root / str(kept)] if kept else []
    for candidate in candidates:
        if not candidate.exists():
            continue
        status = candidate.stat()
        size = len(list(candidate.iterdir())) if candidate.is_dir() else status.st_size
        if (size, status.st_mtime_ns) == (attributes.get("source_size"), attributes.get("source_mtime_ns")):
            return candidate
    return None
