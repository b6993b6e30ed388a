"""Clips that are dialogues, or single sentences: a row is an utterance, words and labels are there from the start.

They enter the cache by the same file as a video: ``/time_s`` is the order of the utterances (0, 1, 2, ...), each is
one entry of ``/words``. Text goes through the text encoder, unless the data set brings features of it; picture and
sound are what the data set brings (brought.py), or absent from every row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from common.manifest import Clip
from common.rows import Array, Arrays
from common.schema import (
    AROUSAL,
    EMOTION,
    EMOTION_DTYPE,
    FACE_BOX,
    FACE_LANDMARKS,
    FACE_SCORE,
    FEATURE_DTYPE,
    LANDMARKS,
    MODALITIES,
    NO_EMOTION,
    TIME,
    VALENCE,
    WORD_END,
    WORD_SPEAKER,
    WORD_START,
    WORD_TEXT,
    Modality,
    present,
)
from stage1_embeddings.batches import Features
from stage1_embeddings.brought import RowFeatures
from stage1_embeddings.encoders.resolve import GIVEN, NONE
from stage1_embeddings.onclock import Absent
from stage1_embeddings.tools import Tools

if TYPE_CHECKING:
    from stage1_embeddings.encoders.text import TextEncoder

#: Utterances gathered before the text encoder is asked; each clip among them is claimed meanwhile.
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
    brought : where features come from that the data set brings
    """

    #: What a video has in hand besides.
    picture = None
    heard = None

    def __init__(self, clip: Clip, tools: Tools, carried: Arrays | None, brought: RowFeatures | None) -> None:
        self._clip = clip
        self._tools = tools
        encoded = tools.settings.text.model not in (NONE, GIVEN)
        self._carried = carried if encoded else None
        self._brought = brought
        self._features: list[Features] = []
        self._said = np.array([encoded and bool(one.text.strip()) for one in clip.utterances], dtype=np.bool_)
        self._missing = 0 if self._carried is not None else int(self._said.sum())

    @property
    def texts(self) -> npt.NDArray[np.object_]:
        """(N,) str, what is still to be encoded; N is 0 where nothing is."""
        texts = np.array([utterance.text for utterance in self._clip.utterances], dtype=object)
        return texts[self._said] if self._missing else texts[:0]

    def deliver(self, features: Features) -> None:
        """Take the features of the next utterances."""
        self._features.append(features)

    @property
    def complete(self) -> bool:
        return sum(map(len, self._features)) == self._missing

    def arrays(self, name: str) -> Arrays:
        """Of the clip as a whole: ``name`` is what messages call it."""
        rows = len(self._clip.utterances)
        arrays: Arrays = {
            TIME: np.arange(rows, dtype=np.float64),
            FACE_BOX: np.full((rows, 4), np.nan, dtype=np.float32),
            FACE_LANDMARKS: np.full((rows, LANDMARKS, 2), np.nan, dtype=np.float32),
            FACE_SCORE: np.full(rows, np.nan, dtype=np.float32),
        }
        for modality in MODALITIES:
            arrays |= self._brought_rows(modality)
        if self._carried is not None:
            return arrays | self._carried | self._labels()
        return arrays | self._encoded() | self._words() | self._labels()

    def close(self) -> None:
        self._features.clear()

    def _brought_rows(self, modality: Modality) -> Arrays:
        """What the data set brings of a modality; absent throughout where it brings nothing."""
        if self._brought is not None and modality in self._brought.modalities:
            found = self._brought.rows(self._clip, modality)
            if found is not None:
                return dict(zip((modality, present(modality)), found, strict=True))
        nothing = Absent(len(self._clip.utterances), self._tools.width(modality))
        return {modality: nothing, present(modality): nothing.mask}

    def _encoded(self) -> Arrays:
        """Text features where something is said."""
        if not self._said.any():
            return {}
        encoded = np.concatenate(self._features)
        text = np.full((len(self._said), encoded.shape[1]), np.nan, dtype=FEATURE_DTYPE)
        text[self._said] = encoded
        return {"text": text, present("text"): self._said}

    def _words(self) -> Arrays:
        start = np.arange(len(self._clip.utterances), dtype=np.float64)
        words: Arrays = {
            WORD_TEXT: [utterance.text for utterance in self._clip.utterances],
            WORD_START: start,
            WORD_END: start + 1,
        }
        return words

    def _labels(self) -> Arrays:
        """Labels of a kind that any row has: (N,) float32, NaN where it has none; (N,) int16, -1 where it has none.

        With them, who speaks.
        """
        utterances = self._clip.utterances
        arrays: Arrays = {}
        values: Array = np.array([(one.valence, one.arousal) for one in utterances], dtype=np.float32)  # None is NaN
        if not np.isnan(values).all():
            arrays |= {VALENCE: values[:, 0].copy(), AROUSAL: values[:, 1].copy()}
        emotions = [NO_EMOTION if one.emotion is None else one.emotion for one in utterances]
        if any(emotion != NO_EMOTION for emotion in emotions):
            arrays[EMOTION] = np.array(emotions, dtype=EMOTION_DTYPE)
        if any(one.speaker for one in utterances):
            arrays[WORD_SPEAKER] = [one.speaker for one in utterances]
        return arrays
