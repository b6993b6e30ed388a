"""Data sets: what lies in a folder, as clips with splits. One file per corpus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.datasets import affwild2, folder
from common.errors import UsageError
from common.files import one_at_a_time
from common.manifest import Clip, check_clips

#: Where the embedded corpus is rendered, below the cache.
DEMO = Path("corpus") / "demo"


@dataclass(frozen=True)
class Dataset:
    """A data set: its kind, where it lies, its clips in natural order, and what must be said about it."""

    kind: str
    root: Path
    clips: tuple[Clip, ...]
    remarks: tuple[str, ...] = ()


def open_dataset(data: Path | None, cache: Path, say: Callable[[str], None]) -> Dataset:
    """The data set at ``data``: Aff-Wild2's layout, a folder of videos, or one video; None is the embedded corpus.

    Raises
    ------
    UsageError
        If there is nothing at ``data``.
    DataError
        If it holds no video, or its annotations don't fit its videos.
    """
    if data is None:
        from common.datasets.demo import render_corpus

        root = cache / DEMO
        with one_at_a_time(root):
            render_corpus(root, on_clip=say)
        return Dataset(
            "demo", root, _checked(affwild2.clips(root), root), ("The training corpus is drawn, not filmed.",)
        )
    if not data.exists():
        raise UsageError(f"There is nothing at {data}.", "Give DATA= (or VIDEO=) the path of a folder or a video.")
    if data.is_dir() and affwild2.annotation_root(data) is not None:
        return Dataset("affwild2", data, _checked(affwild2.clips(data), data))
    return Dataset("folder", data, _checked(folder.clips(data), data))


def _checked(clips: list[Clip], root: Path) -> tuple[Clip, ...]:
    check_clips(clips, root)
    return tuple(clips)
