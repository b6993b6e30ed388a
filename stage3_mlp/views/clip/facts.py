"""What the page of a video says in words and tables of each of its tracks."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.metrics import score
from common.polar import QUADRANTS, quadrant
from common.schema import Modality
from common.timeline import frame_edges_s, frame_rate_hz
from stage3_mlp.page import Cell, number
from stage3_mlp.predictions import ClipPrediction

Bools = npt.NDArray[np.bool_]

#: In words: nothing there at all, and the start of "... on n of m frames".
_PRESENCE: dict[Modality, tuple[str, str]] = {
    "visual": ("No face was found on any frame.", "A face was found"),
    "audio": ("There is no sound.", "Sound is there"),
    "text": ("There are no words.", "Words are there"),
}


@dataclass(frozen=True)
class TrackFacts:
    """One track in words.

    Attributes
    ----------
    name : of the clip; it comes from a stranger
    colour : as a style sheet writes it
    frames, duration_s, rate_hz : length on its own frame clock
    mean : of valence and of arousal, over the frames that are shown
    quadrant : the name of the mean's, "unknown" where there is no mean
    shares : percent of the shown time in each quadrant, in their order, then what else there is; empty without any
    presence : per modality, is nothing there at all, and what is there, as a sentence
    lost, bare : frames whose prediction isn't finite, and other frames with nothing behind them; neither is shown
    labelled : frames with both labels, or None where there is no label at all
    ccc : valence, arousal, mean; over the frames with both labels, as the test's score
    """

    name: str
    colour: str
    frames: int
    duration_s: float
    rate_hz: float
    mean: list[Cell]
    quadrant: str
    shares: list[tuple[str, float]]
    presence: list[tuple[bool, str]]
    lost: int
    bare: int
    labelled: int | None
    ccc: list[Cell]


def track_facts(prediction: ClipPrediction, colour: str) -> TrackFacts:
    """All of it, for one track of T >= 1 frames."""
    edges = frame_edges_s(prediction.time_s)
    finite = _finite(prediction)
    seen = shown_frames(prediction)
    mean = prediction.values[seen].mean(axis=0, dtype=np.float64) if seen.any() else np.full(2, np.nan)
    labelled = bool(np.isfinite(prediction.labels).any())
    return TrackFacts(
        name=prediction.clip,
        colour=colour,
        frames=len(seen),
        duration_s=float(edges[-1] - edges[0]),
        rate_hz=frame_rate_hz(prediction.time_s),
        mean=[number(value, "there is no prediction to show", "+.3f") for value in mean.tolist()],
        quadrant=quadrant(*mean.tolist()) if seen.any() else "unknown",
        shares=_shares_of_time(prediction, seen, np.diff(edges)),
        presence=_presence(prediction),
        lost=int((~finite).sum()),
        bare=int((finite & ~seen).sum()),
        labelled=int(np.isfinite(prediction.labels).all(axis=1).sum()) if labelled else None,
        ccc=_concordances(prediction) if labelled else [],
    )


def shown_frames(prediction: ClipPrediction) -> Bools:
    """(T,) bool: is the prediction finite, and is there anything behind it?"""
    return _finite(prediction) & prediction.anything


def _finite(prediction: ClipPrediction) -> Bools:
    return np.asarray(np.isfinite(prediction.values).all(axis=1))


def _shares_of_time(
    prediction: ClipPrediction, seen: Bools, durations_s: npt.NDArray[np.float64]
) -> list[tuple[str, float]]:
    total: dict[str, float] = defaultdict(float, dict.fromkeys(QUADRANTS, 0.0))
    for point, duration_s in zip(prediction.values[seen].tolist(), durations_s[seen].tolist(), strict=True):
        total[quadrant(*point)] += duration_s
    whole_s = sum(total.values())
    return [(name, 100 * time_s / whole_s) for name, time_s in total.items()] if whole_s else []


def _presence(prediction: ClipPrediction) -> list[tuple[bool, str]]:
    sentences = []
    for modality, (nothing, something) in _PRESENCE.items():
        mask = prediction.present[modality]
        there, frames = int(mask.sum()), len(mask)
        partly = f"{something} on {there:,} of {frames:,} frames ({math.floor(100 * there / frames)} %)."
        sentence = nothing if not there else f"{something} on every frame." if there == frames else partly
        sentences.append((there == 0, sentence))
    return sentences


def _concordances(prediction: ClipPrediction) -> list[Cell]:
    labels, values = prediction.labels, prediction.values
    both = np.asarray(np.isfinite(labels).all(axis=1))
    lost = int((both & ~_finite(prediction)).sum())
    if lost:
        return [Cell("", f"{lost:,} labelled frames have no finite prediction")] * 3
    why = "fewer than two frames have labels" if both.sum() < 2 else "neither predictions nor labels vary"
    found = score([(values, np.where(both[:, None], labels, np.nan))])
    return [number(value, why) for value in (found.ccc_valence, found.ccc_arousal, found.ccc_mean)]
