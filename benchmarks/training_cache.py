"""A cache of random features of the paper's widths, with labels: what the benchmark of training reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from common.manifest import CachedClip, Manifest
from common.schema import AROUSAL, MODALITIES, TIME, VALENCE, present
from common.store import write_clip

WIDTHS = {"visual": 1024, "audio": 768, "text": 768}
RATE_HZ = 25
#: Part of the frames in which a modality is there.
_PRESENT = 0.95
_MOST_WINDOWS = 8


def labelled_cache(folder: Path, windows: int, frames: int) -> Manifest:
    """Clips of so many windows of ``frames`` frames altogether for training, and one window for validation."""
    random = np.random.default_rng(0)
    lengths = [frames]  # of the validation clip
    while windows:
        lengths.append(min(windows, _MOST_WINDOWS) * frames)
        windows -= min(windows, _MOST_WINDOWS)
    clips = []
    for number, length in enumerate(lengths):
        clip = CachedClip(f"clip{number}", "train" if number else "validation", "", length, True, "c")
        arrays: dict[str, Any] = {TIME: np.arange(length) / RATE_HZ}
        for modality in MODALITIES:
            there = random.random(length) < _PRESENT
            values = random.standard_normal((length, WIDTHS[modality]), dtype=np.float32)
            values[~there] = np.nan
            arrays |= {present(modality): there, modality: values.astype(np.float16)}
        arrays |= {name: random.uniform(-1, 1, length).astype(np.float32) for name in (VALENCE, AROUSAL)}
        write_clip(folder / "features" / f"{clip.id}.h5", arrays, {"content": clip.content})
        clips.append(clip)
    return Manifest("", "folder", "features", {}, {}, tuple(clips))
