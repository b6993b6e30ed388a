"""Video and sound of a file, each with its own presentation times (PyAV, that is FFmpeg's libraries).

Times come from the container, never from an assumed rate. A file that breaks while it is being decoded is an error,
not a shorter clip: its caller sets the whole clip aside, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import VideoReformatter

from common.errors import MediaError
from common.media.container import check_count, check_length, opened, video_stream
from common.media.sound import Audio, SoundBlock, SoundTrack, joined
from common.media.stream import decoded
from common.recipe import Decode
from common.timeline import AUDIO_RATE_HZ

__all__ = ["Audio", "SoundBlock", "VideoInfo", "audio", "frames", "probe", "sound", "times"]

#: What a frame is moved to where its time isn't later than the time before it.
NUDGE_S = 1e-4

#: A clock that runs back further than this has been reset, and no rule can say where its frames belong.
MAX_STEP_BACK_S = 0.5


@dataclass(frozen=True)
class VideoInfo:
    """What a container and its first frame say about a video.

    Attributes
    ----------
    path : Path
    width_px, height_px : int
        Of the picture as shown, that is after its rotation.
    average_rate_hz : float
        The container's claim, NaN where it makes none. For information: times come from the frames.
    has_audio : bool
    codec : str
        FFmpeg's name for it, such as ``h264``.
    """

    path: Path
    width_px: int
    height_px: int
    average_rate_hz: float
    has_audio: bool
    codec: str


#: The limits where no recipe says others.
_LIMITS = Decode()


def probe(path: Path, *, limits: Decode = _LIMITS) -> VideoInfo:
    """Read the header and decode the first frame.

    Raises
    ------
    MediaError
        If the file is missing, empty, not readable, or has no video that decodes.
    LimitError
        If it is larger or longer than ``limits`` let it be.
    """
    with opened(path, limits) as container:
        stream = video_stream(container, path)
        for frame in decoded(container, stream, path, limits):
            height, width = _upright(frame, VideoReformatter()).shape[:2]
            rate = stream.average_rate or stream.guessed_rate
            return VideoInfo(
                path=path,
                width_px=width,
                height_px=height,
                average_rate_hz=float(rate) if rate else math.nan,
                has_audio=container.streams.best("audio") is not None,
                codec=stream.codec_context.name,
            )
    raise MediaError(f"{path}: its video stream has no frames.", "Check that it plays, or take it out of the data.")


def frames(path: Path, *, limits: Decode = _LIMITS) -> Iterator[tuple[float, npt.NDArray[np.uint8]]]:
    """Every frame with its presentation time, in presentation order, a few at a time in memory.

    The stream is FFmpeg's choice (default streams first, then the larger picture), cover art excepted. No frame is
    dropped, because annotations count frames: where a presentation time is missing, the frame follows the one
    before it by that one's duration; where it isn't later (by up to 0.5 s), by 0.1 ms.

    Parameters
    ----------
    path : Path
    limits : Decode
        Largest picture and longest video that are accepted.

    Yields
    ------
    time_s : float
        Seconds on the container's clock, strictly increasing; the first need not be 0.
    picture : (H, W, 3) uint8, RGB
        Upright: turned and mirrored as the container asks.

    Raises
    ------
    MediaError
        As in `probe`, once the first frame is asked for; later, where decoding breaks off (the message says after
        how many frames), where a Matroska file ends before its header says, or where the clock is reset.
    LimitError
        If its header, or a frame, is larger or later than ``limits`` let it be.
    """
    # One for all frames: setting swscale up takes longer than converting a frame of 640 x 360 does.
    reformatter = VideoReformatter()
    for time_s, frame in _clocked(path, limits):
        yield time_s, _upright(frame, reformatter)


def times(path: Path, *, limits: Decode = _LIMITS) -> Iterator[float]:
    """Presentation time of every frame, as `frames` gives it; the pictures are decoded, but not converted."""
    return (time_s for time_s, _ in _clocked(path, limits))


def _clocked(path: Path, limits: Decode) -> Iterator[tuple[float, Any]]:
    """Decoded frames with their presentation times, strictly increasing."""
    with opened(path, limits) as container:
        stream = video_stream(container, path)
        first_s = float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
        previous_s, step_s, begin_s = -math.inf, 0.0, math.inf
        for count, frame in enumerate(decoded(container, stream, path, limits), start=1):
            time_s = frame.time
            if time_s is None:
                time_s = first_s if math.isinf(previous_s) else previous_s + step_s
            if time_s < previous_s - MAX_STEP_BACK_S:
                raise _reset_clock(path, "picture", previous_s, time_s)
            time_s = max(time_s, previous_s + NUDGE_S)
            previous_s, step_s, begin_s = time_s, _duration_s(frame, stream), min(begin_s, time_s)
            check_length(path, time_s - begin_s, limits)
            check_count(path, count, limits)
            yield time_s, frame


def sound(path: Path, *, rate_hz: int = AUDIO_RATE_HZ, limits: Decode = _LIMITS) -> Iterator[SoundBlock]:
    """The sound of a file as one mono waveform on the clock of its frames, block by block; none where it has none.

    Each stretch of sound is placed by its own presentation time: holes are silence and marked, overlaps trimmed.

    Parameters
    ----------
    path : Path
    rate_hz : int
        Rate to resample to (libswresample).
    limits : Decode
        Longest video that is accepted.

    Raises
    ------
    MediaError, LimitError
        As `frames` does, for the sound.
    """
    with opened(path, limits) as container:
        video = container.streams.best("video")
        stream = container.streams.best("audio", related=video)
        if stream is None:
            return
        track, begin_s = SoundTrack(rate_hz, path), math.inf
        for frame in decoded(container, stream, path, limits):
            end_s = track.end_s
            time_s = (end_s or 0.0) if frame.time is None else frame.time
            if end_s is not None and time_s < end_s - MAX_STEP_BACK_S:
                raise _reset_clock(path, "sound", end_s, time_s)
            begin_s = min(begin_s, time_s)
            check_length(path, time_s - begin_s, limits)
            yield from track.add(frame, time_s)
        yield from track.close()


def audio(path: Path, *, rate_hz: int = AUDIO_RATE_HZ) -> Audio | None:
    """The whole `sound` of a file in memory; None where it has none."""
    return joined(sound(path, rate_hz=rate_hz))


def _upright(frame: Any, reformatter: Any) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB as it should be shown: display matrix applied, in quarter turns and reflections."""
    picture: npt.NDArray[np.uint8] = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return np.ascontiguousarray(picture)
    # libavutil/display.h: x' = a x + c y, y' = b x + d y, as (a b u, c d v, x y w) in 32-bit fixed point.
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        picture, a, d = picture.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _duration_s(frame: Any, stream: Any) -> float:
    """How long a frame is shown, by the container; by its average rate where it doesn't say."""
    if frame.duration:
        return float(frame.duration * frame.time_base)
    rate = stream.average_rate or stream.guessed_rate
    return float(1 / rate) if rate else NUDGE_S


def _reset_clock(path: Path, what: str, previous_s: float, time_s: float) -> MediaError:
    return MediaError(
        f"{path}: the time of its {what} runs back from {previous_s:.2f} s to {time_s:.2f} s.",
        "It was joined from parts without new times: re-encode it (ffmpeg -i in -c:v libx264 -c:a aac out.mp4).",
    )
