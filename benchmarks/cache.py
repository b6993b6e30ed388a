"""A clip's file in the cache: how many bytes a frame takes, and how fast it is written.

    python -m benchmarks.cache [--quick] [--json FILE]

Through the project's own writer, with all that a clip of a labelled video has: features of the paper's widths
(1024 + 768 + 768, float16) and their masks, times, labels, boxes, landmarks and scores of faces, two and a half words a
second with their times, checksums, and 3 KB of attributes that say how it came about. Beside it: one `.pt` file of
float32 per segment of 300 frames and modality, features alone; and the bare payload, two bytes a feature.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.alone import alone
from benchmarks.measure import in_turns, row
from benchmarks.row import Row
from benchmarks.window_sources import FRAMES as SEGMENT_FRAMES
from benchmarks.window_sources import WIDTHS
from common.errors import MavenError
from common.provenance import provenance
from common.recipe import load_recipe
from common.schema import (
    AROUSAL,
    FACE_BOX,
    FACE_LANDMARKS,
    FACE_SCORE,
    LANDMARKS,
    MODALITIES,
    TIME,
    VALENCE,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    present,
)
from common.store import read_clip, write_clip

RATE_HZ = 25
WORDS_HZ = 2.5
#: Times the payload that a clip's file may take.
MOST = 1.03
LENGTHS_S = {"10 s": 10, "60 s": 60, "10 min": 600}
OURS, SEGMENTS, PAYLOAD = "write_clip", ".pt per segment and modality, float32", "the features' bytes, tofile and fsync"

Arrays = dict[str, npt.NDArray[Any] | list[str]]


def rows(quick: bool, device: str) -> list[Row]:
    """``device`` is without meaning here."""
    turns = 3 if quick else 7
    lengths = list(LENGTHS_S.items())[: 2 if quick else None]
    return [one for name, length_s in lengths for one in measured(name, RATE_HZ * length_s, turns)]


def measured(length: str, frames: int, turns: int) -> list[Row]:
    """Bytes and speed for one clip."""
    arrays, about = clip_arrays(frames), attributes()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ways = {
            OURS: lambda: write_clip(root / "clip.h5", arrays, about),
            SEGMENTS: lambda: write_segments(root / "pt", arrays),
            PAYLOAD: lambda: write_payload(root / "payload.f16", arrays),
        }
        for way in ways.values():
            way()
        check(root, arrays)
        places = {OURS: root / "clip.h5", SEGMENTS: root / "pt", PAYLOAD: root / "payload.f16"}
        bytes_per_frame = {name: [size(path) / frames] * turns for name, path in places.items()}
        seconds = in_turns(ways, turns)
    what = f"a clip of {length}, {frames:,} frames"
    return [
        row(
            f"{what}: on disk",
            "bytes/frame",
            bytes_per_frame,
            ours=OURS,
            alternatives={SEGMENTS: None},
            limit=(PAYLOAD, 1 / MOST),
            note=f"besides features: {besides(arrays, frames)} bytes/frame of times, masks, labels, faces and words; "
            "the rest is attributes and HDF5.",
        ),
        row(
            f"{what}: written",
            "frames/s",
            seconds,
            ours=OURS,
            alternatives={SEGMENTS: None},
            limit=(PAYLOAD, None),
            work=frames,
            note="ours also computes checksums, reads the file back to validate it, and flushes it to disk as the "
            "payload is; torch.save flushes nothing.",
        ),
    ]


def clip_arrays(frames: int) -> Arrays:
    """All datasets of a clip of a labelled video; no face on 5 % of the frames, words on most."""
    rng = np.random.default_rng(0)
    time_s = np.arange(frames) / RATE_HZ
    seen = {"visual": rng.random(frames) > 0.05, "audio": np.ones(frames, np.bool_), "text": np.sin(time_s) > -0.8}
    arrays: Arrays = {TIME: time_s}
    for modality in MODALITIES:
        values = rng.standard_normal((frames, WIDTHS[modality]), dtype=np.float32).astype(np.float16)
        values[~seen[modality]] = np.nan
        arrays |= {modality: values, present(modality): seen[modality]}
    for name, shape in ((FACE_BOX, (4,)), (FACE_LANDMARKS, (LANDMARKS, 2)), (FACE_SCORE, ())):
        arrays[name] = rng.uniform(0, 300, (frames, *shape)).astype(np.float32)
    for name in (VALENCE, AROUSAL):
        arrays[name] = rng.uniform(-1, 1, frames).astype(np.float32)
    starts_s = np.arange(0, frames / RATE_HZ, 1 / WORDS_HZ)
    words = ("so", "then", "nobody", "really", "understood", "what", "she", "meant")
    arrays[WORD_TEXT] = [words[number % len(words)] for number in range(len(starts_s))]
    return arrays | {WORD_START: starts_s, WORD_END: starts_s + 0.3}


def attributes() -> dict[str, Any]:
    """As stage 1 writes them: source, settings, encoders, hashes, versions."""
    recipe = load_recipe("maven", ())
    encoder = {"model": "facebook/hubert-base-ls960", "revision": "0" * 40, "identity": f"sha256:{'0' * 64}"}
    hashes = ("annotation", "crops", "features", "source", "transcript")
    return {
        "clip": "clip",
        "content": "0" * 16,
        "frame_rate_hz": float(RATE_HZ),
        "provenance": provenance(),
        "settings": recipe.stage1.model_dump(mode="json"),
        "source_path": "/data/Aff-Wild2/videos/batch2/clip.mp4",
        "source_size": 0,
        "source_mtime_ns": 0,
        **{f"{name}_sha256": "0" * 64 for name in hashes},
        **{f"encoder_{modality}": encoder for modality in MODALITIES},
        **{f"fingerprint_{modality}": "0" * 16 for modality in MODALITIES},
    }


def write_segments(folder: Path, arrays: Mapping[str, Any]) -> None:
    """What is published keeps features as: a tensor of float32 in a file, for each segment and modality."""
    import torch

    folder.mkdir(exist_ok=True)
    for start in range(0, len(arrays[TIME]), SEGMENT_FRAMES):
        for modality in MODALITIES:
            segment = torch.from_numpy(arrays[modality][start : start + SEGMENT_FRAMES].astype(np.float32))
            torch.save(segment, folder / f"{start // SEGMENT_FRAMES}-{modality}.pt")


def write_payload(path: Path, arrays: Mapping[str, Any]) -> None:
    """The features' bytes and nothing else, on the disk when it returns."""
    with path.open("wb") as file:
        for modality in MODALITIES:
            arrays[modality].tofile(file)
        file.flush()
        os.fsync(file.fileno())


def check(root: Path, arrays: Mapping[str, Any]) -> None:
    """What was written reads back as it was, from all three.

    Raises
    ------
    MavenError
        If it doesn't.
    """
    import torch

    stored = read_clip(root / "clip.h5")
    wrong = [name for name, values in arrays.items() if not _same(stored[name], values)]
    payload = np.fromfile(root / "payload.f16", np.float16)
    if not _same(payload, np.concatenate([arrays[modality].ravel() for modality in MODALITIES])):
        wrong.append("the payload")
    for modality in MODALITIES:
        parts = range(-(-len(arrays[TIME]) // SEGMENT_FRAMES))
        segments = [torch.load(root / "pt" / f"{part}-{modality}.pt", weights_only=True) for part in parts]
        if not _same(torch.cat(segments).numpy(), arrays[modality].astype(np.float32)):
            wrong.append(f"the segments of {modality}")
    if wrong:
        raise MavenError(f"Not read as it was written: {', '.join(wrong)}.", "All three must keep the same features.")


def _same(stored: Any, values: Any) -> bool:
    """NaN is NaN; words are compared as they are."""
    return stored == values if isinstance(values, list) else np.array_equal(stored, values, equal_nan=True)


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.iterdir())


def besides(arrays: Mapping[str, Any], frames: int) -> int:
    """Bytes a frame of the numbers that aren't features, and of the words."""
    others = [values for name, values in arrays.items() if name not in MODALITIES]
    numbers = sum(values.nbytes for values in others if isinstance(values, np.ndarray))
    return round((numbers + sum(map(len, arrays[WORD_TEXT]))) / frames)


main = alone(rows)

if __name__ == "__main__":
    main()
