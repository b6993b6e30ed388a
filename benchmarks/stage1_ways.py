"""The ways from a clip's file to its features that `benchmarks.stage1` measures, and their comparison."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import in_turns, row, spread
from benchmarks.published.embeddings import BATCH_SEGMENTS, Published
from benchmarks.row import Row
from benchmarks.stage1_clips import cut, seen_in
from common.datasets import open_dataset
from common.device import torch_device, torch_dtype
from common.errors import DataError
from common.manifest import Clip
from common.models import load_model
from common.recipe import Precision, load_recipe
from common.schema import MODALITIES, Modality
from common.store import read_clip
from stage1_embeddings.books import Books
from stage1_embeddings.encoders.pictures import picture_input
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.tools import Tools
from stage1_embeddings.work import Work
from stage1_embeddings.workers import supply

#: Of two preparations of one picture, PIL's that rounds to whole grey levels and ours that doesn't.
LEAST_COSINE = 0.999

_THE_PUBLISHED_WAY = "the published way, float32"
_LIMIT = "Swin's forward pass alone"
_FRONT_END, _OTHERS = "front end alone", "encoders of sound and words alone"


@dataclass(frozen=True)
class Size:
    """How much is measured: frames of each clip, crops in a batch, turns; and how many workers decode."""

    frames: int
    batch: int
    turns: int
    workers: int = 1


class Bench:
    """Clips of the embedded corpus, cut to whole batches, and the three ways through the encoders.

    Parameters
    ----------
    folder : Path
        For clips, caches and pictures; made anew.
    videos : files with sound, transcripts beside them
    encoders : of each modality, as ``save_pretrained`` writes them
    """

    def __init__(
        self,
        folder: Path,
        videos: Sequence[Path],
        encoders: Mapping[Modality, Path],
        size: Size,
        precision: Precision,
        device: str,
    ) -> None:
        self._size, self._precision, self._place = size, precision, torch_device(device)
        settings = [f"stage1.{name}.model={json.dumps(str(path))}" for name, path in encoders.items()]
        settings += [f"stage1.{modality}.precision={precision}" for modality in encoders]
        settings += [f"stage1.visual.batch_size={size.batch}"]
        self.clips = _clips(videos, folder / "videos", size.frames)
        self._plan = FeaturePlan(load_recipe("demo", tuple(settings)).stage1, folder / "cache")
        self._plan.folder.mkdir(parents=True)
        self._tools = Tools(self._plan, device)
        self._tools.load(MODALITIES)
        self._seen = [seen_in(clip, self._plan, folder / "crops" / clip.id) for clip in self.clips]
        self.crops = np.concatenate([one.crops for one in self._seen])
        self._published = Published(encoders, self._place)
        self._pixels = self._ready(encoders["visual"])
        self._kept: dict[str, npt.NDArray[np.float32]] = {}

    def stage(self) -> None:
        """All of stage 1, into an empty cache."""
        self._keep_nothing()
        books = Books(self._plan, lambda _: None, retry_failed=False)
        Work(books, self._tools, workers=self._size.workers).run(self.clips)
        if books.tally.failures:
            raise DataError(f"Stage 1 failed: {books.tally.failures[0].problem}", "Repair it first.")

    def published(self) -> None:
        segments = [segment for one in self._seen for segment in one.segments]
        self._kept["published"] = np.concatenate(self._published(segments).visual)

    def bare(self) -> None:
        """Swin's forward pass in batches as stage 1 makes them, the last one made up to a full one."""
        import torch

        model = self._bare_model
        with torch.inference_mode():
            states = [model(pixel_values=part).last_hidden_state for part in self._pixels]
            means = [state.float().mean(dim=1).cpu().numpy() for state in states]
        self._kept["bare"] = np.concatenate(means)[: len(self.crops)]

    def front_end(self) -> None:
        """What the workers do, from their start on."""
        tasks = [one.task for one in self._seen]
        for _ in supply(iter(tasks), self._size.workers, lambda: None):
            pass

    def others(self) -> None:
        """Encoders of sound and words, as the stage asks them."""
        for one in self._seen:
            self._tools.audio(one.samples)
            self._tools.text(one.sentences)

    def check(self) -> float:
        """Compare what the ways came to; the least cosine of a row of ours with that of the published way.

        Raises
        ------
        DataError
            If ours isn't bit for bit the bare encoder's, or isn't close to the published way's.
        """
        wanted = "visual", "present/visual"
        stored = [read_clip(self._plan.path(clip), wanted) for clip in self.clips]
        own = np.concatenate([np.asarray(one["visual"])[np.asarray(one["present/visual"])] for one in stored])
        if not np.array_equal(own, self._kept["bare"].astype(np.float16)):
            raise DataError("Stage 1 and the bare encoder differ.", "Their speeds can't be compared; find out why.")
        ours, theirs = own.astype(np.float64), self._kept["published"].astype(np.float64)
        cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
        if cosine.min() < LEAST_COSINE:
            raise DataError(f"Stage 1 and the published way differ: cosine {cosine.min():.4f}.", "Find out why.")
        return float(cosine.min())

    def row(self, named: str, *, published: float | None, limit: float | None, why: str = "") -> Row:
        """Measure; results are compared before a figure is given."""
        ways: dict[str, Callable[[], None]] = {
            "stage 1": self.stage,
            _THE_PUBLISHED_WAY: self.published,
            _LIMIT: self.bare,
            _FRONT_END: self.front_end,
            _OTHERS: self.others,
        }
        costs = in_turns(ways, self._size.turns)
        cosine = self.check()
        frames = [len(segment.crops) for one in self._seen for segment in one.segments]
        middle = {name: spread(values).median for name, values in costs.items()}
        note = (
            f"{len(self.crops)} faces in {len(self.clips)} clip(s), batches of {self._size.batch}, "
            f"{self._size.workers} worker(s). Equal to the limit bit for bit, to the published way with a cosine of "
            f"{cosine:.5f} or more. A turn takes {middle['stage 1']:.1f} s; the front end with its workers' start "
            f"alone {middle[_FRONT_END]:.1f} s, sound and words alone {middle[_OTHERS]:.1f} s. The published way gets "
            "its crops ready cut and, in the same process, the allocator's settings; it pads "
            f"{len(frames)} segment(s) by {padding(frames):.0%} in all. The limit is "
            f"{middle[_THE_PUBLISHED_WAY] / middle[_LIMIT]:.2f} times as fast as it."
        )
        return row(
            f"stage 1, {named}, {self._precision}",
            "frames/s",
            costs,
            ours="stage 1",
            alternatives={_THE_PUBLISHED_WAY: published},
            limit=(_LIMIT, limit),
            work=len(self.crops),
            why=why,
            note=note,
        )

    def _ready(self, folder: Path) -> list[Any]:
        """Batches of pixels on the device, in the stage's precision, and the bare model for them."""
        import torch

        dtype = torch_dtype(self._precision, self._place)
        self._bare_model = load_model(folder).to(self._place, dtype).eval()
        prepare, batch = picture_input(folder, self._bare_model.config), self._size.batch
        missing = -len(self.crops) % batch
        full = np.concatenate([self.crops, np.repeat(self.crops[-1:], missing, axis=0)])
        parts = torch.from_numpy(full).split(batch)
        return [prepare(part.to(self._place)).to(dtype) for part in parts]

    def _keep_nothing(self) -> None:
        shutil.rmtree(self._plan.folder)
        self._plan.folder.mkdir()


def padding(frames: Sequence[int]) -> float:
    """Frames that the published way adds to segments of so many, as a share of them."""
    batches = [frames[first : first + BATCH_SEGMENTS] for first in range(0, len(frames), BATCH_SEGMENTS)]
    return sum(max(batch) * len(batch) for batch in batches) / sum(frames) - 1


def _clips(videos: Sequence[Path], folder: Path, frames: int) -> tuple[Clip, ...]:
    """The first frames of videos, as a data set of its own."""
    folder.mkdir(parents=True)
    for video in videos:
        cut(video, folder, frames)
    return open_dataset(folder, folder, lambda _: None).clips
