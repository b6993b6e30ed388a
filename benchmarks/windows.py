"""Random windows of 300 frames from the cache, as training reads them: without workers, and with four.

    python -m benchmarks.windows [--quick] [--json FILE]

All sides hand out the same float32 numbers of the paper's widths (1024 + 768 + 768) in batches of 16, stacked by the
same collate; the cache's windows bring masks and labels besides. What was read once is in memory: this measures the
program, not the disk. The `.pt` files hold a segment of 300 frames each, float32, one per modality.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alone import alone
from benchmarks.measure import in_turns, row
from benchmarks.row import Row
from benchmarks.window_sources import FRAMES, WIDTHS, Files, Source, make_files
from common.errors import MavenError
from common.schema import MODALITIES

BATCH = 16
WORKERS = 4
#: Of the limit, with workers.
BAR = 0.8
OURS, LIMIT = "the cache", "numpy.memmap of one raw file"


def rows(quick: bool, device: str) -> list[Row]:
    """``device`` is without meaning here: windows are made on the processor."""
    clips, frames, windows, turns = (4, 1500, 64, 4) if quick else (20, 5000, 640, 7)
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder), clips, frames)
        data, picked = sources(files, windows)
        check(data)
        return [measured(data, picked, workers, turns) for workers in (0, WORKERS)]


def sources(files: Files, windows: int) -> tuple[dict[str, Any], list[int]]:
    """Data sets by their names, and the windows of ours that the others' items are, in order."""
    ours = files.cache()
    picked = np.random.default_rng(1).integers(0, len(ours), windows).tolist()
    starts = [(ours.places[index].clip, ours.places[index].start) for index in picked]
    others: dict[str, Callable[[int, int], Any]] = {
        ".pt file per segment and modality": files.segments,
        "h5py, opened per window": files.hdf5,
        "numpy.memmap, astype(float32)": files.raw(by_numpy=True),
        LIMIT: files.raw(by_numpy=False),
    }
    return {OURS: _Picked(ours, picked), **{name: Source(read, starts) for name, read in others.items()}}, picked


class _Picked:
    """Some items of a data set."""

    def __init__(self, data: Any, picked: Sequence[int]) -> None:
        self._data, self._picked = data, picked

    def __len__(self) -> int:
        return len(self._picked)

    def __getitem__(self, index: int) -> Any:
        return self._data[self._picked[index]]


def check(data: dict[str, Any]) -> None:
    """Every window of every side is the same to the bit.

    Raises
    ------
    MavenError
        If one isn't.
    """
    for index in range(len(data[OURS])):
        ours = data[OURS][index]
        for name, source in data.items():
            theirs = source[index]
            if not all(ours[m].dtype == theirs[m].dtype and np.array_equal(ours[m], theirs[m]) for m in MODALITIES):
                raise MavenError(f"Window {index} differs between {OURS} and {name}.", "They must hold the same.")


def measured(data: dict[str, Any], picked: Sequence[int], workers: int, turns: int) -> Row:
    """All windows of all sides, in alternation; workers stay from one turn to the next."""
    from torch.utils.data import DataLoader

    from common.windows import collate

    warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)  # more than there are cores: wanted
    loaders = {
        name: DataLoader(
            source, batch_size=BATCH, collate_fn=collate, num_workers=workers, persistent_workers=workers > 0
        )
        for name, source in data.items()
    }
    costs = in_turns({name: lambda loader=loader: _all_of(loader) for name, loader in loaders.items()}, turns)
    rivals = [name for name in data if name not in (OURS, LIMIT)]
    by = f"{workers} workers" if workers else "no workers"
    return row(
        f"random windows of {FRAMES} frames x {sum(WIDTHS.values())} values, float32 from float16, {by}",
        "windows/s",
        costs,
        ours=OURS,
        alternatives=dict.fromkeys(rivals),
        limit=(LIMIT, BAR if workers else None),
        work=len(picked),
        note="page cache warm on all sides; the limit widens to float32 as the cache's windows do.",
    )


def _all_of(loader: Any) -> None:
    for _ in loader:
        pass


main = alone(rows)

if __name__ == "__main__":
    main()
