"""A clip in hand: events of its decoding come in, rows of its file come out.

What is long (features, sound) goes through temporary files, so that an hour needs no more memory than a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from common.errors import MediaError
from common.rows import Arrays, Part
from common.schema import (
    TIME,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    Modality,
)
from stage1_embeddings.events import Array, Ended, Frames, Sound
from stage1_embeddings.hearing import Hearing, text_arrays
from stage1_embeddings.picture import Picture
from stage1_embeddings.tools import Tools
from stage1_embeddings.transcript import Transcript

if TYPE_CHECKING:
    pass


@dataclass
class ClipInHand:
    """Everything of one clip between its first event and its file.

    Attributes
    ----------
    carried : modality to arrays
        What the cache holds of it already.
    beside : Transcript or None
        The words that lie beside it; they win over recognition.
    """

    tools: Tools
    carried: Mapping[Modality, Arrays]
    beside: Transcript | None
    picture: Picture | None
    hearing: Hearing | None
    ended: bool = False

    def take(self, event: Frames | Sound | Ended) -> None:
        if isinstance(event, Frames):
            assert self.picture is not None
            self.picture.add(event)
        elif isinstance(event, Sound):
            assert self.hearing is not None
            self.hearing.add(event.block)
        else:
            if self.hearing is not None:
                self.hearing.end()
            self.ended = True

    @property
    def complete(self) -> bool:
        return self.ended and (self.picture is None or self.picture.complete)

    @property
    def heard(self) -> Transcript | None:
        if self.beside is not None:
            return self.beside
        return self.hearing.heard if self.hearing is not None else None

    def arrays(self, name: str) -> Arrays:
        """Of the clip ``name`` as a whole.

        Raises
        ------
        MediaError
            If it has no frame.
        """
        arrays = self.picture.arrays() if self.picture is not None else dict(self.carried["visual"])
        time_s = self._time_s(arrays, name)
        return arrays | self._sound(time_s) | self._words(time_s)

    def tracks(self, name: str, min_track_s: float) -> dict[str, Arrays]:
        """For each face track of the clip that is long enough, its own clip: ``name.face1`` and so on.

        Raises
        ------
        MediaError
            If there is no such track.
        """
        assert self.picture is not None
        time_s = self._time_s({TIME: self.picture.time_s}, name)
        beside = self._sound(time_s) | self._words(time_s)
        words = {key: beside.pop(key) for key in (WORD_TEXT, WORD_START, WORD_END)}
        found = {}
        for number, (first, stop, arrays) in self.picture.tracks(min_track_s).items():
            found[f"{name}.face{number}"] = (
                arrays
                | words
                | {
                    key: rows[first:stop] if isinstance(rows, np.ndarray) else Part(rows, first, stop)
                    for key, rows in beside.items()
                    if not isinstance(rows, list)
                }
            )
        if not found:
            raise MediaError(
                f"{name} has no face that can be followed for {min_track_s:g} s.",
                "Lower faces.min_track_s, or take faces.policy: largest, which keeps clips without a face.",
            )
        return found

    def close(self) -> None:
        for part in (self.picture, self.hearing):
            if part is not None:
                part.close()

    def _time_s(self, arrays: Arrays, name: str) -> Array:
        rows = arrays[TIME]
        assert not isinstance(rows, list)
        time_s = rows if isinstance(rows, np.ndarray) else rows.read(0, rows.shape[0])
        if not len(time_s):
            raise MediaError(f"{name} has no frame.", "Check that it plays, or take it out of the data.")
        return time_s

    def _sound(self, time_s: Array) -> Arrays:
        if "audio" in self.carried:
            return dict(self.carried["audio"])
        assert self.hearing is not None
        return self.hearing.arrays(time_s)

    def _words(self, time_s: Array) -> Arrays:
        return dict(self.carried["text"]) if "text" in self.carried else text_arrays(self.heard, time_s, self.tools)
