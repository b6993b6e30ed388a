"""Small video and sound files for tests, written with times of our choosing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

#: Beside the project, not in it.
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

MS = Fraction(1, 1000)


def gray(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray],
    times_ms: Sequence[int] | None = None,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    shape: Any = None,
) -> Path:
    """Encode ``pictures`` with presentation times in ms (40 ms apart where not given)."""
    times_ms = range(0, 40 * len(pictures), 40) if times_ms is None else times_ms
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = MS
        if shape is not None:
            shape(stream)
        for picture, time_ms in zip(pictures, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time_ms, MS
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_with_pts(path: Path, pts_ms: Sequence[int | None]) -> Path:
    """A Matroska file whose frames carry exactly these presentation times, sensible or not."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        stream.codec_context.time_base = MS
        for index, pts in enumerate(pts_ms):
            frame = av.VideoFrame.from_ndarray(gray(20 + 20 * index), format="rgb24")
            frame.pts, frame.time_base = index, MS
            for packet in stream.encode(frame):
                packet.time_base, packet.dts, packet.pts = MS, index - 1000, pts
                container.mux(packet)
    return path


def noisy(count: int, size: int = 128) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 255, (count, size, size, 3), dtype=np.uint8))


def write_sound(path: Path, waves: Sequence[tuple[float, np.ndarray]], rate_hz: int) -> Path:
    """A Matroska (or WAV) file of float PCM: each (channels, N) piece at its own time in seconds, sensible or not."""
    with av.open(str(path), "w") as container:
        layout = "stereo" if waves[0][1].shape[0] == 2 else "mono"
        stream = container.add_stream("pcm_f32le", rate=rate_hz, layout=layout)
        count = 0
        for start_s, wave in waves:
            for first in range(0, wave.shape[1], 1024):
                piece = np.ascontiguousarray(wave[:, first : first + 1024].T.reshape(1, -1), dtype=np.float32)
                frame = av.AudioFrame.from_ndarray(piece, format="flt", layout=layout)
                frame.sample_rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), 1024 * count
                for packet in stream.encode(frame):
                    packet.time_base, packet.duration = MS, round(1000 * frame.samples / rate_hz)
                    packet.pts, packet.dts = round(1000 * (start_s + first / rate_hz)), count - 10_000
                    container.mux(packet)
                count += 1
    return path


def tone(seconds: float, rate_hz: int, channels: int = 1, level: float = 0.5) -> np.ndarray:
    wave = level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)
    return np.tile(wave.astype(np.float32), (channels, 1))
