"""Which clips of a data set a recipe would find done, which are stale and why, and which were never computed.

Compares what the clip files say of themselves with the recipe and the data; no model is loaded, no video hashed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.datasets import DEMO, open_dataset
from common.errors import CacheError
from common.files import sha256
from common.manifest import Clip
from common.outside_text import json_of
from common.recipe import Section, Stage1
from common.schema import MODALITIES, Modality
from common.store import read_attributes
from stage1_embeddings.upkeep.folders import FEATURES, INDEX, failures, folders
from stage1_embeddings.upkeep.status import encoder_in_words, names

if TYPE_CHECKING:
    from stage1_embeddings.plan import FeaturePlan

State = Literal["done", "touched", "stale", "damaged", "failed", "never"]

_MEANING: dict[State, str] = {
    "done": "done",
    "touched": "to be looked at",
    "stale": "stale",
    "damaged": "damaged",
    "failed": "failed",
    "never": "never computed",
}

#: The sections of stage 1 whose settings shape each modality.
SECTIONS: dict[Modality, tuple[str, ...]] = {
    "visual": ("faces", "visual"),
    "audio": ("audio",),
    "text": ("speech", "text"),
}


@dataclass(frozen=True)
class Due:
    """One clip: its state, why it isn't done, and which modalities would be carried over as they are."""

    id: str
    state: State
    reasons: tuple[str, ...] = ()
    kept: tuple[Modality, ...] = ()


def due(settings: Stage1, data: Path | None, cache: Path) -> tuple[str | None, list[Due]]:
    """The state of every clip of a data set under a recipe's stage 1.

    Returns
    -------
    folder : where these settings put their clips, relative to the cache; None where the miniature encoders that they
        ask for aren't made yet
    clips : in the data set's order; none where the embedded corpus isn't rendered yet

    Raises
    ------
    MavenError
        As `open_dataset` and the encoders' resolution do.
    """
    if data is None and not (cache / DEMO).is_dir():
        return None, []
    dataset = open_dataset(data, cache, lambda text: None)
    clips = dataset.clips
    from stage1_embeddings.encoders.resolve import miniatures_are_made

    if not miniatures_are_made(settings, cache):
        return None, [Due(clip.id, "never") for clip in clips]
    from stage1_embeddings.brought import feature_plan, settings_for
    from stage1_embeddings.unchanged import unchanged

    plan = feature_plan(settings_for(settings, dataset), dataset, cache)
    others = [folder for folder in folders(cache, FEATURES) if folder != plan.folder]
    failed = {failure.id: failure.problem for failure in failures(plan.folder)}
    found = [
        _with_failure(Due(clip.id, "done") if record else _due(clip, plan, others), failed.get(clip.id))
        for clip, record in unchanged(plan, clips)
    ]
    plan.index.close()
    return plan.folder.relative_to(cache).as_posix(), found


def due_in_words(folder: str | None, clips: list[Due]) -> list[str]:
    """Counts of each state, then the clips that share a reason together."""
    if not clips:
        return ["The embedded corpus isn't rendered yet: nothing of it is computed."]
    lines = [
        f"This recipe's clips belong in {folder}:" if folder else "This recipe's miniature encoders aren't made yet:"
    ]
    for state, meaning in _MEANING.items():
        here = [clip for clip in clips if clip.state == state]
        if not here:
            continue
        lines.append(f"  {len(here):>5} of {len(clips)} {meaning}")
        groups: dict[tuple[tuple[str, ...], tuple[Modality, ...]], list[str]] = {}
        for clip in here:
            groups.setdefault((clip.reasons, clip.kept), []).append(clip.id)
        for (reasons, kept), ids in groups.items():
            if reasons or state == "never":
                lines.append(f"        {names(ids)}")
            lines += [f"          {reason}" for reason in reasons]
            if kept:
                lines.append(f"          carried over as they are: {', '.join(kept)}")
    return lines


def _with_failure(clip: Due, problem: str | None) -> Due:
    """What isn't there because it failed: why. What is there in part or of other settings failed on top of that."""
    if problem is None or clip.state == "done":
        return clip
    return Due(clip.id, "failed", (problem,) if clip.state == "never" else (problem, *clip.reasons), clip.kept)


def _due(clip: Clip, plan: FeaturePlan, others: list[Path]) -> Due:
    here = _files(plan.folder, clip, plan)
    if here:
        missing = [path.stem for path in here if not path.exists()]
        if missing:
            return Due(clip.id, "stale", (f"{len(missing)} of {len(here)} face tracks are missing: {names(missing)}",))
        try:
            every = [read_attributes(path) for path in here]
        except CacheError as error:
            return Due(clip.id, "damaged", (error.problem,))
        state, reasons = _inputs(clip, plan, every[0])
        stale = _stale_modalities(plan, every[0])
        why = [reason for modality in stale for reason in _why(modality, plan, every[0])]
        return Due(clip.id, "stale" if stale else state, (*reasons, *why))
    nearest = _nearest(clip, plan, others)
    if nearest is None:
        return Due(clip.id, "never")
    state, reasons = _inputs(clip, plan, nearest)
    stale = _stale_modalities(plan, nearest)
    why = [reason for modality in stale for reason in _why(modality, plan, nearest)]
    carried = state == "done" and plan.settings.faces.policy != "all"
    kept = tuple(modality for modality in MODALITIES if modality not in stale) if carried else ()
    return Due(clip.id, "stale", (*reasons, *why), kept)


def _files(folder: Path, clip: Clip, plan: FeaturePlan) -> list[Path]:
    """The files of a clip in a folder: one, or with ``policy: all`` those its index lists; none if it isn't there."""
    if plan.settings.faces.policy != "all":
        path = folder / f"{clip.id}.h5"
        return [path] if path.exists() else []
    from stage1_embeddings.plan import tracks_in

    try:
        index = json_of((folder / f"{clip.id}{INDEX}").read_text(encoding="utf-8"))
        return [folder / f"{name}.h5" for name in tracks_in(index)]
    except (OSError, ValueError, AttributeError):
        return []  # never computed, or cut off: it is computed again


def _nearest(clip: Clip, plan: FeaturePlan, others: list[Path]) -> dict[str, Any] | None:
    """Of the same clip under other settings, the file that shares most modalities with these; then the newest."""
    found: list[tuple[int, int, dict[str, Any]]] = []
    for folder in others:
        # Tracks and whole clips are each other's neighbours: what differs then is the policy.
        for path in [folder / f"{clip.id}.h5", *_files(folder, clip, plan)[:1]]:
            try:
                attributes = read_attributes(path) if path.is_file() else None
            except CacheError:
                continue  # `verify` speaks of damaged files; this one can't say what it was made by
            if attributes is not None:
                shared = len(MODALITIES) - len(_stale_modalities(plan, attributes))
                found.append((shared, path.stat().st_mtime_ns, attributes))
    return max(found, key=lambda item: item[:2])[2] if found else None


def _stale_modalities(plan: FeaturePlan, attributes: Mapping[str, Any]) -> list[Modality]:
    return [name for name in MODALITIES if attributes.get(f"fingerprint_{name}") != plan.fingerprints[name]]


def _inputs(clip: Clip, plan: FeaturePlan, attributes: Mapping[str, Any]) -> tuple[State, list[str]]:
    """What of a clip's inputs is another than when its file was made."""
    from stage1_embeddings.faces.ready import listing
    from stage1_embeddings.transcript import find_transcript

    if clip.utterances:
        return _utterances(clip, plan, attributes)
    reasons: list[str] = []
    status = clip.source.stat()
    size, unit = (status.st_size, "bytes") if clip.source.is_file() else (len(list(clip.source.iterdir())), "crops")
    if attributes.get("source_size") != size:
        reasons.append(f"the source is another: {attributes.get('source_size')} {unit} then, {size} now")
    beside = find_transcript(clip.source)
    if (sha256(beside) if beside else "") != (attributes.get("transcript_sha256") or ""):
        before, now = attributes.get("transcript") or "none", beside.name if beside else "none"
        reasons.append("the transcript was changed" if before == now else f"transcript: {before} then, {now} now")
    if (sha256(clip.annotation) if clip.annotation else "") != (attributes.get("annotation_sha256") or ""):
        there = bool(attributes.get("annotation_sha256"))
        now = "was changed" if there and clip.annotation else "is gone" if there else "is new"
        reasons.append(f"the annotation {now}")
    if reasons:
        return "stale", reasons
    listed = attributes.get("crops_listing")
    crops_touched = bool(listed) and clip.crops is not None and listed != listing(clip.crops)
    if attributes.get("source_mtime_ns") != status.st_mtime_ns or crops_touched:
        return "touched", ["the source's time of change is another: the next run compares its content"]
    return "done", []


def _utterances(clip: Clip, plan: FeaturePlan, attributes: Mapping[str, Any]) -> tuple[State, list[str]]:
    """As `_inputs`, of a clip that comes as text."""
    now = plan.source(clip)
    reasons = ["the text is another"] if attributes.get("source_sha256") != now.sha256 else []
    if attributes.get("annotation_sha256") != now.annotation_sha256:
        reasons.append("the labels were changed")
    if attributes.get("features_sha256", "") != now.features_sha256:
        reasons.append("the features that the data set brings are others")
    return ("stale", reasons) if reasons else ("done", [])


def _why(modality: Modality, plan: FeaturePlan, attributes: Mapping[str, Any]) -> list[str]:
    """In which settings, or which encoder, a modality differs: key by key."""
    reasons = []
    encoder, wanted = attributes.get(f"encoder_{modality}") or {}, plan.describe(modality)
    if encoder.get("identity") != wanted["identity"]:
        reasons.append(f"{modality}: encoder {encoder_in_words(encoder)} then, {encoder_in_words(wanted)} now")
    stored = attributes.get("settings") or {}
    for name in SECTIONS[modality]:
        section: Section = getattr(plan.settings, name)
        reasons += [f"{modality}: {text}" for text in differences(stored.get(name) or {}, section, f"stage1.{name}")]
    return reasons or [f"{modality}: the program computes it differently since, or a recogniser's weights changed"]


def differences(stored: Mapping[str, Any], section: Section, key: str) -> list[str]:
    """What shapes a result and differs between stored settings and a recipe's section: ``key: 1 then, 2 now``."""
    now = section.shaping()
    then = {name: value for name, value in stored.items() if name not in section.SPEED_ONLY}
    found = []
    for name in dict.fromkeys([*now, *then]):
        if name not in then:
            found.append(f"{key}.{name}: no such setting then, {now[name]} now")
        elif name not in now:
            found.append(f"{key}.{name}: {then[name]} then, no such setting now")
        elif then[name] != now[name]:
            found.append(f"{key}.{name}: {then[name]} then, {now[name]} now")
    return found
