"""One clip of the cache in words."""

from __future__ import annotations

import datetime

import numpy as np
import numpy.typing as npt

from common.schema import MODALITIES, NO_EMOTION, Modality
from common.sizes import in_bytes
from stage1_embeddings.upkeep.clipview import ClipView
from stage1_embeddings.upkeep.status import encoder_in_words

#: Modality to what it stands for, as it is written under pictures.
SENSES: dict[Modality, str] = {"visual": "face", "audio": "sound", "text": "words"}

#: Stretches without a face, and words, that are listed.
_STRETCHES = 6
_WORDS = 12

#: Steps between frames that differ by more than this share of their median are a variable frame rate.
_EVEN = 0.02


def describe(view: ClipView) -> list[tuple[str, str]]:
    """The clip in words: pairs of a heading and a line."""
    edges = view.edges_s
    seconds = float(edges[-1] - edges[0])
    lines = [
        ("clip", f"{view.id}, in {view.path.parent.parent.name}/{view.path.parent.name}"),
        ("source", _source_in_words(view)),
        ("frames", f"{len(view.time_s):,} in {seconds:.2f} s, from {edges[0]:.2f} s on"),
        ("rate", rate_in_words(view.time_s)),
    ]
    if view.of_utterances:
        lines[2:] = [("rows", f"{len(view.time_s):,} utterance{'' if len(view.time_s) == 1 else 's'}")]
    unit = "utterances" if view.of_utterances else "frames"
    for modality, sense in SENSES.items():
        share = float(view.present[modality].mean())
        lines.append((sense, f"{share:.1%} of the {unit}{_detail(view, modality)}"))
    lines += [("labels", _labels_in_words(view))]
    for modality in MODALITIES:
        encoder = dict(view.attributes.get(f"encoder_{modality}") or {"model": "unknown"})
        lines.append((modality, encoder_in_words(encoder | {"width": view.widths.get(modality, 0)})))
    if mended := view.attributes.get("mended"):
        lines.append(("mended", str(mended)))
    return [*lines, ("made", _made_in_words(view))]


def rate_in_words(time_s: npt.NDArray[np.float64]) -> str:
    """Frames a second, and how even the steps between them are."""
    if len(time_s) < 2:
        return "a single frame has none"
    steps = np.diff(time_s)
    middle = float(np.median(steps))
    text = f"{1 / middle:.2f} frames/s"
    uneven = np.abs(steps - middle) > _EVEN * middle
    if not uneven.any():
        return f"{text}, even"
    low, high = 1000 * float(steps.min()), 1000 * float(steps.max())
    return (
        f"{text} by the median step; variable: {uneven.mean():.0%} of the steps are others, {low:.1f} to {high:.1f} ms"
    )


def stretches(mask: npt.NDArray[np.bool_], edges_s: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
    """Where a mask (T,) holds, as (start_s, end_s)."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(float(edges_s[start]), float(edges_s[end])) for start, end in turns.reshape(-1, 2)]


def _detail(view: ClipView, modality: Modality) -> str:
    if view.of_utterances:
        more = " | ..." if len(view.words) > _WORDS else ""
        return f": {' | '.join(view.words[:_WORDS])}{more}" if modality == "text" else ""
    if modality == "text":
        if not view.words:
            return "; no word"
        more = " ..." if len(view.words) > _WORDS else ""
        return f"; {len(view.words):,} words: {' '.join(view.words[:_WORDS])}{more}"
    gaps = stretches(~view.present[modality], view.edges_s)
    if not gaps or view.present[modality].sum() == 0:
        return ""
    longest = sorted(sorted(gaps, key=lambda gap: gap[0] - gap[1])[:_STRETCHES])
    listed = ", ".join(f"{start:.2f}-{end:.2f}" for start, end in longest)
    which = f"{len(gaps)} stretches without, the longest: " if len(gaps) > _STRETCHES else "without: "
    return f"; {which}{listed} s"


def _labels_in_words(view: ClipView) -> str:
    if view.emotions is not None:
        return f"an emotion for {int((view.emotions != NO_EMOTION).sum()):,} of {len(view.emotions):,} utterances"
    if view.labels is None:
        return "none"
    there: npt.NDArray[np.bool_] = np.asarray(np.isfinite(view.labels).all(axis=1))
    if not there.any():
        return f"none of the {len(there):,} frames is annotated"
    parts = [
        f"{name} {values.min():+.2f} to {values.max():+.2f} (mean {values.mean():+.2f})"
        for name, values in zip(("valence", "arousal"), view.labels[there].T, strict=True)
    ]
    missing = int(np.count_nonzero(~there))
    return ", ".join(parts) + (f"; {missing:,} frames not annotated" if missing else "")


def _source_in_words(view: ClipView) -> str:
    known = view.attributes
    if view.of_utterances:
        return f"{known.get('source')}, texts sha256 {str(known.get('source_sha256'))[:12]}"
    size = known.get("source_size")
    weight = f", {in_bytes(int(size))}" if isinstance(size, int) else ""
    there = f"at {view.source}" if view.source else "no longer there unchanged"
    beside = f"; words from {known['transcript']}" if known.get("transcript") else ""
    return f"{known.get('source')}{weight}, sha256 {str(known.get('source_sha256'))[:12]}, {there}{beside}"


def _made_in_words(view: ClipView) -> str:
    origin = view.attributes.get("provenance") or {}
    when = datetime.datetime.fromtimestamp(view.path.stat().st_mtime).astimezone().isoformat(" ", "minutes")[:16]
    parts = [when]
    if how := view.made.get("how"):
        parts.append(f"{how} ({view.made['seconds']} s)" if "seconds" in view.made else str(how))
    parts.append(f"commit {str(origin.get('commit', 'unknown'))[:10]}")
    return "; ".join(parts)
