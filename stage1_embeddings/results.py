"""What a run of stage 1 comes to: its manifest, and what is said at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.datasets import Dataset
from common.manifest import Clip, Manifest
from common.schema import MODALITIES
from common.storage.data import RemoteVideos
from stage1_embeddings.brought import FromVideos
from stage1_embeddings.encoders.miniature import MINIATURE_REMARK
from stage1_embeddings.encoders.resolve import MINIATURE
from stage1_embeddings.jobs import Tally
from stage1_embeddings.plan import FeaturePlan


def manifest_of(
    dataset: Dataset,
    clips: Sequence[Clip],
    plan: FeaturePlan,
    tally: Tally,
    remarks: Sequence[str],
    videos: RemoteVideos | None,
) -> Manifest:
    """What became of these clips.

    Parameters
    ----------
    remarks : besides those on the data set and on miniature encoders
    videos : RemoteVideos or None
        Where the data set is the mirror of an address: its videos.
    """
    position = {clip.id: number for number, clip in enumerate(clips)}
    brought = plan.brought.features
    return Manifest(
        data=str(dataset.root if videos is None else videos.address),
        data_kind=dataset.kind,
        folder=plan.folder.relative_to(plan.cache).as_posix(),
        fingerprints={modality: plan.fingerprints[modality] for modality in MODALITIES},
        encoders={modality: plan.describe(modality) for modality in MODALITIES},
        clips=tuple(entry for clip in clips for entry in tally.done.get(clip.id, ())),
        failures=tuple(sorted(tally.failures, key=lambda failure: position[failure.id])),
        remarks=(*dataset.remarks, *_miniature(plan), *remarks),
        rows="utterances" if any(clip.utterances for clip in clips) else "frames",
        classes=dataset.classes,
        protocol=dataset.protocol,
        videos=brought.used(clips) if isinstance(brought, FromVideos) else {},
    )


def summarise(tally: Tally, plan: FeaturePlan, say: Callable[[str], None]) -> None:
    """Say what was done, and why each clip failed that did."""
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


def _miniature(plan: FeaturePlan) -> tuple[str, ...]:
    return (MINIATURE_REMARK,) if any(model.model == MINIATURE for model in plan.resolved.values()) else ()
