"""Clips whose files and inputs look as they did when they were finished: there is nothing to do for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from common.manifest import Clip
from stage1_embeddings.cache_index.index import blocks_of
from stage1_embeddings.cache_index.inputs import Beside, seen
from stage1_embeddings.cache_index.record import Record, begins, from_line
from stage1_embeddings.plan import FeaturePlan


def unchanged(plan: FeaturePlan, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Record | None]]:
    """Each clip, with the record of its file where a look at folders shows that neither it nor its inputs changed.

    Nothing is opened. None says nothing: `FeaturePlan.source` and `FeaturePlan.done` find out.
    """
    for clip, line in unchanged_lines(plan, clips):
        yield clip, from_line(line) if line else None


def unchanged_lines(plan: FeaturePlan, clips: Iterable[Clip]) -> Iterator[tuple[Clip, bytes | None]]:
    """As `unchanged`, the records as lines of the index, unread."""
    beside, faces = Beside(), plan.settings.faces
    sees = faces.policy != "all" and faces.detector != "crops" and not plan.videos.remote
    for block in blocks_of(clips):
        lines = plan.index.lines([clip.id for clip in block]) if sees else {}
        files = plan.index.identities(lines)
        for clip in block:
            line, file = lines.get(clip.id), files.get(clip.id)
            shown = seen(clip, beside) if line and file else ""
            yield clip, line if line and file and shown and begins(line, file, shown) else None
