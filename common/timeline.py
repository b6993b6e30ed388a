"""Seconds, frames, samples, hops: the only place with rate arithmetic.

Seconds on the container's presentation clock are the master; everything else is placed by them. A frame is shown
from its own time until the next frame's, the last one for the median step.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: HuBERT, wav2vec 2.0 and Whisper all listen at 16 kHz (the paper's 48 kHz is the recording's rate).
AUDIO_RATE_HZ = 16_000

#: What a clip of a single frame is taken to last, as it has no step of its own.
LONE_FRAME_S = 1 / 25

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


def frame_edges_s(time_s: Floats) -> npt.NDArray[np.float64]:
    """Edges of the frames' intervals: frame ``i`` is shown during ``[edges[i], edges[i + 1])``.

    Parameters
    ----------
    time_s : (T,) float64, seconds, strictly increasing, T >= 1

    Returns
    -------
    (T + 1,) float64, seconds
    """
    step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else LONE_FRAME_S
    return np.append(np.asarray(time_s, dtype=np.float64), float(time_s[-1]) + step_s)


def frame_rate_hz(time_s: Floats) -> float:
    """Frames per second over the whole clip, as measured from presentation times."""
    edges = frame_edges_s(time_s)
    return (len(edges) - 1) / float(edges[-1] - edges[0])


def odd_frames(width_s: float, time_s: Floats) -> int:
    """The odd number of frames, at least 1, that comes nearest to ``width_s`` seconds of a clip."""
    return 2 * max(0, round((width_s * frame_rate_hz(time_s) - 1) / 2)) + 1


def hop_centres_s(hops: int, *, hop_samples: int, field_samples: int, rate_hz: int = AUDIO_RATE_HZ) -> Floats:
    """Times, from the first sample on, at the middle of each hop's receptive field.

    A stack of convolutions with total stride 320 and receptive field 400 (HuBERT) puts hop ``k`` at sample
    ``320 k + 200``.
    """
    return (np.arange(hops) * hop_samples + field_samples / 2) / rate_hz


def hops_to_frames(values: Floats, centres_s: Floats, time_s: Floats) -> Floats:
    """Features at their own rate, moved to the frame clock.

    A frame gets the mean of the hops whose centres lie in its interval; where none does (hops slower than
    frames), the nearest hop.

    Parameters
    ----------
    values : (N, D) float, N >= 1
    centres_s : (N,) seconds, increasing, on the clock of ``time_s``
    time_s : (T,) seconds

    Returns
    -------
    (T, D) float32
    """
    return hops_within(values, centres_s, frame_edges_s(time_s))


def hops_within(values: Floats, centres_s: Floats, edges: Floats) -> Floats:
    """As `hops_to_frames`, for frames given by the edges of their intervals: (T + 1,) seconds."""
    first = np.searchsorted(centres_s, edges[:-1], side="left")
    last = np.searchsorted(centres_s, edges[1:], side="left")
    total = np.zeros((len(values) + 1, values.shape[1]), dtype=np.float64)
    np.cumsum(values, axis=0, dtype=np.float64, out=total[1:])
    count = last - first
    mean = (total[last] - total[first]) / np.maximum(count, 1)[:, None]
    middle = (edges[:-1] + edges[1:]) / 2
    nearest = _nearest(centres_s, middle)
    return np.where((count > 0)[:, None], mean, values[nearest]).astype(np.float32)


def frames_within(time_s: Floats, start_s: float, end_s: float) -> Bools:
    """(T,) bool: is the middle of each frame's interval inside ``[start_s, end_s)``?"""
    edges = frame_edges_s(time_s)
    middle = (edges[:-1] + edges[1:]) / 2
    return (middle >= start_s) & (middle < end_s)


def spans_to_frames(start_s: Floats, end_s: Floats, time_s: Floats) -> npt.NDArray[np.int64]:
    """(T,) int64: which span (word) is under the middle of each frame; -1 where none is.

    Where spans overlap, the one that began last is taken: it is the one being spoken.

    Parameters
    ----------
    start_s, end_s : (W,) seconds, ``start_s`` not decreasing
    """
    edges = frame_edges_s(time_s)
    middle = (edges[:-1] + edges[1:]) / 2
    at = np.full(len(time_s), -1, dtype=np.int64)
    for index, (start, end) in enumerate(zip(start_s, end_s, strict=True)):
        low, high = np.searchsorted(middle, (start, end), side="left")
        at[low:high] = index
    return at


def stretch(values: Floats, frames: int, start: int = 0, stop: int | None = None) -> Floats:
    """Eq. 12: S tokens become T frames by linear interpolation, the first and last token at the ends.

    Parameters
    ----------
    values : (S, D) float, S >= 1
    frames : int, T
    start, stop : int
        Of the T frames, those to return; all by default.

    Returns
    -------
    (T, D) float32, or (stop - start, D)
    """
    position = np.linspace(0, len(values) - 1, frames)[start:stop]
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, len(values) - 1)
    weight = (position - low)[:, None]
    return ((1 - weight) * values[low] + weight * values[high]).astype(np.float32)


def _nearest(sorted_values: Floats, wanted: Floats) -> npt.NDArray[np.int64]:
    right = np.clip(np.searchsorted(sorted_values, wanted), 1, max(len(sorted_values) - 1, 1))
    right = np.minimum(right, len(sorted_values) - 1)
    left = np.maximum(right - 1, 0)
    closer_left = np.abs(wanted - sorted_values[left]) <= np.abs(sorted_values[right] - wanted)
    return np.where(closer_left, left, right)
