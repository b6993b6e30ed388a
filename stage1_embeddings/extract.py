"""Stage 1, start here: a data set becomes per-frame features in the cache.

    python -m stage1_embeddings extract --data DIR --recipe demo --cache cache --run runs/demo

For each clip (work.py): what the cache already holds is carried over, what is missing is decoded (front_end.py, in
worker processes: workers.py), encoded (clip.py, encoders/) and written whole (writing.py). A clip that fails is listed
with its reason; the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from common.datasets import Dataset, open_dataset
from common.errors import UsageError
from common.files import remove_partials, write_text
from common.manifest import Clip, Manifest, write_manifest
from common.recipe import Recipe
from common.schema import MODALITIES
from stage1_embeddings.encoders.miniature import MINIATURE_REMARK
from stage1_embeddings.encoders.resolve import MINIATURE, NONE
from stage1_embeddings.jobs import Tally
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.selection import Selection
from stage1_embeddings.tools import Tools
from stage1_embeddings.work import Work

Say = Callable[[str], None]

#: More decoders than this feed no single device faster.
_MOST_WORKERS = 8


def extract(
    recipe: Recipe,
    data: Path | None,
    cache: Path,
    run: Path,
    device: str,
    say: Say,
    *,
    selection: Selection | None = None,
    workers: int | None = None,
) -> Manifest:
    """Bring the cache up to date for a data set, and write the run's manifest.

    Parameters
    ----------
    data : Path or None
        A folder in Aff-Wild2's layout, a folder of videos or ready crops, one video, or None for the embedded corpus.
    cache, run : Path
        Roots of the cache and of this run.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    say : callable
        Gets one line of progress at a time.
    selection : Selection, optional
        Which clips; all by default.
    workers : int, optional
        Processes that decode and find faces; by default half the processors, at most 8. 0: none but this.

    Returns
    -------
    Manifest
        Also written to ``run/manifest.json``, unless other shards still have clips to do; `Manifest.failures` lists
        what could not be done.
    """
    selection = selection or Selection()
    dataset = open_dataset(data, cache, say)
    chosen = selection.chosen(dataset.clips)
    mine = selection.mine(chosen)
    _check_policy(recipe, chosen)
    check_encoders(recipe, chosen)
    plan = FeaturePlan(recipe.stage1, cache)
    _make_room(plan, run)
    workers = _workers(len(mine)) if workers is None else workers
    work = Work(plan, Tools(plan, device), say, workers=workers, retry_failed=selection.retry_failed)
    work.run(mine)
    own = {clip.id for clip in mine}
    waiting = [clip for clip in chosen if clip.id not in own and not work.look(clip)]
    manifest = _manifest(dataset, chosen, plan, work.tally)
    _summarise(work.tally, plan, say)
    if waiting:
        say(f"Stage 1: {len(waiting)} of {len(chosen)} clips are other shards', and not done yet: no manifest so far.")
    else:
        write_text(run / "recipe.yaml", _as_yaml(recipe))
        write_manifest(run, manifest)
        if len(chosen) < len(dataset.clips):
            say(f"Stage 1: this run is about {len(chosen)} of {len(dataset.clips)} clips, by --only and --limit.")
    return manifest


def _make_room(plan: FeaturePlan, run: Path) -> None:
    """Folders to write to, without what killed processes left half-written in them."""
    for folder in (plan.folder, run):
        folder.mkdir(parents=True, exist_ok=True)
    left = [folder for kind in ("features", "crops") for folder in (plan.cache / kind).glob("*/")]
    for folder in (plan.cache / "models", run, *left):
        remove_partials(folder)


def _workers(clips: int) -> int:
    return max(1, min((os.cpu_count() or 1) // 2, _MOST_WORKERS, clips))


def check_encoders(recipe: Recipe, clips: list[Clip]) -> None:
    """A video goes through every encoder; its frames come with the visual one's."""
    without = [modality for modality in MODALITIES if getattr(recipe.stage1, modality).model == NONE]
    for clip in clips:
        for modality in without:
            if modality == "text" or not clip.utterances:
                raise UsageError(
                    f"stage1.{modality}.model is none, but {clip.id} is {'text' if clip.utterances else 'a video'}.",
                    "Name an encoder; what the fusion may see of a video is set by stage2.modalities.",
                )


def _check_policy(recipe: Recipe, clips: list[Clip]) -> None:
    labelled = [clip for clip in clips if clip.annotation is not None or clip.utterances]
    if recipe.stage1.faces.policy == "all" and labelled:
        raise UsageError(
            f"faces.policy: all makes each face of {labelled[0].id} a clip, but its labels are one person's.",
            "Take largest, left or right for data with labels.",
        )


def _manifest(dataset: Dataset, clips: list[Clip], plan: FeaturePlan, tally: Tally) -> Manifest:
    position = {clip.id: number for number, clip in enumerate(clips)}
    return Manifest(
        data=str(dataset.root),
        data_kind=dataset.kind,
        folder=plan.folder.relative_to(plan.cache).as_posix(),
        fingerprints={modality: plan.fingerprints[modality] for modality in MODALITIES},
        encoders={modality: plan.resolved[modality].describe() for modality in MODALITIES},
        clips=tuple(entry for clip in clips for entry in tally.done.get(clip.id, ())),
        failures=tuple(sorted(tally.failures, key=lambda failure: position[failure.id])),
        remarks=_remarks(dataset, plan),
    )


def _remarks(dataset: Dataset, plan: FeaturePlan) -> tuple[str, ...]:
    miniature = (MINIATURE_REMARK,) if any(model.model == MINIATURE for model in plan.resolved.values()) else ()
    return (*dataset.remarks, *miniature)


def _summarise(tally: Tally, plan: FeaturePlan, say: Say) -> None:
    entries = [entry for entries in tally.done.values() for entry in entries]
    if tally.computed == 0 and not tally.failures:
        say(f"Stage 1: all {len(entries)} clips are in {plan.folder}; nothing to do, no model loaded.")
    else:
        frames = sum(entry.frames for entry in entries)
        say(
            f"Stage 1: {len(entries)} clips, {frames} frames in {plan.folder}; "
            f"{tally.computed} written now, {len(tally.failures)} failed."
        )
    if tally.wordless:
        say(
            f"Stage 1: {tally.wordless} clip(s) have no transcript beside them, and speech.recogniser is none: "
            "their text is absent."
        )
    if tally.filtered:
        say(f"Stage 1: {tally.filtered} stretch(es) of recognised text were dropped as invented (on silence or music).")
    for text in tally.mended:
        say(f"  mended: {text}")
    for failure in tally.failures:
        say(f"  {failure.id}: {failure.problem} {failure.cure}")
    if tally.failures:
        say("Stage 1: clips that failed by their own fault are set aside; --retry-failed tries them again.")


def _as_yaml(recipe: Recipe) -> str:
    import yaml

    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
