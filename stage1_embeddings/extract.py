"""Stage 1, start here: a data set becomes per-frame features in the cache.

    python -m stage1_embeddings extract --data DIR --recipe demo --cache cache --run runs/demo

Of the clips, those that are left to do are found and claimed (orders.py). For each (work.py): what the cache already
holds is carried over, what is missing is decoded (front_end.py, in worker processes: workers.py), encoded (clip.py,
encoders/) and written whole (writing.py). What became of it is kept in books.py: a clip that fails is listed with its
reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from common.datasets import Data, open_dataset
from common.errors import UsageError
from common.files import remove_partials, write_text
from common.manifest import Clip, Manifest, Protocol, write_manifest
from common.recipe import Recipe, Stage1
from common.storage.data import RemoteVideos
from stage1_embeddings.brought import FromVideos, feature_plan, in_words, settings_for
from stage1_embeddings.encoders.resolve import NONE
from stage1_embeddings.jobs import Tally
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.results import manifest_of, summarise
from stage1_embeddings.selection import Selection
from stage1_embeddings.workforce import Workforce, everywhere

if TYPE_CHECKING:
    from stage1_embeddings.cluster.connection import Cluster

Say = Callable[[str], None]


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
    cache, run : roots of the cache and of this run
    device, workers, cluster : as in `Workforce`
    say : gets one line of progress at a time
    selection : which clips; all by default
    protocol : ``published``: split utterances as the published classifier did, leaking on purpose
    videos : where ``data`` is the mirror of an address: its videos

    Returns
    -------
    Manifest
        Also written to ``run/manifest.json``, unless other shards still have clips to do; `Manifest.failures` lists
        what could not be done.
    """
    selection = selection or Selection()
    if cluster is not None:
        data, cache = everywhere(data, cache, videos)
    dataset = open_dataset(data, cache, say, protocol=protocol)
    chosen = selection.chosen(dataset.clips)
    settings = settings_for(recipe.stage1, dataset)
    check_settings(settings, chosen)
    for line in in_words(dataset):
        say(line)
    plan = feature_plan(settings, dataset, cache, videos)
    _make_room(plan, run)
    tally, waiting, remarks = _do(plan, chosen, selection, Workforce(device, workers, cluster), say)
    manifest = manifest_of(dataset, chosen, plan, tally, remarks, videos)
    summarise(tally, plan, say)
    if waiting:
        say(f"Stage 1: {waiting} of {len(chosen)} clips are other shards', and not done yet: no manifest so far.")
        return manifest
    write_text(run / "recipe.yaml", _as_yaml(recipe))
    write_manifest(run, manifest)
    if len(chosen) < len(dataset.clips):
        say(f"Stage 1: this run is about {len(chosen)} of {len(dataset.clips)} clips, by --only and --limit.")
    return manifest


def check_settings(settings: Stage1, clips: Sequence[Clip]) -> None:
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


def _do(
    plan: FeaturePlan, clips: Sequence[Clip], selection: Selection, workforce: Workforce, say: Say
) -> tuple[Tally, int, list[str]]:
    """What became of the clips; how many are left to other shards; what every output must repeat."""
    mine = selection.mine(clips)
    remarks: list[str] = []
    if isinstance(plan.brought.features, FromVideos):
        remarks = _do_videos(plan.brought.features, mine, selection, workforce, say)
    books = workforce.do(plan, mine, say, retry_failed=selection.retry_failed)
    own = {clip.id for clip in mine}
    waiting = sum(not books.look(clip) for clip in clips if clip.id not in own)
    plan.index.close()
    return books.tally, waiting, remarks


def _do_videos(
    features: FromVideos, clips: Sequence[Clip], selection: Selection, workforce: Workforce, say: Say
) -> list[str]:
    """Compute the features of utterances' own videos, and return what must be said of those that failed."""
    videos = [video for clip in clips for video in features.videos(clip) if video is not None]
    say(f"Stage 1: {len(videos)} videos of utterances, whose rows are the means over their frames")
    _make_room(features.plan, features.plan.folder)
    tally = workforce.do(features.plan, videos, say, retry_failed=selection.retry_failed).tally
    features.learn(tally.done)
    failures = tally.failures
    for failure in failures:
        say(f"  {failure.id}: {failure.problem} {failure.cure}")
    if not failures:
        return []
    remark = f"{len(failures)} of {len(videos)} videos of utterances can't be used: their picture and sound are absent."
    say(f"Stage 1: {remark}")
    return [remark]


def _make_room(plan: FeaturePlan, run: Path) -> None:
    """Folders to write to, without what killed processes left half-written in them."""
    for folder in (plan.folder, run):
        folder.mkdir(parents=True, exist_ok=True)
    left = [folder for kind in ("features", "crops") for folder in (plan.cache / kind).glob("*/")]
    for folder in (plan.cache / "models", run, *left):
        remove_partials(folder)


def _as_yaml(recipe: Recipe) -> str:
    import yaml

    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
