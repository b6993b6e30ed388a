"""The contract: axes, modalities, and what one clip looks like in the cache. Described for people in cache/README.md.

Axes, used by every docstring of the project:

    B  batch (windows)          D  feature width of one modality
    T  frames                   E  embedding width inside the fusion
    H  attention heads          K  classes
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np

#: Goes up whenever the meaning of a cached number changes; part of every fingerprint.
SCHEMA_VERSION: Final = 1

Modality = Literal["visual", "audio", "text"]
MODALITIES: Final[tuple[Modality, ...]] = get_args(Modality)

Split = Literal["train", "validation", "test", "unsplit"]
SPLITS: Final[tuple[Split, ...]] = get_args(Split)

FEATURE_DTYPE: Final = np.float16
#: Of features that a data set brings: they may be of any size, and half precision ends at 65504.
GIVEN_DTYPE: Final = np.float32
REFINED_DTYPE: Final = np.float32
EMOTION_DTYPE: Final = np.int16

TIME: Final = "time_s"
PRESENT: Final = "present"
FACE_BOX: Final = "face/box"
FACE_LANDMARKS: Final = "face/landmarks"
FACE_SCORE: Final = "face/score"
CROP_PNG: Final = "crops/png"
CROP_END: Final = "crops/end"
CROP_FRAME: Final = "crops/frame"
CROP_TRACK: Final = "crops/track"
WORD_TEXT: Final = "words/text"
WORD_START: Final = "words/start_s"
WORD_END: Final = "words/end_s"
WORD_SPEAKER: Final = "words/speaker"
VALENCE: Final = "label/valence"
AROUSAL: Final = "label/arousal"
EMOTION: Final = "label/emotion"
REFINED: Final = "refined"

#: YuNet's order, from the viewer's side: left eye, right eye, nose tip, left and right corner of the mouth.
LANDMARKS: Final = 5

#: Aff-Wild2 writes -5 where a frame was not annotated; in the cache it is NaN.
NOT_ANNOTATED: Final = -5.0

#: The class of a row that was not annotated.
NO_EMOTION: Final = -1


def present(modality: Modality) -> str:
    """Name of the mask that says on which frames a modality has something behind it."""
    return f"{PRESENT}/{modality}"
