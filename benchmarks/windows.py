"""Random windows of 300 frames from the cache, against ``numpy.memmap`` on one raw file of the same numbers.

    python -m benchmarks.windows [--quick]

Both sides hand out the same float32 arrays of the paper's widths (1024 + 768 + 768), from half precision on disk.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.table import in_turns, print_table
from common.manifest import CachedClip, Manifest
from common.recipe import Window
from common.schema import MODALITIES, TIME, present
from common.store import write_clip
from common.windows import FeatureWindows

WIDTHS = {"visual": 1024, "audio": 768, "text": 768}
WINDOW = 300


def make_cache(root: Path, clips: int, frames: int) -> tuple[Manifest, Path]:
    """A cache of ``clips`` clips, and one raw file with the same rows, one after the other."""
    rng = np.random.default_rng(0)
    raw = root / "raw.f16"
    entries = []
    with raw.open("wb") as file:
        for number in range(clips):
            rows = {
                m: rng.standard_normal((frames, WIDTHS[m]), dtype=np.float32).astype(np.float16) for m in MODALITIES
            }
            np.concatenate([rows[m] for m in MODALITIES], axis=1).tofile(file)
            arrays: dict[str, Any] = {TIME: np.arange(frames) / 25, **rows}
            arrays |= {present(m): np.ones(frames, dtype=np.bool_) for m in MODALITIES}
            write_clip(root / "features" / f"clip{number}.h5", arrays, {"content": "c"})
            entries.append(CachedClip(f"clip{number}", "train", "", frames, False, "c"))
    return Manifest("", "folder", "features", {}, {}, tuple(entries)), raw


@click.command()
@click.option("--quick", is_flag=True, help="A smaller cache and fewer turns.")
def main(quick: bool) -> None:
    clips, frames, windows, turns = (4, 1500, 40, 3) if quick else (20, 5000, 200, 7)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        manifest, raw = make_cache(root, clips, frames)
        data = FeatureWindows(root, manifest, manifest.clips, Window(frames=WINDOW, hop_frames=1))
        whole = np.memmap(raw, np.float16, "r", shape=(clips * frames, sum(WIDTHS.values())))
        picked = np.random.default_rng(1).integers(0, len(data), windows)
        places = [data.places[index] for index in picked]
        rows = [place.clip * frames + place.start for place in places]

        def from_memmap(start: int) -> dict[str, Any]:
            window = whole[start : start + WINDOW]
            edges = np.cumsum([0, *WIDTHS.values()])
            return {m: window[:, a:b].astype(np.float32) for m, a, b in zip(MODALITIES, edges, edges[1:], strict=False)}

        for index, start in zip(picked, rows, strict=True):
            ours, theirs = data[index], from_memmap(start)
            assert all(np.array_equal(ours[m], theirs[m]) for m in MODALITIES), "the two sides differ"
        seconds = in_turns(
            {
                "cache, FeatureWindows": lambda: [data[index] for index in picked],
                "numpy.memmap on one raw file": lambda: [from_memmap(start) for start in rows],
            },
            turns,
        )
        print(f"{windows} random windows of {WINDOW} frames x {sum(WIDTHS.values())} values, {turns} turns")
        print_table(seconds, units=windows, unit="windows", limit="numpy.memmap on one raw file")


if __name__ == "__main__":
    main()
