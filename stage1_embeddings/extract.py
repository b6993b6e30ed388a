"""Stage 1, start here: a data set becomes per-frame features in the cache.

    python -m stage1_embeddings extract --data DIR --recipe demo --cache cache --run runs/demo

For each clip (work.py): what the cache already holds is carried over, what is missing is decoded (front_end.py, in
worker processes: workers.py), encoded (clip.py, encoders/) and written whole (writing.py). A clip that fails is listed
with its reason; the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from common.datasets import Data, Dataset, open_dataset
from common.errors import UsageError
from common.files import remove_partials, write_text
from common.manifest import Clip, Manifest, Protocol, write_manifest
from common.recipe import Recipe, Stage1
from common.schema import MODALITIES
from common.storage.data import RemoteVideos
from stage1_embeddings.brought import FromVideos, feature_plan, in_words, settings_for
from stage1_embeddings.encoders.miniature import MINIATURE_REMARK
from stage1_embeddings.encoders.resolve import MINIATURE, NONE
from stage1_embeddings.jobs import Tally
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.selection import Selection
from stage1_embeddings.tools import Tools
from stage1_embeddings.work import Work

if TYPE_CHECKING:
    from stage1_embeddings.cluster.connection import Cluster

Say = Callable[[str], None]

#: More decoders than this feed no single device faster.
_MOST_WORKERS = 8


def extract(
    recipe: Recipe,
    data: Data,
    cache: Path,
    run: Path,
    device: str,
    say: Say,
    *,
    selection: Selection | None = None,
    workers: int | None = None,
    protocol: Protocol = "honest",
    cluster: Cluster | None = None,
    videos: RemoteVideos | None = None,
) -> Manifest:
    """Bring the cache up to date for a data set, and write the run's manifest.

    Parameters
    ----------
    data : Path, sequence of Path, or None
        A folder in Aff-Wild2's layout, a folder of videos or ready crops, one video, several of these two, or None for
        the embedded corpus.
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
    protocol : str
        ``published``: split utterances as the published classifier did, leaking on purpose.
    cluster : Cluster, optional
        A cluster of Ray that decodes and encodes; by default this machine alone.
    videos : RemoteVideos, optional
        Where ``data`` is the mirror of an address: its videos.

    Returns
    -------
    Manifest
        Also written to ``run/manifest.json``, unless other shards still have clips to do; `Manifest.failures` lists
        what could not be done.
    """
    selection = selection or Selection()
    if cluster is not None and videos is not None:
        raise _not_on_a_cluster(videos)
    if cluster is not None:  # every node has a working directory of its own
        data, cache = absolute(data), cache.absolute()
    dataset = open_dataset(data, cache, say, protocol=protocol)
    chosen = selection.chosen(dataset.clips)
    mine = selection.mine(chosen)
    settings = settings_for(recipe.stage1, dataset)
    check_settings(settings, chosen)
    for line in in_words(dataset):
        say(line)
    plan = feature_plan(settings, dataset, cache, videos)
    _make_room(plan, run)

    def work_on(plan: FeaturePlan, clips: list[Clip]) -> Work:
        if cluster is not None:
            return on_cluster(plan, clips, say, cluster, device, workers, selection.retry_failed)
        number = _workers(len(clips)) if workers is None else workers
        work = Work(plan, Tools(plan, device), say, workers=number, retry_failed=selection.retry_failed)
        work.run(clips)
        return work

    remarks: list[str] = []
    if isinstance(plan.brought.features, FromVideos):
        remarks = _do_videos(plan.brought.features, mine, work_on, say)
    work = work_on(plan, mine)
    own = {clip.id for clip in mine}
    waiting = [clip for clip in chosen if clip.id not in own and not work.look(clip)]
    plan.index.close()
    manifest = _manifest(dataset, chosen, plan, work.tally, remarks)
    if videos is not None:
        manifest = replace(manifest, data=str(videos.address))
    if isinstance(plan.brought.features, FromVideos):
        manifest = replace(manifest, videos=plan.brought.features.used(chosen))
    _summarise(work.tally, plan, say)
    if waiting:
        say(f"Stage 1: {len(waiting)} of {len(chosen)} clips are other shards', and not done yet: no manifest so far.")
        return manifest
    write_text(run / "recipe.yaml", _as_yaml(recipe))
    write_manifest(run, manifest)
    if len(chosen) < len(dataset.clips):
        say(f"Stage 1: this run is about {len(chosen)} of {len(dataset.clips)} clips, by --only and --limit.")
    return manifest


def _not_on_a_cluster(videos: RemoteVideos) -> UsageError:
    return UsageError(
        f"--engine ray reads videos from a disk that every node sees, not from {videos.address}.",
        "Copy them there, or run without --engine ray, with --shard on each machine.",
    )


def on_cluster(
    plan: FeaturePlan,
    clips: list[Clip],
    say: Say,
    cluster: Cluster,
    device: str,
    workers: int | None,
    retry_failed: bool,
) -> Work:
    """Bring clips up to date on a cluster, and return what was done."""
    from stage1_embeddings.cluster.work import ClusterWork

    work = ClusterWork(plan, say, cluster=cluster, device=device, workers=workers, retry_failed=retry_failed)
    work.run(clips)
    return work


def absolute(data: Data) -> Data:
    """The same paths, wherever they are read from."""
    if data is None or isinstance(data, Path):
        return data.absolute() if data is not None else None
    return [path.absolute() for path in data]


def _make_room(plan: FeaturePlan, run: Path) -> None:
    """Folders to write to, without what killed processes left half-written in them."""
    for folder in (plan.folder, run):
        folder.mkdir(parents=True, exist_ok=True)
    left = [folder for kind in ("features", "crops") for folder in (plan.cache / kind).glob("*/")]
    for folder in (plan.cache / "models", run, *left):
        remove_partials(folder)


def _workers(clips: int) -> int:
    return max(1, min((os.cpu_count() or 1) // 2, _MOST_WORKERS, clips))


def _do_videos(
    features: FromVideos, clips: list[Clip], work_on: Callable[[FeaturePlan, list[Clip]], Work], say: Say
) -> list[str]:
    """Compute the features of utterances' own videos, and return what must be said of those that failed."""
    videos = [video for clip in clips for video in features.videos(clip) if video is not None]
    say(f"Stage 1: {len(videos)} videos of utterances, whose rows are the means over their frames")
    _make_room(features.plan, features.plan.folder)
    tally = work_on(features.plan, videos).tally
    features.learn(tally.done)
    failures = tally.failures
    for failure in failures:
        say(f"  {failure.id}: {failure.problem} {failure.cure}")
    if not failures:
        return []
    remark = f"{len(failures)} of {len(videos)} videos of utterances can't be used: their picture and sound are absent."
    say(f"Stage 1: {remark}")
    return [remark]


def check_settings(settings: Stage1, clips: list[Clip]) -> None:
    """Refuse settings that don't fit the clips.

    A video goes through the visual encoder, whose frames are its clock, and through that of sound; each face of a
    video can't have the labels of one person.
    """
    for clip in clips:
        said = any(utterance.text for utterance in clip.utterances)
        for modality in ("text",) if said else () if clip.utterances else ("visual", "audio"):
            if getattr(settings, modality).model == NONE:
                raise UsageError(
                    f"stage1.{modality}.model is none, but {clip.id} is {'text' if clip.utterances else 'a video'}.",
                    "Name an encoder; what the fusion may see of a video is set by stage2.modalities.",
                )
    labelled = [clip for clip in clips if clip.annotation is not None or clip.utterances]
    if settings.faces.policy == "all" and labelled:
        raise UsageError(
            f"faces.policy: all makes each face of {labelled[0].id} a clip, but its labels are one person's.",
            "Take largest, left or right for data with labels.",
        )


def _manifest(dataset: Dataset, clips: list[Clip], plan: FeaturePlan, tally: Tally, remarks: Sequence[str]) -> Manifest:
    position = {clip.id: number for number, clip in enumerate(clips)}
    return Manifest(
        data=str(dataset.root),
        data_kind=dataset.kind,
        folder=plan.folder.relative_to(plan.cache).as_posix(),
        fingerprints={modality: plan.fingerprints[modality] for modality in MODALITIES},
        encoders={modality: plan.describe(modality) for modality in MODALITIES},
        clips=tuple(entry for clip in clips for entry in tally.done.get(clip.id, ())),
        failures=tuple(sorted(tally.failures, key=lambda failure: position[failure.id])),
        remarks=(*_remarks(dataset, plan), *remarks),
        rows="utterances" if any(clip.utterances for clip in clips) else "frames",
        classes=dataset.classes,
        protocol=dataset.protocol,
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
