"""A small cache for tests of the commands that look after it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from click.testing import CliRunner, Result

from common import store
from common.command import StageGroup
from common.manifest import CachedClip, Manifest, write_manifest
from common.schema import (
    CROP_END,
    CROP_FRAME,
    CROP_PNG,
    FACE_BOX,
    FACE_LANDMARKS,
    FACE_SCORE,
    MODALITIES,
    TIME,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    present,
)
from stage1_embeddings.upkeep import cli
from tests.common.media_files import gray

ONE, TWO = "0123456789abcdef", "fedcba9876543210"


@click.group(cls=StageGroup)
def commands() -> None:
    """The four commands, as the stage's group has them."""


for command in (cli.status, cli.verify, cli.inspect, cli.prune):
    commands.add_command(command)


def call(cache: Path, *arguments: str) -> Result:
    name, *rest = arguments
    runs = [] if name == "verify" else ["--runs", str(cache.parent / "runs")]
    return CliRunner().invoke(commands, [name, *rest, "--cache", str(cache), *runs])


def arrays(frames: int = 8, words: tuple[str, ...] = ("grüße", "ja")) -> dict[str, Any]:
    """A clip at 25 frames/s; no face on the last quarter."""
    mask = np.arange(frames) < max(1, 3 * frames // 4)
    found: dict[str, Any] = {TIME: np.arange(frames) / 25}
    for width, modality in enumerate(MODALITIES, start=3):
        rows = np.full((frames, width), np.nan, dtype=np.float16)
        rows[mask] = 1
        found |= {modality: rows, present(modality): mask}
    box = np.where(mask[:, None], [10, 10, 30, 40], np.nan).astype(np.float32)
    marks = np.array([[18, 25], [32, 25], [25, 33], [20, 41], [30, 41]], dtype=np.float32)
    places = np.where(mask[:, None, None], marks, np.nan).astype(np.float32)
    starts = np.linspace(0, frames / 25, len(words), endpoint=False)
    found |= {FACE_BOX: box, FACE_LANDMARKS: places, FACE_SCORE: box[:, 0].copy()}
    return found | {WORD_TEXT: list(words), WORD_START: starts, WORD_END: starts + 0.01}


def put(cache: Path, clip: str, folder: str = f"features/{ONE}", frames: int = 8, **attributes: Any) -> Path:
    path = cache / folder / f"{clip}.h5"
    content = arrays(frames) if "arrays" not in attributes else attributes.pop("arrays")
    store.write_clip(path, content, {"clip": clip, "content": f"c-{clip}", "frame_rate_hz": 25.0, **attributes})
    return path


def name(cache: Path, run: str, *clips: str, folder: str = f"features/{ONE}") -> None:
    entries = tuple(CachedClip(clip, "train", f"{clip}.mp4", 8, False, f"c-{clip}") for clip in clips)
    write_manifest(cache.parent / "runs" / run, Manifest("data", "folder", folder, {}, {}, entries))


def age(cache: Path, days: float = 9) -> None:
    then = time.time() - days * 86_400
    for path in cache.rglob("*"):
        os.utime(path, (then, then), follow_symlinks=False)


def kept_crops(cache: Path, clip: str, frames: int, missing: int, level: int = 200) -> Path:
    """Crops of ``gray(level)`` for all frames but the last ``missing``."""
    png = cv2.imencode(".png", gray(level, 112, 112))[1].reshape(-1)
    faces = frames - missing
    content = arrays(frames)
    kept = {
        TIME: content[TIME],
        CROP_FRAME: np.arange(faces),
        "crops/track": np.zeros(faces, np.int64),
        CROP_END: len(png) * np.arange(1, faces + 1),
        CROP_PNG: np.tile(png, faces),
        **{key: content[key][:faces] for key in (FACE_BOX, FACE_LANDMARKS, FACE_SCORE)},
    }
    path = cache / "crops" / ONE / f"{clip}.h5"
    store.write_clip(path, kept, {"clip": clip, "content": "k"})
    return path
