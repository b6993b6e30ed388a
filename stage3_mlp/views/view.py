"""A video and all that is known of it: what its page and its overlay are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.files import safe_name
from common.listening import Listening, read_listening
from common.manifest import Manifest
from common.schema import FACE_BOX, WORD_END, WORD_START, WORD_TEXT
from common.store import read_attributes, read_texts
from common.windows import CachedArrays
from common.words import Word
from stage3_mlp.predictions import ClipPrediction
from stage3_mlp.views.source import source_video


@dataclass(frozen=True)
class Track:
    """One person of a video: a clip of the cache.

    Attributes
    ----------
    prediction : on the clip's frames, which may be fewer than the video's
    box : (T, 4) float32
        x, y, width, height of the face in pixels of the upright frame; NaN without a face.
    listening : the attention of the six paths, where stage 2 was asked for it
    """

    prediction: ClipPrediction
    box: npt.NDArray[np.float32]
    listening: Listening | None = None


@dataclass(frozen=True)
class VideoView:
    """What is to be seen of one video.

    Attributes
    ----------
    name : str
        Any printable text: it comes from a stranger.
    source : Path or None
        The video, where it is still there and the same; None for ready crops without one.
    tracks : one or more; several where each face is a clip of its own
    words : in order of time
    missing : why the source isn't there, in a sentence; "" where there never was one
    """

    name: str
    source: Path | None
    tracks: tuple[Track, ...]
    words: tuple[Word, ...] = ()
    missing: str = ""


def video_views(
    cache: Path, run: Path, features: Manifest, fused: Manifest, predictions: Sequence[ClipPrediction]
) -> list[VideoView]:
    """The predicted clips of a run, grouped by the video they are of, in the order in which they come.

    Parameters
    ----------
    cache, run : where the clips lie, and where stage 2 writes its attention
    features, fused : the run's manifests of features and of refined features
    predictions : of some of their clips, whose rows are frames

    Raises
    ------
    CacheError
        If a clip's features aren't those that the manifest speaks of.
    """
    contents = {clip.id: clip.content for clip in fused.clips}
    clips = {clip.id: _Cached(cache / features.folder / f"{clip.id}.h5", clip.content) for clip in features.clips}
    groups: dict[str, list[ClipPrediction]] = {}
    for prediction in predictions:
        groups.setdefault(clips[prediction.clip].place, []).append(prediction)
    views = []
    for members in groups.values():
        cached = [clips[prediction.clip] for prediction in members]
        tracks = tuple(
            Track(prediction, clip.box(), read_listening(run, prediction.clip, contents[prediction.clip]))
            for prediction, clip in zip(members, cached, strict=True)
        )
        words = sorted({word for clip in cached for word in clip.words()}, key=lambda word: (word.start_s, word.end_s))
        source, missing = cached[0].source
        views.append(VideoView(cached[0].video, source, tracks, tuple(words), missing))
    return views


class _Cached:
    """A clip's file of features, read as far as it is drawn."""

    def __init__(self, path: Path, content: str) -> None:
        self._path = path
        self._content = content

    @cached_property
    def _attributes(self) -> dict[str, Any]:
        return read_attributes(self._path)

    @property
    def place(self) -> str:
        return str(self._attributes["source_path"])

    @property
    def source(self) -> tuple[Path | None, str]:
        return source_video(self._attributes)

    @property
    def video(self) -> str:
        """Names the folder of what is written about the video."""
        return safe_name(str(self._attributes["video"]), self._path)

    def box(self) -> npt.NDArray[np.float32]:
        return np.asarray(CachedArrays(self._path, self._content)[FACE_BOX], dtype=np.float32)

    def words(self) -> list[Word]:
        texts = read_texts(self._path).get(WORD_TEXT, [])
        if not texts:
            return []
        arrays = CachedArrays(self._path, self._content)
        spans = (arrays[name].tolist() for name in (WORD_START, WORD_END))
        return [Word(*values) for values in zip(texts, *spans, strict=True)]
