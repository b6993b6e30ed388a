"""Clips that come as text: a row is an utterance instead of a frame, and there are no faces and no sound.

They enter the cache by the same file as a video: ``/time_s`` is the order of the utterances (0, 1, 2, ...), each is one
entry of ``/words``, visual and audio are absent from every row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from common.manifest import Utterance
from common.rows import Array, Arrays
from common.schema import (
    AROUSAL,
    FACE_BOX,
    FACE_LANDMARKS,
    FACE_SCORE,
    FEATURE_DTYPE,
    LANDMARKS,
    TIME,
    VALENCE,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    Modality,
    present,
)
from stage1_embeddings.batches import Features
from stage1_embeddings.onclock import Absent
from stage1_embeddings.tools import Tools

if TYPE_CHECKING:
    from stage1_embeddings.encoders.text import TextEncoder

#: Utterances gathered before the text encoder is asked; each clip among them holds a lock, an open file.
GATHERED = 256


class Gathered:
    """The text encoder as `batches.Batches` wants it: many utterances at once, which it sorts by length."""

    batch_size = GATHERED

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    def __call__(self, texts: npt.NDArray[np.object_]) -> Features:
        return self._encoder.whole(texts.tolist())


class UtterancesInHand:
    """Everything of one such clip between its first row and its file.

    Parameters
    ----------
    carried : arrays or None
        What the cache holds of its text already.
    """

    #: What a video has in hand besides.
    picture = None
    heard = None

    def __init__(self, utterances: tuple[Utterance, ...], tools: Tools, carried: Arrays | None) -> None:
        self._utterances = utterances
        self._tools = tools
        self._carried = carried
        self._features: list[Features] = []

    @property
    def texts(self) -> npt.NDArray[np.object_]:
        """(N,) str, what is still to be encoded."""
        missing = [] if self._carried is not None else [utterance.text for utterance in self._utterances]
        return np.array(missing, dtype=object)

    def deliver(self, features: Features) -> None:
        """Take the features of the next utterances."""
        self._features.append(features)

    @property
    def complete(self) -> bool:
        return self._carried is not None or sum(map(len, self._features)) == len(self._utterances)

    def arrays(self, name: str) -> Arrays:
        """Of the clip as a whole: ``name`` is what messages call it."""
        rows = len(self._utterances)
        time_s = np.arange(rows, dtype=np.float64)
        arrays: Arrays = {
            TIME: time_s,
            FACE_BOX: np.full((rows, 4), np.nan, dtype=np.float32),
            FACE_LANDMARKS: np.full((rows, LANDMARKS, 2), np.nan, dtype=np.float32),
            FACE_SCORE: np.full(rows, np.nan, dtype=np.float32),
        }
        absent: tuple[Modality, ...] = ("visual", "audio")
        for modality in absent:
            nothing = Absent(rows, self._tools.width(modality))
            arrays |= {modality: nothing, present(modality): nothing.mask}
        return arrays | (self._text(time_s) if self._carried is None else self._carried) | self._labels()

    def close(self) -> None:
        self._features.clear()

    def _text(self, time_s: Array) -> Arrays:
        return {
            "text": np.concatenate(self._features).astype(FEATURE_DTYPE),
            present("text"): np.ones(len(time_s), dtype=np.bool_),
            WORD_TEXT: [utterance.text for utterance in self._utterances],
            WORD_START: time_s,
            WORD_END: time_s + 1,
        }

    def _labels(self) -> Arrays:
        """(N,) float32 each; NaN where a row has none, and no datasets where none has."""
        values = np.array([(one.valence, one.arousal) for one in self._utterances], dtype=np.float32)  # None is NaN
        if np.isnan(values).all():
            return {}
        return {VALENCE: values[:, 0].copy(), AROUSAL: values[:, 1].copy()}
