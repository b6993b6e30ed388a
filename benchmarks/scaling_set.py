"""A data set of very many clips and its cache, in which no file holds anything: for the listing of what is left to do.

The videos and the clip files are real files of a real folder, but empty, or sparse and without HDF5 in them; the index
is written by the real code. One clip in a thousand isn't done, for one reason after the other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.manifest import Clip, Failure
from common.recipe import load_recipe
from common.schema import MODALITIES
from stage1_embeddings.cache_index.inputs import Beside, seen
from stage1_embeddings.cache_index.record import Record, identity
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.quarantine import Quarantine

#: Of the clips, one in so many isn't done.
ONE_IN = 1000
#: What becomes of those, in turn. Those that failed are set aside, and so not left.
WHY = ("missing", "another source", "replaced", "cut short", "failed")

_FRAMES = 4_900
_FILE_BYTES = 25_000_000
_AGE_S = 3600


@dataclass(frozen=True)
class Places:
    """Where the set lies."""

    root: Path

    @property
    def videos(self) -> Path:
        return self.root / "videos"

    @property
    def cache(self) -> Path:
        return self.root / "cache"


def plan_of(places: Places) -> FeaturePlan:
    """Of a recipe without encoders: none is needed to say what is done."""
    nothing = tuple(f"stage1.{name}={{model: none, revision: null}}" for name in MODALITIES)
    return FeaturePlan(load_recipe("maven", (*nothing, "stage1.speech.recogniser=none")).stage1, places.cache)


def clips_of(places: Places, count: int) -> Iterator[Clip]:
    """The clips, one after the other."""
    videos = places.videos
    for number in range(count):
        yield Clip(name := f"clip{number:08d}", videos / f"{name}.mp4", "train")


def why_left(number: int) -> str | None:
    """Why a clip isn't done; None where it is."""
    return WHY[number // ONE_IN % len(WHY)] if number % ONE_IN == ONE_IN // 2 else None


def make(places: Places, count: int) -> None:
    """Lay out ``count`` clips, and finish all but those that `why_left` names."""
    plan = plan_of(places)
    plan.folder.mkdir(parents=True)
    places.videos.mkdir(parents=True)
    plan.index.keep()
    beside, then = Beside(), time.time() - _AGE_S
    sample: Record | None = None
    for number, clip in enumerate(clips_of(places, count)):
        video, file, why = str(clip.source), f"{plan.folder}/{clip.id}.h5", why_left(number)
        _touch(video, 0, then)
        if sample is None:
            source = plan.source(clip)
            made = (plan.content(clip, source), plan.pictured(clip, source), "", source.sha256)
            sample = Record(0, 0, 0, "", "", _FRAMES, True, 30.0, *made)
        if why in ("missing", "failed"):
            if why == "failed":
                Quarantine(plan.folder).put(Failure(clip.id, "It has no frames.", "Record it again."), sample.content)
            continue
        _touch(file, _FILE_BYTES, then)
        where, status = identity(file), clip.source.stat()
        assert where is not None
        inputs = (seen(clip, beside), clip.id), (status.st_size, status.st_mtime_ns)
        plan.index.add(Record(*where, *inputs[0], *sample[5:12], *inputs[1]))
        if why == "another source":
            clip.source.write_bytes(b"another video")
        elif why == "replaced":
            Path(f"{file}.new").write_bytes(b"another file")
            Path(f"{file}.new").rename(file)
        elif why == "cut short":
            os.truncate(file, _FILE_BYTES // 2)
    plan.index.close()


def _touch(path: str, size: int, then: float) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    if size:
        os.ftruncate(handle, size)
    os.utime(handle, (then, then))
    os.close(handle)
