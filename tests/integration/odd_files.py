"""Videos whose containers are odd in a known way, made of pictures and times of our choosing."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from common.media import decode

MS = Fraction(1, 1000)
RATE_HZ = 16_000

#: Upright picture of the faces below, and the face's corner in it: off the middle, so that no turn keeps its place.
HEIGHT, WIDTH, FACE_PX, CORNER = 240, 320, 160, (24, 12)


def faces(video: Path, count: int) -> list[np.ndarray]:
    """Pictures of (HEIGHT, WIDTH) with the face of a drawn video in their upper left."""
    shown = [picture for _, picture in decode.frames(video)][:count]
    return [on_wall(cv2.resize(picture, (FACE_PX, FACE_PX), interpolation=cv2.INTER_AREA)) for picture in shown]


def on_wall(picture: np.ndarray | None = None) -> np.ndarray:
    wall = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    wall[:, 200:] = (90, 70, 50)
    if picture is not None:
        x, y = CORNER
        wall[y : y + FACE_PX, x : x + FACE_PX] = picture
    return wall


def grey(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def write(
    file: Any,
    pictures: Sequence[np.ndarray],
    times_ms: Sequence[int] | None = None,
    *,
    codec: str = "libx264",
    encoder: dict[str, str] | None = None,
    degrees: int = 0,
    sound: tuple[str, int, np.ndarray] | None = None,
    sound_first: bool = True,
    format: str | None = None,
    options: dict[str, str] | None = None,
) -> Any:
    """Encode pictures at presentation times (40 ms apart where not given); give ``file`` back.

    Parameters
    ----------
    file : Path, or an object to write to
    degrees : int
        What a player is asked to turn the picture by.
    sound : (codec, start in ms, (N,) float32 at 16 kHz), optional
    sound_first : bool
        Whether its stream is the first of the file, or the second.
    """
    times_ms = range(0, 40 * len(pictures), 40) if times_ms is None else times_ms
    target = str(file) if isinstance(file, Path) else file
    with av.open(target, "w", format=format, options=options or {}) as container:
        heard = _audio(container, sound[0]) if sound and sound_first else None
        stream = _video(container, codec, pictures[0], encoder or {})
        heard = heard or (_audio(container, sound[0]) if sound else None)
        if degrees:
            stream.set_display_rotation(degrees)
        if sound and heard is not None:
            _encode_sound(container, heard, sound[1], sound[2])
        for picture, time_ms in zip(pictures, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time_ms, MS
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file


def write_several(path: Path, films: Sequence[Sequence[np.ndarray]], default: Sequence[int]) -> Path:
    """A file with one video stream for each film, those of ``default`` marked as what a player should take."""
    with av.open(str(path), "w") as container:
        streams = [_video(container, "libx264", film[0], {}) for film in films]
        for index, stream in enumerate(streams):
            stream.disposition = av.stream.Disposition.default if index in default else av.stream.Disposition(0)
        for stream, film in zip(streams, films, strict=True):
            for index, picture in enumerate(film):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = 40 * index, MS
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


class Pipe(io.RawIOBase):
    """Takes bytes and can't go back, like a pipe: a muxer can't correct its header at the end."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.content += bytes(content)
        return len(content)


def numbers_after(content: bytes, name: bytes, offset: int, count: int = 1) -> list[int]:
    """The 32-bit numbers ``offset`` bytes after the end of a box's name, big end first."""
    return list(struct.unpack_from(f">{count}I", content, content.index(name) + 4 + offset))


def patched(content: bytes, name: bytes, offset: int, value: int, form: str = ">I") -> bytes:
    """``content`` with the number at this place of the box, or chunk, ``name`` replaced; each one of that name."""
    changed = bytearray(content)
    place = changed.find(name)
    assert place >= 0, f"there is no {name!r}"
    while place >= 0:
        struct.pack_into(form, changed, place + 4 + offset, value)
        place = changed.find(name, place + 4)
    return bytes(changed)


def tone(seconds: float, hz: float = 440) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def _video(container: Any, codec: str, picture: np.ndarray, encoder: dict[str, str]) -> Any:
    stream = container.add_stream(codec, rate=25, options=encoder)
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
    stream.codec_context.time_base = Fraction(1, 25) if codec in {"mpeg4", "mpeg1video"} else MS
    stream.thread_count = 1
    return stream


def _audio(container: Any, codec: str) -> Any:
    return container.add_stream(codec, rate=RATE_HZ, layout="mono")


def _encode_sound(container: Any, stream: Any, start_ms: int, wave: np.ndarray) -> None:
    form = stream.codec_context.format.name
    for first in range(0, len(wave), 1024):
        piece = wave[first : first + 1024]
        piece = piece if form.startswith("flt") else (piece * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece[None, :]), format=form, layout="mono")
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts = first + start_ms * RATE_HZ // 1000
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
