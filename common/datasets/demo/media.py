"""Pictures and sound into one MP4: H.264 and AAC, as PyAV's own FFmpeg encodes them."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

_QUALITY = {"crf": "20", "preset": "veryfast"}
_AUDIO_BITS_PER_S = 64_000
_AUDIO_FRAME_SAMPLES = 1024


def write_mp4(
    path: Path,
    pictures: Iterable[npt.NDArray[np.uint8]],
    *,
    size_px: int,
    rate_hz: int,
    wave: npt.NDArray[np.float32],
    audio_rate_hz: int,
) -> None:
    """Write a video with a mono sound track; both begin at 0 s. The same input gives the same bytes.

    Parameters
    ----------
    pictures : (P, P, 3) uint8 RGB each, P = ``size_px``
    rate_hz : int, pictures per second
    wave : (S,) float32 in [-1, 1]
    audio_rate_hz : int, samples per second
    """
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=rate_hz, options=_QUALITY)
        video.width = video.height = size_px
        video.pix_fmt = "yuv420p"
        # One thread: the number of a machine's cores must not change the bytes.
        video.thread_count = 1
        audio = container.add_stream("aac", rate=audio_rate_hz, layout="mono")
        audio.bit_rate = _AUDIO_BITS_PER_S
        spoken = 0
        for index, picture in enumerate(pictures):
            container.mux(video.encode(_video_frame(picture, index, rate_hz)))
            heard = round((index + 1) * audio_rate_hz / rate_hz)
            spoken = _encode_audio(container, audio, wave, spoken, min(heard, len(wave)))
        _encode_audio(container, audio, wave, spoken, len(wave), last=True)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _video_frame(picture: npt.NDArray[np.uint8], index: int, rate_hz: int) -> Any:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts, frame.time_base = index, Fraction(1, rate_hz)
    return frame


def _encode_audio(
    container: Any, stream: Any, wave: npt.NDArray[np.float32], first: int, stop: int, *, last: bool = False
) -> int:
    """Encode whole AAC frames of ``wave[first:stop]``, on ``last`` the rest as well; give where it stopped."""
    while stop - first >= _AUDIO_FRAME_SAMPLES or (last and stop > first):
        piece = wave[first : min(first + _AUDIO_FRAME_SAMPLES, stop)]
        frame = av.AudioFrame.from_ndarray(piece[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = stream.rate, first
        frame.time_base = Fraction(1, stream.rate)
        container.mux(stream.encode(frame))
        first += len(piece)
    return first
