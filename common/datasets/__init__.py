"""Data sets: what lies in a folder, as clips with splits. One file per corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.datasets import affwild2, emobank, folder
from common.datasets.survey import Finding, Survey, clip_findings
from common.errors import DataError, UsageError
from common.files import one_at_a_time, safe_name
from common.manifest import Clip

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
    """The data set at ``data``: Aff-Wild2's layout, EmoBank's tables, a folder of videos, or one video.

    None is the embedded corpus.

    Raises
    ------
    UsageError
        If there is nothing at ``data``.
    DataError
        If it holds no video, or its annotations don't fit its videos.
    """
    found = survey_dataset(data, cache, say)
    return Dataset(found.kind, found.root, found.accepted(), found.remarks)


def survey_dataset(data: Path | None, cache: Path, say: Callable[[str], None]) -> Survey:
    """The same with everything that is wrong with it, instead of an error.

    Raises
    ------
    UsageError
        If there is nothing at ``data``.
    """
    if data is None:
        from common.datasets.demo import render_corpus

        root = cache / DEMO
        with one_at_a_time(root):
            render_corpus(root, on_clip=say)
        found = affwild2.survey(root) or _survey_folder(root)
        return Survey("demo", root, found.clips, found.findings, ("The training corpus is drawn, not filmed.",))
    if not data.exists():
        raise UsageError(f"There is nothing at {data}.", "Give DATA= (or VIDEO=) the path of a folder or a video.")
    known = (affwild2.survey(data) or emobank.survey(data)) if data.is_dir() else None
    return known or _survey_folder(data)


def _survey_folder(data: Path) -> Survey:
    try:
        clips = folder.clips(data)
    except DataError:
        return Survey("folder", data, (), tuple(_bad_names(data)))
    return Survey("folder", data, tuple(clips), tuple(clip_findings(clips, data)))


def _bad_names(data: Path) -> Iterator[Finding]:
    """Every name that `folder.clips` would stop at."""
    crops = folder.ready_crops(data) if data.is_dir() else {}
    for path in [data] if data.is_file() else [*folder.videos(data), *crops.values()]:
        relative = path.relative_to(data if data.is_dir() else data.parent)
        try:
            safe_name(relative.name if path.is_dir() else "__".join(relative.with_suffix("").parts), path)
        except DataError:
            cure = "Rename it: printable signs, at most 200 bytes, no leading dot."
            yield Finding("refused", "names", f"{str(path)!r} can't name a clip.", cure)
