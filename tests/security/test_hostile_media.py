"""Videos, sound and pictures made to fill memory or time, or to have other files read, end in a sentence."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from common.errors import CacheError, LimitError, MediaError
from common.media import decode
from common.recipe import Decode, Faces, load_recipe
from common.schema import CROP_END, CROP_FRAME, CROP_PNG, CROP_TRACK, FACE_BOX, FACE_LANDMARKS, FACE_SCORE, TIME
from common.store import write_clip
from stage1_embeddings.events import Broken, Task
from stage1_embeddings.faces.kept import kept_frames
from stage1_embeddings.faces.ready import read_crop
from stage1_embeddings.front_end import FrontEnd
from tests.common.media_files import gray, write_sound, write_video

MS = Fraction(1, 1000)


def live(path: Path, times_ms: list[int], sizes_px: tuple[int, int] = (64, 64)) -> Path:
    """A Matroska file whose header says neither how long it is nor that its last frame has another width."""
    with av.open(str(path), "w", format="matroska", options={"live": "1"}) as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.time_base = sizes_px[0], 48, "yuvj420p", MS
        for index, time_ms in enumerate(times_ms):
            picture = gray(9, width=sizes_px[index == len(times_ms) - 1])
            packet = av.Packet(cv2.imencode(".jpg", picture)[1].tobytes())
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, MS, time_ms, index - 1000
            packet.is_keyframe = True
            container.mux(packet)
    return path


def png(width: int, height: int) -> bytes:
    """What says to be a PNG of this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(bytes(100)), b"IEND"]
    parts = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(width: int, height: int) -> bytes:
    """What says to be a JPEG of this size."""
    content = bytearray(cv2.imencode(".jpg", gray(9))[1].tobytes())
    start = content.index(b"\xff\xc0")
    content[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def test_a_picture_beyond_max_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    path = write_video(tmp_path / "wide.mp4", [gray(9)])
    for read in (decode.frames, decode.times):
        with pytest.raises(LimitError, match=r"wide.mp4: .*64 x 48 pixels, more than 3000.*stage1.decode.max_pixels"):
            next(iter(read(path, limits=Decode(max_pixels=3000))))
    assert len(list(decode.frames(path, limits=Decode(max_pixels=64 * 48)))) == 1


@pytest.mark.parametrize("grown_px", [100, 4000])
def test_a_picture_that_grows_is_refused(tmp_path: Path, grown_px: int) -> None:
    path = live(tmp_path / "grows.mkv", [0, 40, 80], (64, grown_px))
    pictures = decode.frames(path, limits=Decode(max_pixels=3072))
    assert next(pictures)[1].shape == next(pictures)[1].shape == (48, 64, 3)
    with pytest.raises(MediaError, match=rf"grows.mkv: (its picture has {grown_px} x 48|decoding broke off after 2)"):
        next(pictures)


def test_a_header_that_claims_days_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "days.mkv", [gray(9), gray(9)], [0, 200_000_000])
    for read in (decode.times, decode.sound):
        with pytest.raises(LimitError, match=r"days.mkv: it lasts 2000\d\d s, longer than 86400 s.*max_duration_s"):
            list(read(path))


def test_a_stream_without_end_is_refused(tmp_path: Path) -> None:
    long = live(tmp_path / "long.mkv", [0, 40, 5000])
    with pytest.raises(LimitError, match=r"long.mkv: it lasts 5 s, longer than 1 s"):
        list(decode.times(long, limits=Decode(max_duration_s=1)))
    dense = live(tmp_path / "dense.mkv", [0] * 20)
    with pytest.raises(LimitError, match=r"dense.mkv: it has more than 15 frames"):
        list(decode.times(dense, limits=Decode(max_duration_s=0.05)))


def test_sound_at_a_false_rate_is_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "slow.mkv", [(0.0, np.zeros((1, 2048)))], 8)
    with pytest.raises(MediaError, match=r"slow.mkv: a piece of its sound has 1024 samples at 8 Hz"):
        list(decode.sound(path))


def test_a_file_that_names_others_is_no_video(tmp_path: Path) -> None:
    write_video(tmp_path / "private.mp4", [gray(9)])
    path = tmp_path / "talk.mp4"
    path.write_text("ffconcat version 1.0\nfile private.mp4\n")
    with av.open(str(path)) as container:
        assert container.format.name == "concat"  # FFmpeg alone follows it
    with pytest.raises(MediaError, match="talk.mp4 can't be read as a video: .*such as a list of files"):
        decode.probe(path)


@pytest.mark.parametrize("content", [png(60_000, 60_000), jpeg(60_000, 60_000), png(6001, 6001)])
def test_a_picture_bomb_is_refused_by_its_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "00001.png"
    path.write_bytes(content)
    with pytest.raises(LimitError, match=r"00001.png has a picture of more than 35389440 pixels"):
        read_crop(path, 112, Decode())


def test_other_forms_and_large_files_are_no_crops(tmp_path: Path) -> None:
    path = tmp_path / "00001.jpg"
    path.write_bytes(cv2.imencode(".tiff", gray(9))[1].tobytes())
    with pytest.raises(MediaError, match="00001.jpg can't be read as an image"):
        read_crop(path, 112, Decode())
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(LimitError, match="00001.jpg has 1073741824 bytes, too many for a picture"):
        read_crop(path, 112, Decode())


def test_kept_crops_hold_no_bomb(tmp_path: Path) -> None:
    content = np.frombuffer(png(20_000, 20_000), dtype=np.uint8)
    one = {CROP_FRAME: np.zeros(1, np.int64), CROP_TRACK: np.ones(1, np.int64), CROP_END: np.array([len(content)])}
    face = {
        FACE_BOX: np.zeros((1, 4), np.float32),
        FACE_LANDMARKS: np.zeros((1, 5, 2), np.float32),
        FACE_SCORE: np.zeros(1, np.float32),
    }
    path = tmp_path / "talk.h5"
    write_clip(path, {TIME: np.zeros(1), **one, **face, CROP_PNG: content}, {})
    with pytest.raises(CacheError, match=r"talk.h5 has a picture of more than 1048576 pixels.*Delete it"):
        list(kept_frames(path))


def test_another_limit_lets_a_clip_pass(tmp_path: Path) -> None:
    """What a limit ended is tried again by the next run, and limits are no part of what names a result."""
    path = write_video(tmp_path / "talk.mp4", [gray(9)])
    tight = Task("talk", path, None, None, Faces(detector="none"), 0, True, True, False, Decode(max_pixels=3000))
    (event,) = FrontEnd(None)(tight)
    assert isinstance(event, Broken) and "more than 3000" in event.problem and not event.lasting
    one, other = (load_recipe("demo", (f"stage1.decode.max_pixels={pixels}",)) for pixels in (3000, 4000))
    assert one.stage1.shaping() == other.stage1.shaping()
