"""Views of videos, made up for tests of what is drawn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from common.listening import Listening
from common.polar import to_polar
from common.words import Word
from stage3_mlp.predictions import ClipPrediction
from stage3_mlp.views.view import Track, VideoView

PATHS = (
    "audio->visual",
    "text->visual",
    "visual->audio",
    "text->audio",
    "visual->text",
    "audio->text",
)
PROVENANCE = {
    "commit": "abc123",
    "versions": {"python": "3.11", "torch": "2.13.0"},
    "command": "python -m stage3_mlp predict --run 'runs/<demo>'",
    "machine": "Linux x86_64",
    "time": "2026-01-02T03:04:05+00:00",
}


def track(
    name: str = "talk",
    frames: int = 100,
    *,
    rate_hz: float = 25.0,
    start_s: float = 0.0,
    labels: bool = False,
    listening: bool = False,
    phase: float = 0.0,
    x_px: float = 20.0,
) -> Track:
    """A face that moves to the right and whose mood goes round; no face in its third fifth, words later."""
    time_s = start_s + np.arange(frames) / rate_hz
    turn = 2 * np.pi * np.arange(frames) / max(frames, 2) + phase
    values = np.stack([0.7 * np.cos(turn), 0.6 * np.sin(turn) + 0.1 * np.sin(9 * turn)], axis=1).astype(np.float32)
    intensity, theta = to_polar(*values.T)
    fifth = np.arange(frames) * 5 // max(frames, 1)
    face = fifth != 2
    box = np.stack(
        [x_px + 0.2 * np.arange(frames) % 40, np.full(frames, 10.0), np.full(frames, 24.0), np.full(frames, 28.0)]
    )
    rng = np.random.default_rng(0)
    heard = None
    if listening:
        strength = (rng.random((frames, 6)) * np.abs(np.sin(turn))[:, None] * np.arange(1, 7)).astype(np.float32)
        strength[~face, :2] = np.nan
        heard = Listening(PATHS, strength, np.where(np.isnan(strength), np.nan, 2 * strength).astype(np.float32))
    prediction = ClipPrediction(
        name,
        time_s,
        values,
        intensity.astype(np.float32),
        theta.astype(np.float32),
        (values * 0.8 + 0.1 if labels else np.full_like(values, np.nan)).astype(np.float32),
        {"visual": face, "audio": np.ones(frames, bool), "text": np.arange(frames) >= frames / 2},
    )
    return Track(prediction, np.where(face[:, None], box.T, np.nan).astype(np.float32), heard)


def view(*tracks: Track, name: str = "talk", words: tuple[Word, ...] = ()) -> VideoView:
    return VideoView(name, None, tracks or (track(),), words)


def spoken(text: str, seconds: float, start_s: float = 0.0) -> tuple[Word, ...]:
    """Words of equal length over so many seconds, each said for four fifths of its time; they begin between frames."""
    pieces = text.split()
    step_s = seconds / len(pieces)
    starts_s = [start_s + 0.005 + i * step_s for i in range(len(pieces))]
    return tuple(Word(piece, at_s, at_s + 0.8 * step_s) for piece, at_s in zip(pieces, starts_s, strict=True))


def written(path: Path, shown: VideoView, **given: Any) -> str:
    """The text of the page of a view."""
    from stage3_mlp.views.clip.page import write_clip_page

    settings: dict[str, Any] = {"remarks": [], "provenance": PROVENANCE, "csv": b"clip\n", "media": None, **given}
    write_clip_page(path, shown, **settings)
    return path.read_text(encoding="utf-8")
