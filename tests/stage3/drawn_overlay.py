"""An overlay of a few frames, and what is found in its pixels."""

from __future__ import annotations

import numpy as np

from common.words import Word
from stage3_mlp.views.colours import LABELS, TRACKS
from stage3_mlp.views.overlay.overlay import Overlay
from stage3_mlp.views.overlay.panel import colour
from stage3_mlp.views.view import Track, VideoView
from tests.common.media_files import gray
from tests.stage3.predicted import predicted

WIDTH, HEIGHT = 640, 360
RATE_HZ = 25.0
BLUE, GREEN = (np.array(colour(code)) for code in TRACKS[:2])
ORANGE = np.array(colour(LABELS))


def track(values, labels=None, *, box=(200, 100, 80, 120), seen=None, name="clip") -> Track:
    values = np.asarray(values, np.float32)
    made = predicted(
        name, values, np.full_like(values, np.nan) if labels is None else labels, rate_hz=RATE_HZ, seen=seen
    )
    boxes = np.asarray(box, np.float32)
    return Track(made, np.tile(boxes, (len(values), 1)) if boxes.ndim == 1 else boxes)


def overlay(*tracks: Track, words: tuple[Word, ...] = (), size=(WIDTH, HEIGHT)) -> Overlay:
    return Overlay(VideoView("clip", None, tracks, words), *size)


def drawn(made: Overlay, frame: int, level: int = 128) -> np.ndarray:
    return made.draw(frame / RATE_HZ, gray(level, HEIGHT, WIDTH)).copy()


def like(image: np.ndarray, shade: np.ndarray, off: float = 40) -> np.ndarray:
    """(H, W) bool: which pixels have about this colour."""
    return np.abs(image.astype(float) - shade).max(axis=-1) < off


def middle(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    assert len(rows)
    return np.array([columns.mean(), rows.mean()])


def picture_of(made: Overlay, image: np.ndarray) -> np.ndarray:
    return made.place.picture.of(image)
