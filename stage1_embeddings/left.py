"""What is left to do: a stream of clips in, those that a run would work on out. Nothing is held, no model loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from common.datasets import Data, open_dataset
from common.errors import CacheError, MavenError
from common.manifest import Clip
from common.recipe import Stage1
from stage1_embeddings.brought import feature_plan, settings_for
from stage1_embeddings.encoders.resolve import miniatures_are_made
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.quarantine import Quarantine
from stage1_embeddings.unchanged import unchanged_lines


def left(plan: FeaturePlan, clips: Iterable[Clip], *, retry_failed: bool = False) -> Iterator[Clip]:
    """The clips that aren't done, or were made from other inputs or by other settings, or whose file is damaged.

    Clips that are set aside aren't left, unless ``retry_failed``. What the index knows isn't opened.
    """
    quarantine = None if retry_failed else Quarantine(plan.folder)
    for clip, line in unchanged_lines(plan, clips):
        if line is None and _is_left(clip, plan, quarantine):
            yield clip


def left_of(settings: Stage1, data: Data, cache: Path) -> Iterator[Clip]:
    """The same, of a data set under a recipe's stage 1.

    Raises
    ------
    MavenError
        As `open_dataset` and the encoders' resolution do.
    """
    dataset = open_dataset(data, cache, lambda text: None)
    if not miniatures_are_made(settings, cache):
        yield from dataset.clips
        return
    plan = feature_plan(settings_for(settings, dataset), dataset, cache)
    yield from left(plan, dataset.clips)
    plan.index.close()


def _is_left(clip: Clip, plan: FeaturePlan, quarantine: Quarantine | None) -> bool:
    made = any(path.exists() for path in (plan.path(clip), plan.index_path(clip)))
    if not made and (quarantine is None or not quarantine.holds(clip.id)):
        return True  # so that no video is hashed that was never done
    try:
        source = plan.source(clip)
    except (MavenError, OSError):
        return True  # what is wrong with it is for the run to say
    with contextlib.suppress(CacheError):  # damaged: it is made again
        if plan.done(clip, source):
            return False
    return quarantine is None or quarantine.find(clip.id, plan.content(clip, source)) is None
