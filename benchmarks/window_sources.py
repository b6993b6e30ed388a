"""The same windows of the same frames from four kinds of files: the cache, `.pt` per segment, HDF5, one raw file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from common.manifest import CachedClip, Manifest
from common.recipe import Window
from common.schema import MODALITIES, TIME, present
from common.store import write_clip
from common.windows import FeatureWindows, widen

Item = dict[str, npt.NDArray[Any]]

#: The paper's.
WIDTHS = {"visual": 1024, "audio": 768, "text": 768}
#: Of a window, and of a segment: so many frames are one `.pt` file per modality.
FRAMES = 300


@dataclass(frozen=True)
class Source:
    """A map-style data set: windows that begin at a frame of a clip, read by ``read(clip, start)``."""

    read: Callable[[int, int], Item]
    starts: Sequence[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Item:
        return self.read(*self.starts[index])


@dataclass(frozen=True)
class Files:
    """Where the frames lie in each form: ``clips`` clips of ``frames`` frames.

    A method reads a window of `FRAMES` frames: (T, D) float32 of each modality.
    """

    root: Path
    clips: int
    frames: int

    def cache(self) -> FeatureWindows:
        """Our own data set of all windows; it also hands out masks and labels."""
        entries = tuple(CachedClip(f"clip{n}", "train", "", self.frames, False, "c") for n in range(self.clips))
        manifest = Manifest("", "folder", "features", {}, {}, entries)
        return FeatureWindows(self.root, manifest, entries, Window(frames=FRAMES, hop_frames=1))

    def segments(self, clip: int, start: int) -> Item:
        """From the `.pt` files of the segments that the window touches, float32."""
        import torch

        first, last = start // FRAMES, (start + FRAMES - 1) // FRAMES
        inside = slice(start - first * FRAMES, start - first * FRAMES + FRAMES)
        found = {}
        for modality in MODALITIES:
            names = [self.root / "pt" / f"clip{clip}-{segment}-{modality}.pt" for segment in range(first, last + 1)]
            parts = [torch.load(name, weights_only=True) for name in names]
            found[modality] = torch.cat(parts)[inside].numpy()
        return found

    def hdf5(self, clip: int, start: int) -> Item:
        """From the cache's file by h5py, opened for each window, as a data set with workers has to."""
        with h5py.File(self.root / "features" / f"clip{clip}.h5", "r") as file:
            return {m: file[m][start : start + FRAMES].astype(np.float32) for m in MODALITIES}

    def raw(self, *, by_numpy: bool) -> Callable[[int, int], Item]:
        """From one map of one file, float16, all modalities of a frame side by side; made float32 as the cache's."""
        whole = np.memmap(
            self.root / "raw.f16", np.float16, "r", shape=(self.clips * self.frames, sum(WIDTHS.values()))
        )
        edges = np.cumsum([0, *WIDTHS.values()])

        def read(clip: int, start: int) -> Item:
            first = clip * self.frames + start
            found = {}
            for modality, left, right in zip(MODALITIES, edges[:-1], edges[1:], strict=True):
                rows = whole[first : first + FRAMES, left:right]
                if by_numpy:
                    found[modality] = rows.astype(np.float32)
                else:
                    found[modality] = np.empty(rows.shape, np.float32)
                    widen(np.array(rows), found[modality])
            return found

        return read


def make_files(root: Path, clips: int, frames: int) -> Files:
    """Random features in each form."""
    import torch

    rng = np.random.default_rng(0)
    (root / "pt").mkdir(parents=True)
    with (root / "raw.f16").open("wb") as file:
        for clip in range(clips):
            rows = {m: rng.standard_normal((frames, WIDTHS[m]), dtype=np.float32) for m in MODALITIES}
            stored = {m: values.astype(np.float16) for m, values in rows.items()}
            np.concatenate([stored[m] for m in MODALITIES], axis=1).tofile(file)
            arrays: dict[str, Any] = {TIME: np.arange(frames) / 25, **stored}
            arrays |= {present(m): np.ones(frames, dtype=np.bool_) for m in MODALITIES}
            write_clip(root / "features" / f"clip{clip}.h5", arrays, {"content": "c"})
            for start in range(0, frames, FRAMES):
                for m in MODALITIES:
                    segment = torch.from_numpy(stored[m][start : start + FRAMES].astype(np.float32))
                    torch.save(segment, root / "pt" / f"clip{clip}-{start // FRAMES}-{m}.pt")
    return Files(root, clips, frames)
