"""Stage 1, start here: a data set becomes per-frame features in the cache.

    python -m stage1_embeddings extract --data DIR --recipe demo --cache cache --run runs/demo

For each clip: what the cache already holds is carried over, what is missing is computed, the file is written whole.
A clip that fails is listed with its reason; the others go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common.datasets import Dataset, affwild2, open_dataset
from common.errors import CacheError, MavenError, ModelError, UsageError
from common.files import remove_partials, write_text
from common.manifest import CachedClip, Clip, ClipLog, Failure, Manifest, write_manifest
from common.provenance import provenance
from common.recipe import Recipe
from common.schema import AROUSAL, MODALITIES, TIME, VALENCE, present
from common.store import Array, read_locations, write_clip
from common.timeline import frame_rate_hz
from stage1_embeddings.encoders.miniature import MINIATURE_REMARK
from stage1_embeddings.encoders.resolve import MINIATURE
from stage1_embeddings.plan import FeaturePlan, Source
from stage1_embeddings.tools import Tools

Say = Callable[[str], None]


@dataclass
class Tally:
    """What one run did."""

    done: list[CachedClip] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    computed: int = 0
    wordless: int = 0


def extract(recipe: Recipe, data: Path | None, cache: Path, run: Path, device: str, say: Say) -> Manifest:
    """Bring the cache up to date for a data set, and write the run's manifest.

    Parameters
    ----------
    data : Path or None
        A folder in Aff-Wild2's layout, a folder of videos, one video, or None for the embedded corpus.
    cache, run : Path
        Roots of the cache and of this run.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    say : callable
        Gets one line of progress at a time.

    Returns
    -------
    Manifest
        Also written to ``run/manifest.json``; `Manifest.failures` lists what could not be done.
    """
    for folder in (cache / "models", run):
        folder.mkdir(parents=True, exist_ok=True)
        remove_partials(folder)
    dataset = open_dataset(data, cache, say)
    plan = FeaturePlan(recipe.stage1, cache)
    remove_partials(plan.folder)
    tools = Tools(plan, device)
    tally = Tally()
    for number, clip in enumerate(dataset.clips, start=1):
        _one_clip(clip, plan, tools, tally, _numbered(say, number, len(dataset.clips)))
    manifest = Manifest(
        data=str(dataset.root),
        data_kind=dataset.kind,
        folder=plan.folder.relative_to(cache).as_posix(),
        fingerprints={modality: plan.fingerprints[modality] for modality in MODALITIES},
        encoders={modality: plan.resolved[modality].describe() for modality in MODALITIES},
        clips=tuple(tally.done),
        failures=tuple(tally.failures),
        remarks=_remarks(dataset, plan),
    )
    write_text(run / "recipe.yaml", _as_yaml(recipe))
    write_manifest(run, manifest)
    _summarise(tally, plan, say)
    return manifest


def _numbered(say: Say, number: int, clips: int) -> Say:
    return lambda text: say(f"[{number}/{clips}] {text}")


def _one_clip(clip: Clip, plan: FeaturePlan, tools: Tools, tally: Tally, say: Say) -> None:
    log = ClipLog(plan.folder)
    try:
        source = plan.source(clip)
        if not _is_done(clip, source, plan, say):
            began = time.monotonic()
            arrays, how = compute(clip, source, plan, tools)
            write_clip(plan.path(clip), arrays, file_attributes(clip, source, plan, arrays))
            tally.computed += 1
            log.add(clip.id, "done", how=how, seconds=round(time.monotonic() - began, 3))
            say(f"{clip.id}: {_in_words(arrays)}; {how}")
        cached = _cached(clip, source, plan)
        tally.done.append(cached)
        if source.transcript is None and tools.settings.speech.recogniser == "none":
            tally.wordless += 1
    except (ModelError, UsageError):
        raise  # the same for every clip
    except (MavenError, OSError, RuntimeError, ValueError) as error:
        # Whatever a single clip does, the others go on; it is listed, logged, and the exit code tells.
        logging.getLogger(__name__).debug("%s failed", clip.id, exc_info=True)
        failure = _failure(clip, error)
        tally.failures.append(failure)
        log.add(clip.id, "failed", problem=failure.problem, cure=failure.cure)
        say(f"{clip.id}: FAILED: {failure.problem}")


def _is_done(clip: Clip, source: Source, plan: FeaturePlan, say: Say) -> bool:
    try:
        return plan.is_done(clip, source)
    except CacheError as error:
        say(f"{clip.id}: computed again, as {error.problem}")
        return False


def compute(clip: Clip, source: Source, plan: FeaturePlan, tools: Tools) -> tuple[dict[str, Array | list[str]], str]:
    """All arrays of a clip's file, what the cache holds carried over, and a word on how they came about."""
    from stage1_embeddings.clip import audio_arrays, text_arrays, visual_arrays

    labels = affwild2.read_annotation(clip.annotation) if clip.annotation else None  # first: a fault costs nothing
    carried = plan.carried(clip, source)
    missing = [modality for modality in MODALITIES if modality not in carried]
    tools.load(missing)
    arrays = dict(carried["visual"]) if "visual" in carried else visual_arrays(clip.source, tools)
    time_s = np.asarray(arrays[TIME])
    arrays |= carried["audio"] if "audio" in carried else audio_arrays(clip.source, time_s, tools)
    arrays |= carried["text"] if "text" in carried else text_arrays(clip.source, source.transcript, time_s, tools)
    how = f"computed {', '.join(missing)}" if missing else "carried over, labels read again"
    if clip.annotation is not None and labels is not None:
        labels, mended = affwild2.fit_to_frames(labels, len(time_s), clip.annotation)
        arrays |= {VALENCE: labels[:, 0], AROUSAL: labels[:, 1]}
        how += f"; {mended}" if mended else ""
    return arrays, how


def file_attributes(clip: Clip, source: Source, plan: FeaturePlan, arrays: dict[str, Any]) -> dict[str, Any]:
    """What a clip's file says of itself."""
    return {
        "clip": clip.id,
        "content": plan.content(source),
        "source": clip.source.name,
        "source_sha256": source.video_sha256,
        "source_size": source.size,
        "source_mtime_ns": source.mtime_ns,
        "transcript": source.transcript.name if source.transcript else "",
        "transcript_sha256": source.transcript_sha256 or "",
        "annotation_sha256": source.annotation_sha256 or "",
        "frame_rate_hz": frame_rate_hz(arrays[TIME]),
        **{f"fingerprint_{modality}": plan.fingerprints[modality] for modality in MODALITIES},
        **{f"encoder_{modality}": plan.resolved[modality].describe() for modality in MODALITIES},
        "settings": plan.settings.model_dump(mode="json"),
        "provenance": provenance(),
    }


def _cached(clip: Clip, source: Source, plan: FeaturePlan) -> CachedClip:
    places, _ = read_locations(plan.path(clip))
    frames = places[TIME].shape[0]
    return CachedClip(clip.id, clip.split, str(clip.source), frames, VALENCE in places, plan.content(source))


def _failure(clip: Clip, error: Exception) -> Failure:
    if isinstance(error, MavenError):
        return Failure(clip.id, error.problem, error.cure)
    if isinstance(error, OSError) and error.strerror:
        return Failure(clip.id, f"{error.filename or clip.source}: {error.strerror}.", "Check the disk and the rights.")
    kind = type(error).__name__
    return Failure(clip.id, f"{clip.source}: {kind}: {error}.", "This is unexpected; please report it with the clip.")


def _remarks(dataset: Dataset, plan: FeaturePlan) -> tuple[str, ...]:
    miniature = (MINIATURE_REMARK,) if any(model.model == MINIATURE for model in plan.resolved.values()) else ()
    return (*dataset.remarks, *miniature)


def _in_words(arrays: dict[str, Any]) -> str:
    names = {"visual": "face", "audio": "sound", "text": "words"}
    shares = [f"{names[modality]} {np.mean(arrays[present(modality)]):.0%}" for modality in MODALITIES]
    return f"{len(arrays[TIME])} frames, {', '.join(shares)}"


def _summarise(tally: Tally, plan: FeaturePlan, say: Say) -> None:
    if tally.computed == 0 and not tally.failures:
        say(f"Stage 1: all {len(tally.done)} clips are in {plan.folder}; nothing to do, no model loaded.")
    else:
        frames = sum(clip.frames for clip in tally.done)
        say(
            f"Stage 1: {len(tally.done)} clips, {frames} frames in {plan.folder}; "
            f"{tally.computed} written now, {len(tally.failures)} failed."
        )
    if tally.wordless:
        say(
            f"Stage 1: {tally.wordless} clip(s) have no transcript beside them, and speech.recogniser is none: "
            "their text is absent."
        )
    for failure in tally.failures:
        say(f"  {failure.id}: {failure.problem} {failure.cure}")


def _as_yaml(recipe: Recipe) -> str:
    import yaml

    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
