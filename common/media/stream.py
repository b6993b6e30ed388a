"""One stream of a container, decoded to its end; where it breaks off, that is an error, not a shorter clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from common.errors import MediaError
from common.media.container import check_piece, check_size, limit_decoder
from common.recipe import Decode

#: Larger pictures are decoded several at a time. Of 640 x 360 each takes 0.5 ms, and handing it from thread to thread
#: costs more processor time than that and saves none.
FRAME_THREADS_PIXELS = 1280 * 720

#: What may be missing of a Matroska file: FFmpeg passes over damaged parts, and a cut-off end, without a word.
MISSING_S = 0.5

_DAMAGED = (
    "The file is damaged or incomplete: fetch it again, or re-encode what can be saved "
    "(ffmpeg -i damaged.mp4 -c:v libx264 -c:a aac repaired.mp4) and use that."
)


def decoded(container: Any, stream: Any, path: Path, limits: Decode) -> Iterator[Any]:
    """Frames of one stream up to its end; an error where the stream breaks, or a frame is too large."""
    what = "frames" if stream.type == "video" else "pieces of sound"
    if stream.codec_context is None:
        raise MediaError(f"{path}: FFmpeg has no decoder for its {stream.type}.", "Convert it, to H.264 for instance.")
    limit_decoder(stream, path, limits)
    small = stream.type == "video" and stream.width * stream.height <= FRAME_THREADS_PIXELS
    stream.thread_type = "SLICE" if small else "AUTO"
    count, time_s = 0, 0.0
    try:
        for packet in _packets(container, stream, path):
            if packet.is_corrupt:
                raise MediaError(_stopped(path, count, what, time_s, "a packet is cut off"), _DAMAGED)
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise MediaError(_stopped(path, count, what, time_s, "damaged data"), _DAMAGED)
                if stream.type == "video":
                    check_size(path, frame.width, frame.height, limits)
                else:
                    check_piece(path, frame.samples, frame.sample_rate)
                count, time_s = count + 1, frame.time or time_s
                yield frame
    except av.FFmpegError as error:
        raise MediaError(_stopped(path, count, what, time_s, str(error.strerror)), _DAMAGED) from None


def _packets(container: Any, stream: Any, path: Path) -> Iterator[Any]:
    """Packets of one stream; of Matroska and WebM only if they have no hole and reach the end their header promises."""
    promised_s = container.duration / av.time_base if container.duration else 0.0
    if "matroska" not in container.format.name or not promised_s:
        yield from container.demux(stream)
        return
    end_s = 0.0
    both = bool(container.streams.audio) and bool(container.streams.video)
    for packet in container.demux():
        if packet.pts is not None:
            start_s = float(packet.pts * packet.time_base)
            if both and 0 < end_s < start_s - MISSING_S:
                raise MediaError(
                    f"{path} has neither picture nor sound from {end_s:.2f} s to {start_s:.2f} s.", _DAMAGED
                )
            end_s = max(end_s, start_s + float((packet.duration or 0) * packet.time_base))
        if packet.stream.index == stream.index:
            yield packet
    if end_s < promised_s - MISSING_S:
        raise MediaError(f"{path} ends after {end_s:.2f} s, but its header says {promised_s:.2f} s.", _DAMAGED)


def _stopped(path: Path, count: int, what: str, time_s: float, reason: str) -> str:
    return f"{path}: decoding broke off after {count} {what} (at {time_s:.2f} s): {reason}."
