"""One clip, modality by modality: from the decoded video to arrays on the frame clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import MediaError
from common.schema import (
    FACE_BOX,
    FACE_LANDMARKS,
    FACE_SCORE,
    FEATURE_DTYPE,
    LANDMARKS,
    TIME,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    present,
)
from common.store import Array
from common.timeline import frames_within, hops_to_frames, spans_to_frames, stretch
from stage1_embeddings import decode
from stage1_embeddings.faces import Face, LargestFace, align
from stage1_embeddings.tools import Tools
from stage1_embeddings.transcript import Transcript, read_transcript

Arrays = dict[str, Array | list[str]]


def visual_arrays(path: Path, tools: Tools) -> Arrays:
    """Frame times, faces and visual features (eq. 1-4); features only where there is a face.

    Raises
    ------
    MediaError
        If the video can't be decoded to its end, or has no frame.
    """
    times: list[float] = []
    faces: list[Face | None] = []
    crops: list[npt.NDArray[np.uint8]] = []
    features: list[npt.NDArray[np.float32]] = []
    follow = LargestFace(tools.detector)
    for time_s, frame in decode.frames(path):
        face = follow(frame)
        times.append(time_s)
        faces.append(face)
        if face is not None:
            crops.append(align(frame, face.landmarks, size_px=tools.settings.faces.crop_px))
        if len(crops) == tools.visual.batch_size:
            features.append(tools.visual(np.stack(crops)))
            crops.clear()
    if not times:
        raise MediaError(f"{path} has no frame.", "Check that it plays, or take it out of the data.")
    if crops:
        features.append(tools.visual(np.stack(crops)))
    mask = np.array([face is not None for face in faces])
    return {
        TIME: np.array(times, dtype=np.float64),
        "visual": _on_mask(features, mask, tools.visual.dim),
        present("visual"): mask,
        FACE_BOX: _per_frame([face.box if face else None for face in faces], (4,)),
        FACE_LANDMARKS: _per_frame([face.landmarks if face else None for face in faces], (LANDMARKS, 2)),
        FACE_SCORE: np.array([face.score if face else np.nan for face in faces], dtype=np.float32),
    }


def audio_arrays(path: Path, time_s: Array, tools: Tools) -> Arrays:
    """Audio features on the frame clock (eq. 6-7); absent before the sound begins, after it ends, in its gaps."""
    sound = decode.audio(path)
    mask = np.zeros(len(time_s), dtype=np.bool_)
    rows = np.full((len(time_s), tools.audio.dim), np.nan, dtype=FEATURE_DTYPE)
    if sound is not None:
        values, centres_s = tools.audio(sound.samples)
        if len(values):
            mask = frames_within(time_s, sound.start_s, sound.start_s + len(sound.samples) / sound.rate_hz)
            for start_s, end_s in sound.gaps:
                mask &= ~frames_within(time_s, start_s, end_s)
            rows[mask] = hops_to_frames(values, centres_s + sound.start_s, time_s)[mask]
    return {"audio": rows, present("audio"): mask}


def text_arrays(path: Path, transcript: Path | None, time_s: Array, tools: Tools) -> Arrays:
    """Text features on the frame clock (eq. 8-12) and the timed words.

    A transcript beside the video wins over recognition. ``words``: a frame has the word under its middle, and no
    text between words. ``interpolate``: eq. 12 as printed, tokens stretched over all frames.
    """
    heard = read_transcript(transcript) if transcript else recognised(path, tools)
    words = [word for segment in heard.segments for word in segment.words] if heard else []
    mask = np.zeros(len(time_s), dtype=np.bool_)
    rows = np.full((len(time_s), tools.text.dim), np.nan, dtype=FEATURE_DTYPE)
    start_s = np.array([word.start_s for word in words], dtype=np.float64)
    end_s = np.array([word.end_s for word in words], dtype=np.float64)
    if heard and words:
        features = tools.text([[word.text for word in segment.words] for segment in heard.segments])
        if tools.settings.text.alignment == "interpolate":
            mask[:] = True
            rows[:] = stretch(features.tokens, len(time_s))
        else:
            order = np.argsort(start_s, kind="stable")
            at = spans_to_frames(start_s[order], end_s[order], time_s)
            mask = at >= 0
            rows[mask] = features.words[order][at[mask]]
    return {
        "text": rows,
        present("text"): mask,
        WORD_TEXT: [word.text for word in words],
        WORD_START: start_s,
        WORD_END: end_s,
    }


def recognised(path: Path, tools: Tools) -> Transcript | None:
    """What speech recognition hears, on the presentation clock; None without a recogniser or without sound."""
    if tools.recogniser is None:
        return None
    sound = decode.audio(path)
    if sound is None:
        return None
    return tools.recogniser(sound.samples, start_s=sound.start_s)


def _on_mask(parts: list[npt.NDArray[np.float32]], mask: Array, width: int) -> Array:
    """Rows of features at the frames where ``mask`` holds, NaN elsewhere: (T, D) float16."""
    rows = np.full((len(mask), width), np.nan, dtype=FEATURE_DTYPE)
    if parts:
        rows[mask] = np.concatenate(parts)
    return rows


def _per_frame(values: list[npt.NDArray[np.float32] | None], shape: tuple[int, ...]) -> Array:
    rows = np.full((len(values), *shape), np.nan, dtype=np.float32)
    for index, value in enumerate(values):
        if value is not None:
            rows[index] = value
    return rows
