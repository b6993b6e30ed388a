"""A run whose refined features are made up, for stage 3's benchmarks: as stages 1 and 2 leave one, head not trained.

    python -m benchmarks.scored_run FOLDER [--clips 200] [--frames 5000]

The test split has the clips; training a quarter as many, validation a fortieth, at least one each. Labels
are slow waves with noise, the refined features carry them among 768 random columns, so that a head finds something.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from common.files import write_json
from common.manifest import CachedClip, Manifest, write_manifest
from common.provenance import provenance
from common.schema import (
    AROUSAL,
    FACE_BOX,
    MODALITIES,
    REFINED,
    TIME,
    VALENCE,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    Split,
    present,
)
from common.store import write_clip

WIDTH = 768
RATE_HZ = 25
#: Columns of the features of stage 1, which stage 3 does not read: of the clips' files it takes words and faces.
_NARROW = 2


@dataclass(frozen=True)
class MadeRun:
    """Where it lies, and how many frames each split has."""

    cache: Path
    run: Path
    frames: dict[Split, int]


def make_run(folder: Path, *, clips: int, frames: int) -> MadeRun:
    """``folder/cache`` and ``folder/run``: features, refined features, both manifests, a fusion's record."""
    cache, run = folder / "cache", folder / "run"
    counts: dict[Split, int] = {"train": max(1, clips // 4), "validation": max(1, clips // 40), "test": clips}
    rng = np.random.default_rng(0)
    carrier = rng.standard_normal((2, WIDTH)).astype(np.float32)
    entries = []
    for split, count in counts.items():
        for number in range(count):
            entry = CachedClip(f"{split}{number:03}", split, "", frames, True, f"{split}{number}")
            _write(cache, entry, carrier, rng)
            entries.append(entry)
    features = Manifest("made up", "folder", "features/made", {}, {}, tuple(entries))
    write_manifest(run, features)
    write_manifest(run / "fused", replace(features, folder="fused/made"))
    history = [{"epoch": epoch, "loss": 1 / epoch, "eval_ccc_mean": 1 - 1 / epoch} for epoch in range(1, 4)]
    write_json(run / "fusion" / "record.json", {"history": history, "weights_sha256": "", **provenance()})
    return MadeRun(cache, run, {split: count * frames for split, count in counts.items()})


def _write(cache: Path, clip: CachedClip, carrier: Any, rng: np.random.Generator) -> None:
    """The two files of a clip."""
    frames = clip.frames
    time_s = np.arange(frames) / RATE_HZ
    waves = np.sin(time_s[:, None] * rng.uniform(0.05, 0.5, 2) + rng.uniform(0, 6, 2))
    labels = np.clip(0.6 * waves + rng.normal(0, 0.1, waves.shape), -1, 1).astype(np.float32)
    labels[rng.random(frames) < 0.002] = np.nan
    seen = {"visual": rng.random(frames) > 0.05, "audio": np.ones(frames, np.bool_), "text": np.sin(time_s) > -0.5}
    shared: dict[str, Any] = {TIME: time_s, VALENCE: labels[:, 0], AROUSAL: labels[:, 1]}
    shared |= {present(modality): seen[modality] for modality in MODALITIES}
    refined = rng.standard_normal((frames, WIDTH), dtype=np.float32)
    refined += np.nan_to_num(labels) @ carrier
    write_clip(cache / "fused" / "made" / f"{clip.id}.h5", {**shared, REFINED: refined}, {"content": clip.content})
    narrow = {m: np.where(seen[m][:, None], np.float16(1), np.float16("nan")) for m in MODALITIES}
    narrow = {m: np.repeat(column, _NARROW, axis=1) for m, column in narrow.items()}
    starts_s = time_s[:: RATE_HZ // 2].astype(np.float32)
    extract: dict[str, Any] = {
        **shared,
        **narrow,
        FACE_BOX: np.tile(np.float32([200, 100, 96, 96]), (frames, 1)),
        WORD_TEXT: [f"word{number % 500}" for number in range(len(starts_s))],
        WORD_START: starts_s,
        WORD_END: starts_s + np.float32(0.4),
    }
    source = {"source_path": f"{clip.id}.mp4", "video": clip.id, "source_size": 0, "source_mtime_ns": 0}
    about = {"content": clip.content, "source_sha256": "", **source}
    write_clip(cache / "features" / "made" / f"{clip.id}.h5", extract, about)


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--clips", default=200, show_default=True)
@click.option("--frames", default=5000, show_default=True)
def main(folder: Path, clips: int, frames: int) -> None:
    click.echo(str(make_run(folder, clips=clips, frames=frames)))


if __name__ == "__main__":
    main()
