"""What the scripts of a video's page read: the arrays of its tracks as compact text, little-endian in base64."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from common.errors import DataError
from common.polar import reach
from common.schema import MODALITIES, Modality
from common.timeline import frame_edges_s
from stage3_mlp.views.clip.facts import shown_frames
from stage3_mlp.views.colours import track_property
from stage3_mlp.views.media import Media
from stage3_mlp.views.view import Track, VideoView

#: Columns of a strip of path strength, at most: more than a screen has.
MAX_COLUMNS: Final = 2000
#: Of a strip's values, the part that its scale reaches; the few above are drawn as strong as its end.
_SCALE_REACHES: Final = 99.0
#: What there is of a modality, and that it is there.
_SOURCES: Final[dict[Modality, str]] = {
    "visual": "a face is there",
    "audio": "sound is there",
    "text": "words are there",
}
#: A face box where there is no face.
_NO_BOX: Final = -32768


def checked(view: VideoView) -> None:
    """Refuse what can't be shown.

    Raises
    ------
    DataError
        If there is no track, arrays of a track differ in length, or times don't increase or aren't numbers.
    """
    if not view.tracks:
        raise DataError(f"{view.name!r} has no clip to show.", "Predict at least one clip of it.")
    for track in view.tracks:
        _check_track(track)
    for word in view.words:
        if not (np.isfinite([word.start_s, word.end_s]).all() and word.start_s <= word.end_s):
            raise DataError(
                f"Word {word.text!r} of {view.name!r} lasts from {word.start_s} to {word.end_s} s.",
                "A word begins before it ends; make the features of this video again.",
            )


def _check_track(track: Track) -> None:
    prediction = track.prediction
    frames = len(prediction.time_s)
    shapes = {prediction.values.shape, prediction.labels.shape}
    masks = {len(mask) for mask in prediction.present.values()}
    if frames == 0 or shapes != {(frames, 2)} or masks != {frames} or track.box.shape != (frames, 4):
        raise DataError(
            f"Clip {prediction.clip!r} has {frames} frame times, values and labels of shape {sorted(shapes)}, masks "
            f"of length {sorted(masks)} and boxes of shape {track.box.shape}.",
            "A clip of T >= 1 frames has values and labels (T, 2), masks (T,) and boxes (T, 4).",
        )
    if not np.isfinite(prediction.time_s).all() or not (np.diff(prediction.time_s) > 0).all():
        raise DataError(
            f"The frame times of clip {prediction.clip!r} don't increase throughout.",
            "Make the features of this video again.",
        )
    if listening := track.listening:
        given = {listening.strength.shape, listening.attended.shape}
        if given != {(frames, len(listening.paths))}:
            raise DataError(
                f"Clip {prediction.clip!r} has {frames} frames, and the attention of {len(listening.paths)} paths has "
                f"shape {sorted(given)}.",
                "Ask for the attention again.",
            )


def page_data(view: VideoView, media: Media | None) -> dict[str, Any]:
    """A JSON object of a checked view; face boxes are in it where there is a video to draw them on."""
    largest = _largest(view)
    return {
        "tracks": [_track(track, index, with_box=media is not None) for index, track in enumerate(view.tracks)],
        "words": {
            "start": _packed([word.start_s for word in view.words], "<f8"),
            "end": _packed([word.end_s for word in view.words], "<f8"),
        },
        "reach": 1.05 * max(1.0, largest),
        "edge": circumplex_edge(view),
        "media": media and {"start_s": media.start_s, "scale": media.width_px / media.source_width_px},
    }


def circumplex_edge(view: VideoView) -> float:
    """Where the circumplex ends on both axes."""
    return reach([_largest(view)])


def outside(view: VideoView) -> str:
    """A sentence on the predictions that lie beyond the edge of the circumplex, or ""."""
    shown = np.concatenate([track.prediction.values[shown_frames(track.prediction)] for track in view.tracks])
    beyond = int((np.abs(shown) > circumplex_edge(view)).any(axis=1).sum())
    return f"{beyond:,} of {len(shown):,} points lie beyond the edge and are drawn on it." if beyond else ""


def _largest(view: VideoView) -> float:
    """The largest of all that is drawn, on either axis and regardless of its sign; 0 where nothing is."""
    drawn = [
        array
        for track in view.tracks
        for array in (track.prediction.values[shown_frames(track.prediction)], track.prediction.labels)
    ]
    every = np.concatenate(drawn).astype(np.float64)
    return float(np.abs(every[np.isfinite(every)]).max(initial=0.0))


def _track(track: Track, index: int, *, with_box: bool) -> dict[str, Any]:
    prediction = track.prediction
    values = np.where(shown_frames(prediction)[:, None], prediction.values, np.nan)
    labelled = bool(np.isfinite(prediction.labels).any())
    bits = sum(prediction.present[name].astype(np.uint8) << bit for bit, name in enumerate(MODALITIES))
    edges = frame_edges_s(prediction.time_s)
    return {
        "name": prediction.clip,
        "colour": track_property(index),
        "time": _packed(prediction.time_s, "<f8"),
        "end_s": float(edges[-1]),
        "values": [_packed(values[:, column], "<f4") for column in (0, 1)],
        "labels": [_packed(prediction.labels[:, column], "<f4") for column in (0, 1)] if labelled else None,
        "present": _packed(bits, "u1"),
        "box": _packed(_whole_pixels(track.box), "<i2") if with_box else None,
        "listening": _listening(track),
    }


def _whole_pixels(box: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """(T, 4) int16: finer than a screen shows; ``_NO_BOX`` where there is no face."""
    there = np.isfinite(box).all(axis=1, keepdims=True)
    limits = np.iinfo(np.int16)
    pixels = np.clip(np.round(np.where(there, box, 0)), limits.min + 1, limits.max)
    return np.where(there, pixels, _NO_BOX).astype(np.int16)


def _listening(track: Track) -> dict[str, Any] | None:
    if track.listening is None:
        return None
    step = -(-len(track.prediction.time_s) // MAX_COLUMNS)
    kinds = {"strength": track.listening.strength, "attended": track.listening.attended}
    return {
        "paths": list(track.listening.paths),
        "step": step,
        "nothing": _why_no_path(track),
        **{name: _strips(values, step) for name, values in kinds.items()},
    }


def _strips(values: npt.NDArray[np.float32], step: int) -> dict[str, Any]:
    """Means of every ``step`` frames, path after path, NaN where there is nothing; ``top`` is where the scale ends."""
    there = np.isfinite(values)
    starts = np.arange(0, len(values), step)
    count = np.add.reduceat(there, starts, axis=0, dtype=np.int64)
    total = np.add.reduceat(np.where(there, values, 0).astype(np.float64), starts, axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    top = float(np.percentile(mean[count > 0], _SCALE_REACHES)) if there.any() else 0.0
    return {"top": top, "columns": _packed(mean.T, "<f4")}


def _why_no_path(track: Track) -> str:
    """A sentence where no path of a track adds anything or is attended to at any moment, else ""."""
    listening = track.listening
    if listening is None or np.isfinite(listening.strength).any() or np.isfinite(listening.attended).any():
        return ""
    there = [_SOURCES[name] for name in MODALITIES if track.prediction.present[name].any()]
    if len(there) > 1:
        return "No path adds anything: it takes two of face, sound and words together."
    return f"No path adds anything: {f'only {there[0]}' if there else 'neither face nor sound nor a word is there'}."


def _packed(values: npt.ArrayLike | Sequence[float], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(np.asarray(values), dtype=dtype).tobytes()).decode("ascii")
