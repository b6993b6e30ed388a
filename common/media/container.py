"""A video's container, opened as one local file, and what its headers claim against the recipe's limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import av

from common.errors import LimitError, MediaError
from common.recipe import Decode

#: Frames a second over a whole video, at most: cameras for slow motion film faster, but aren't played as fast.
MOST_HZ: Final = 300

#: One piece of sound, as decoded, is never longer than this, unless its rate is a lie.
LONGEST_PIECE_S: Final = 60.0

#: Samples in a piece, at most; the longest that FFmpeg's decoders give otherwise is 65,536.
_MOST_SAMPLES: Final = 1 << 22

#: Forms that name other files or addresses, which FFmpeg would open.
_REFERRING: Final = frozenset(
    "concat hls applehttp dash imf image2 image2pipe lavfi rtp rtsp sap sdp vobsub webm_dash_manifest avs".split()
)


@contextmanager
def opened(path: Path, limits: Decode | None = None) -> Iterator[Any]:
    """Open ``path`` as one local file, whatever its name looks like and whatever other file it names.

    Raises
    ------
    MediaError
        If it is missing, empty, or no video in a form that holds its pictures itself.
    LimitError
        If its header claims to be longer than ``limits`` let it be.
    """
    if not path.is_file():
        raise MediaError(f"{path}: there is no such file.", "Check the path.")
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes).", "Fetch it again.")
    try:
        # The prefix keeps a name like "12:30.mp4" from being taken for a protocol.
        options = {"protocol_whitelist": "file", "format_whitelist": _formats()}
        container = av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        # What FFmpeg says of a form that isn't among `_formats`.
        other = isinstance(error, av.error.ArgumentError)
        reason = "its form is none that is followed here, such as a list of files" if other else error.strerror
        raise MediaError(
            f"{path} can't be read as a video: {reason}.",
            "Check that it plays and is complete; fetch or convert it again (ffmpeg -i in -c:v libx264 out.mp4).",
        ) from None
    with container:
        if container.duration:
            check_length(path, container.duration / av.time_base, limits or Decode())
        yield container


def video_stream(container: Any, path: Path) -> Any:
    """FFmpeg's best video stream that isn't a cover picture."""
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        raise MediaError(f"{path} has no video stream.", "Give a video; a sound file alone has no frames to label.")
    best = container.streams.best("video")
    return best if best in streams else streams[0]


def limit_decoder(stream: Any, path: Path, limits: Decode) -> None:
    """Refuse a stream whose header is beyond the limits, and have its decoder refuse what turns out so later."""
    context = stream.codec_context
    if stream.type == "video":
        check_size(path, context.width, context.height, limits)
        # Decoders work on blocks, so on a picture that is a little larger than the one they give.
        context.options = {"max_pixels": str(2 * limits.max_pixels)}
    else:
        context.options = {"max_samples": str(_MOST_SAMPLES)}


def check_size(path: Path, width_px: int, height_px: int, limits: Decode) -> None:
    """Refuse a picture beyond ``max_pixels``."""
    if width_px * height_px > limits.max_pixels:
        raise LimitError(
            f"{path}: its picture has {width_px} x {height_px} pixels, more than {limits.max_pixels}.",
            "Scale it down (ffmpeg -i in -vf scale=1920:-2 out.mp4), or raise stage1.decode.max_pixels.",
        )


def check_length(path: Path, length_s: float, limits: Decode) -> None:
    """Refuse a video beyond ``max_duration_s``, in seconds."""
    if length_s > limits.max_duration_s:
        raise LimitError(
            f"{path}: it lasts {length_s:.0f} s, longer than {limits.max_duration_s:.0f} s.",
            "Check that it is what it should be; cut it into parts, or raise stage1.decode.max_duration_s.",
        )


def check_count(path: Path, frames: int, limits: Decode) -> None:
    """Refuse a video of more frames than any camera makes in ``max_duration_s``."""
    if frames > limits.max_duration_s * MOST_HZ:
        raise LimitError(
            f"{path}: it has more than {frames - 1} frames, and is to last {limits.max_duration_s:.0f} s at most.",
            "Check that it is what it should be; cut it into parts, or raise stage1.decode.max_duration_s.",
        )


def check_piece(path: Path, samples: int, rate_hz: int) -> None:
    """Refuse a piece of sound that would become a hundred thousand times as long where it is resampled."""
    if rate_hz <= 0 or samples / rate_hz > LONGEST_PIECE_S:
        raise MediaError(
            f"{path}: a piece of its sound has {samples} samples at {rate_hz} Hz.",
            "Its sound rate is wrong: convert it (ffmpeg -i in -c:v copy -ar 48000 out.mp4).",
        )


@cache
def _formats() -> str:
    names = {part for name in av.formats_available for part in name.split(",")}
    return ",".join(sorted(names - _REFERRING))
