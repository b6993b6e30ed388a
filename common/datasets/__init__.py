"""Data sets: what lies in a folder, as clips with splits. One file per corpus."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.datasets import affwild2, emobank, folder
from common.datasets.survey import Finding, Survey, clip_findings
from common.errors import DataError, UsageError
from common.files import NAME_CURE, one_at_a_time, safe_name
from common.manifest import Clip, Protocol
from common.schema import Modality

#: Where the embedded corpus is rendered, below the cache.
DEMO = Path("corpus") / "demo"


@dataclass(frozen=True)
class Dataset:
    """A data set: its kind, where it lies, its clips in natural order, and what must be said about it.

    Attributes
    ----------
    classes : of its labels, where they are emotions
    table : the imported features that it brings
    brings : modality to ``given`` or ``none``; one that isn't named comes from an encoder
    parts : of a given modality: names and widths, in the order in which they are joined
    """

    kind: str
    root: Path
    clips: tuple[Clip, ...]
    remarks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    table: Path | None = None
    brings: Mapping[Modality, str] = field(default_factory=dict)
    parts: Mapping[Modality, Mapping[str, int]] = field(default_factory=dict)
    protocol: Protocol = "honest"


#: Where data lie: None is the embedded corpus; several paths are videos, or folders of videos.
Data = Path | Sequence[Path] | None


def open_dataset(data: Data, cache: Path, say: Callable[[str], None], *, protocol: Protocol = "honest") -> Dataset:
    """The data set at ``data``: Aff-Wild2's layout, tables of utterances, a folder of videos, or one video.

    None is the embedded corpus; several paths are videos and folders of videos. ``protocol: published`` splits
    utterances as the published classifier did.

    Raises
    ------
    UsageError
        If there is nothing at ``data``.
    DataError
        If it holds no video, or its annotations don't fit its videos, or something is wrong with its table.
    """
    found = survey_dataset(data, cache, say, protocol=protocol)
    clips = found.accepted()
    about = (found.classes, found.table, found.brings, found.parts)
    return Dataset(found.kind, found.root, clips, found.remarks, *about, protocol)


def survey_dataset(data: Data, cache: Path, say: Callable[[str], None], *, protocol: Protocol = "honest") -> Survey:
    """The same with everything that is wrong with it, instead of an error.

    Raises
    ------
    UsageError
        If there is nothing at ``data``.
    """
    if data is None:
        if protocol == "published":
            raise _no_table("the embedded corpus")
        from common.datasets.demo import render_corpus

        root = cache / DEMO
        with one_at_a_time(root):
            render_corpus(root, on_clip=say)
        found = affwild2.survey(root) or _survey_folder(root)
        return Survey("demo", root, found.clips, found.findings, ("The training corpus is drawn, not filmed.",))
    for path in [data] if isinstance(data, Path) else data:
        if not path.exists():
            raise UsageError(f"There is nothing at {path}.", "Give DATA= (or VIDEO=) the path of a folder or a video.")
    if not isinstance(data, Path):
        return _survey_folder(*data)
    from common.datasets import meld, tables

    described = tables.is_described(data)  # whoever writes a table.yaml means that table
    said = None if described else meld.survey(data, protocol=protocol)
    said = said or tables.survey(data, cache, say, protocol=protocol)
    if said is not None:
        return said
    if protocol == "published":
        raise _no_table(str(data))
    known = (affwild2.survey(data) or emobank.survey(data)) if data.is_dir() else None
    return known or _survey_folder(data)


def _no_table(where: str) -> UsageError:
    return UsageError(
        f"--protocol published splits a table of utterances; {where} has none.", "Leave it out, or name a table."
    )


def _survey_folder(*paths: Path) -> Survey:
    root = paths[0] if len(paths) == 1 else Path(os.path.commonpath([path.absolute() for path in paths]))
    try:
        clips = folder.clips(root) if len(paths) == 1 else folder.clips_of(paths)
    except DataError:
        return Survey("folder", root, (), tuple(finding for path in paths for finding in _bad_names(path)))
    return Survey("folder", root, tuple(clips), tuple(clip_findings(clips, root)))


def _bad_names(data: Path) -> Iterator[Finding]:
    """Every name that `folder.clips` would stop at."""
    crops = folder.ready_crops(data) if data.is_dir() else {}
    for path in [data] if data.is_file() else [*folder.videos(data), *crops.values()]:
        relative = path.relative_to(data if data.is_dir() else data.parent)
        try:
            safe_name(relative.name if path.is_dir() else "__".join(relative.with_suffix("").parts), path)
        except DataError:
            yield Finding("refused", "names", f"{str(path)!r} can't name a clip.", NAME_CURE)
