"""The video written again: every frame at its own time, in step with the sound, whole or not at all."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DataError, MediaError
from common.media import decode
from common.words import Word
from stage3_mlp.views.overlay.rendition import KEYFRAME_S, render
from stage3_mlp.views.view import Track, VideoView
from tests.common.media_files import gray, noisy, write_video
from tests.stage3.predicted import predicted

MS = Fraction(1, 1000)
RATE_HZ = 48_000
CLICK = 0.9


def view_of(source: Path | None, frames: int = 3) -> VideoView:
    """A view of any video; its track covers the first frames at 25 frames/s."""
    points = np.tile([0.5, -0.5], (frames, 1))
    track = Track(predicted("clip", points, points, rate_hz=25.0), np.tile(np.float32([4, 4, 20, 20]), (frames, 1)))
    return VideoView("clip", source, (track,), (Word("word", 0.0, 0.5),))


def film(
    path: Path,
    times_ms: Sequence[int],
    bright: Sequence[int] = (),
    wave: np.ndarray | None = None,
    wave_start_ms: int = 0,
) -> Path:
    """A Matroska file with white frames among dark ones, and a mono waveform at 48 kHz from a moment on."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"bf": "0", "g": "5"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = MS
        sound = None if wave is None else container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for index, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(gray(250 if index in bright else 20), format="rgb24")
            frame.pts, frame.time_base = time_ms, MS
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for first in range(0, 0 if wave is None else len(wave), 960):
            piece = np.round(32767 * wave[first : first + 960]).astype(np.int16)
            heard = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
            heard.sample_rate, heard.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            heard.pts = first + wave_start_ms * RATE_HZ // 1000
            container.mux(sound.encode(heard))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


def clicks(seconds: float, at_s: Sequence[float]) -> np.ndarray:
    wave = np.zeros(round(seconds * RATE_HZ), np.float32)
    for moment in at_s:
        first = round(moment * RATE_HZ)
        wave[first : first + 96] = CLICK
    return wave


def flashes_s(path: Path) -> list[float]:
    """When the left edge of the picture is bright, halfway down, where nothing is drawn in."""
    return [time_s for time_s, picture in decode.frames(path) if picture[len(picture) // 2, :3].mean() > 180]


def clicks_s(path: Path) -> list[float]:
    heard = decode.audio(path, rate_hz=RATE_HZ)
    assert heard is not None
    loud = np.flatnonzero(np.abs(heard.samples) > CLICK / 3)
    starts = loud[np.diff(loud, prepend=-RATE_HZ) > RATE_HZ // 10]
    return (heard.start_s + starts / RATE_HZ).tolist()


class Stored(NamedTuple):
    """A packet as it lies in a file; PyAV's own must not be asked once the file is closed."""

    kind: str
    place: int
    time_s: float
    duration_s: float
    key: bool


def packets(path: Path) -> list[Stored]:
    """In the order in which they lie in the file."""
    with av.open(str(path)) as container:
        found = [
            Stored(
                packet.stream.type,
                packet.pos,
                float(packet.pts * packet.time_base),
                float(packet.duration * packet.time_base),
                packet.is_keyframe,
            )
            for packet in container.demux()
            if packet.pts is not None
        ]
    return sorted(found, key=lambda packet: packet.place)


class TestTimes:
    @settings(max_examples=20)
    @given(start_ms=st.sampled_from([0, 40, 5000]), steps_ms=st.lists(st.integers(1, 1500), max_size=12))
    def test_every_frame_keeps_its_own_time(self, start_ms, steps_ms, tmp_path_factory):
        folder = tmp_path_factory.mktemp("film")
        source = film(folder / "film.mkv", np.cumsum([start_ms, *steps_ms]).tolist())
        media = render(view_of(source), overlay=None, plain=folder / "plain.mp4")
        assert media is not None
        before = np.array(list(decode.times(source)))
        after = np.array(list(decode.times(media.path))) + media.start_s
        assert media.start_s == before[0]
        assert np.allclose(after, before, rtol=0, atol=1e-4)

    def test_both_outputs_have_the_same_clock(self, tmp_path):
        source = film(tmp_path / "film.mkv", [300, 333, 433, 434, 1000], wave=clicks(1.0, []))
        media = render(view_of(source), overlay=tmp_path / "overlay.mp4", plain=tmp_path / "plain.mp4")
        assert media is not None and media.start_s == 0.0
        wanted = [0.3, 0.333, 0.433, 0.434, 1.0]
        for name in ("overlay.mp4", "plain.mp4"):
            assert list(decode.times(tmp_path / name)) == pytest.approx(wanted, abs=1e-4)

    @pytest.mark.parametrize(("times_ms", "last_s"), [([0], 0.04), ([0, 50], 0.05), ([0, 20, 40, 240, 260], 0.02)])
    def test_the_last_frame_lasts_as_long_as_most(self, times_ms, last_s, tmp_path):
        source = film(tmp_path / "film.mkv", times_ms)
        render(view_of(source), overlay=None, plain=tmp_path / "plain.mp4")
        assert packets(tmp_path / "plain.mp4")[-1].duration_s == pytest.approx(last_s, abs=1e-4)

    def test_progress_counts_the_frames(self, tmp_path):
        source = write_video(tmp_path / "film.mp4", [gray(40)] * 5)
        counts: list[int] = []
        render(view_of(source), overlay=None, plain=tmp_path / "plain.mp4", on_frame=counts.append)
        assert counts == [1, 2, 3, 4, 5]

    def test_a_keyframe_comes_at_least_each_second(self, tmp_path):
        times_ms = [*range(0, 3000, 10), *range(3000, 8000, 400)]
        source = film(tmp_path / "film.mkv", times_ms)
        render(view_of(source), overlay=None, plain=tmp_path / "plain.mp4")
        keys = [packet.time_s for packet in packets(tmp_path / "plain.mp4") if packet.key]
        assert keys[0] == 0.0
        assert max(np.diff(keys)) <= KEYFRAME_S + 0.4 + 1e-3


class TestSound:
    @pytest.mark.parametrize(
        ("picture_ms", "sound_ms", "sound_s"),
        [(0, 0, 6.0), (0, 0, 5.95), (700, 0, 8.0), (0, 1100, 4.8), (5000, 5000, 6.0), (0, 20, 20.0), (33, 0, 6.0)],
    )
    def test_clicks_stay_with_flashes(self, picture_ms, sound_ms, sound_s, tmp_path):
        bright = (30, 75, 146)
        times_ms = [picture_ms + 40 * index for index in range(150)]
        moments = [(times_ms[index] - sound_ms) / 1000 for index in bright]
        source = film(tmp_path / "film.mkv", times_ms, bright, clicks(sound_s, moments), sound_ms)
        media = render(view_of(source), overlay=tmp_path / "overlay.mp4", plain=tmp_path / "plain.mp4")
        assert media is not None and media.start_s == pytest.approx(min(picture_ms, sound_ms) / 1000, abs=1e-3)
        for name in ("overlay.mp4", "plain.mp4"):
            seen, heard = flashes_s(tmp_path / name), clicks_s(tmp_path / name)
            assert len(seen) == len(heard) == 3
            assert np.abs(np.subtract(seen, heard)).max() < 0.02
            assert seen == pytest.approx([times_ms[index] / 1000 - media.start_s for index in bright], abs=1e-3)

    def test_all_of_a_sound_longer_than_the_picture_is_there(self, tmp_path):
        source = film(tmp_path / "film.mkv", [0, 40], wave=clicks(25.0, [24.0]))
        render(view_of(source), overlay=None, plain=tmp_path / "plain.mp4")
        assert clicks_s(tmp_path / "plain.mp4") == pytest.approx([24.0], abs=0.02)

    def test_no_sound_gives_no_sound_track(self, tmp_path):
        source = write_video(tmp_path / "film.mp4", [gray(40)] * 3)
        render(view_of(source), overlay=tmp_path / "overlay.mp4", plain=tmp_path / "plain.mp4")
        for name in ("overlay.mp4", "plain.mp4"):
            with av.open(str(tmp_path / name)) as container:
                assert [stream.type for stream in container.streams] == ["video"]

    def test_picture_and_sound_lie_beside_each_other(self, tmp_path):
        """A player that reads on finds the sound of a moment near its picture."""
        source = film(tmp_path / "film.mkv", range(0, 12000, 40), wave=clicks(12.0, [3.0]))
        render(view_of(source), overlay=None, plain=tmp_path / "plain.mp4")
        reached = {"video": 0.0, "audio": 0.0}
        for packet in packets(tmp_path / "plain.mp4"):
            reached[packet.kind] = packet.time_s
            assert abs(reached["video"] - reached["audio"]) < 1.5


class TestPicture:
    @pytest.mark.parametrize(
        ("size", "wanted"),
        [
            ((64, 48), (64, 48)),
            ((101, 75), (100, 74)),
            ((1280, 720), (852, 480)),
            ((30, 960), (14, 480)),
            ((640, 80), (640, 80)),
            ((1, 1), (2, 2)),
        ],
    )
    def test_sizes_are_even_and_no_larger(self, size, wanted, tmp_path):
        def exact(stream: Any) -> None:
            stream.pix_fmt = "yuv444p"

        picture = gray(90, size[1], size[0])
        source = write_video(tmp_path / "film.mkv", [picture] * 2, codec="ffv1", shape=exact)
        media = render(view_of(source), overlay=tmp_path / "overlay.mp4", plain=tmp_path / "plain.mp4")
        assert media is not None
        assert (media.width_px, media.height_px, media.source_width_px) == (*wanted, size[0])
        info = decode.probe(media.path)
        assert (info.width_px, info.height_px, info.codec) == (*wanted, "h264")
        drawn = decode.probe(tmp_path / "overlay.mp4")
        assert drawn.width_px % 2 == drawn.height_px % 2 == 0

    @pytest.mark.parametrize("shade", [(220, 30, 40), (30, 190, 60), (20, 40, 200), (250, 250, 250), (0, 0, 0)])
    def test_colours_survive(self, shade, tmp_path):
        def exact(stream: Any) -> None:
            stream.pix_fmt = "bgr0"

        picture = np.full((64, 64, 3), shade, np.uint8)
        source = write_video(tmp_path / "film.mkv", [picture], codec="ffv1", shape=exact)
        render(view_of(source), overlay=None, plain=tmp_path / "plain.mp4")
        [(_, found)] = decode.frames(tmp_path / "plain.mp4")
        assert np.abs(found[16:48, 16:48].reshape(-1, 3).mean(axis=0) - shade).max() < 6

    def test_pictures_come_in_their_order(self, tmp_path):
        levels = [20, 60, 100, 140, 180, 220]
        source = write_video(tmp_path / "film.mp4", [gray(level) for level in levels])
        render(view_of(source), overlay=None, plain=tmp_path / "plain.mp4")
        found = [picture.mean() for _, picture in decode.frames(tmp_path / "plain.mp4")]
        assert found == pytest.approx(levels, abs=6)

    def test_a_browser_finds_the_index_first(self, tmp_path):
        source = write_video(tmp_path / "film.mp4", [gray(40)] * 3)
        render(view_of(source), overlay=None, plain=tmp_path / "plain.mp4")
        written = (tmp_path / "plain.mp4").read_bytes()
        assert written.index(b"moov") < written.index(b"mdat")
        assert decode.probe(tmp_path / "plain.mp4").codec == "h264"

    @pytest.mark.shared_data
    def test_a_turned_video_stands_upright(self, shared, tmp_path):
        source = shared("hard/rotated_90_3frames_decord.mov")
        media = render(view_of(source), overlay=tmp_path / "overlay.mp4", plain=tmp_path / "plain.mp4")
        assert media is not None
        assert (media.width_px, media.height_px, media.source_width_px) == (270, 480, 320)
        assert len(list(decode.times(media.path))) == 3


class TestWhole:
    def test_a_broken_video_leaves_nothing(self, tmp_path):
        whole = film(tmp_path / "film.mkv", range(0, 4000, 40), wave=clicks(4.0, [1.0]))
        broken = tmp_path / "broken.mkv"
        broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        folder = tmp_path / "out"
        folder.mkdir()
        (folder / "plain.mp4").write_bytes(b"as it was")
        with pytest.raises(MediaError, match=r"broken\.mkv"):
            render(view_of(broken), overlay=folder / "overlay.mp4", plain=folder / "plain.mp4")
        assert [path.name for path in folder.iterdir()] == ["plain.mp4"]
        assert (folder / "plain.mp4").read_bytes() == b"as it was"

    def test_an_interruption_leaves_nothing(self, tmp_path):
        source = write_video(tmp_path / "film.mp4", [gray(40)] * 30)

        def stop(count: int) -> None:
            if count == 20:
                raise KeyboardInterrupt

        folder = tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            render(view_of(source), overlay=folder / "overlay.mp4", plain=folder / "plain.mp4", on_frame=stop)
        assert list(folder.iterdir()) == []

    def test_a_full_disk_leaves_nothing(self, tmp_path):
        source = write_video(tmp_path / "film.mp4", noisy(20))
        folder = tmp_path / "out"
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        try:
            with pytest.raises(OSError, match=r"overlay\.mp4"):
                render(view_of(source), overlay=folder / "overlay.mp4", plain=folder / "plain.mp4")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert list(folder.iterdir()) == []

    def test_a_video_that_is_gone_is_named(self, tmp_path):
        with pytest.raises(DataError, match="clip: its video is gone"):
            render(view_of(None), overlay=tmp_path / "overlay.mp4", plain=None)
        with pytest.raises(MediaError, match="no such file"):
            render(view_of(tmp_path / "gone.mp4"), overlay=tmp_path / "overlay.mp4", plain=None)
        assert list(tmp_path.iterdir()) == []

    def test_names_that_look_like_something_else(self, tmp_path):
        source = write_video(tmp_path / "film.mp4", [gray(40)] * 3)
        target = tmp_path / "12:30 <img src=x>%03d.mp4"
        media = render(view_of(source), overlay=None, plain=target)
        assert media is not None and media.path == target
        assert len(list(decode.times(target))) == 3
