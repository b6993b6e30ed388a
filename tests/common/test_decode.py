"""Decoding: times from the container, pictures upright, damage never taken for the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from common.errors import MediaError
from common.media.decode import audio, frames, probe
from common.recipe import Decode
from tests.common.media_files import SHARED, gray, noisy, tone, write_sound, write_video, write_with_pts

TEXT = b"not a video, " * 99

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the real videos at ../shared/data are absent")


class TestTimes:
    def test_variable_rate_comes_from_the_container(self, tmp_path: Path) -> None:
        times_ms = [0, 14, 55, 96, 137, 400, 401, 433]
        levels = range(20, 20 + 25 * 8, 25)
        path = write_video(tmp_path / "vfr.mp4", [gray(level) for level in levels], times_ms, options={})
        got = list(frames(path))
        assert [time_s for time_s, _ in got] == pytest.approx([ms / 1000 for ms in times_ms], abs=1e-4)
        means = [picture.mean() for _, picture in got]
        assert means == pytest.approx(list(levels), abs=4), "a picture was given another one's time"

    def test_presentation_order_with_b_frames(self, tmp_path: Path) -> None:
        def b_frames(stream: Any) -> None:
            stream.options = {"bf": "3", "b_strategy": "0"}

        path = write_video(tmp_path / "b.mp4", [gray(20 + 5 * i) for i in range(40)], shape=b_frames)
        with av.open(str(path)) as container:
            decode_order = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
        assert decode_order != sorted(decode_order), "the file has no B frames: the test would prove nothing"
        got = list(frames(path))
        assert np.diff([time_s for time_s, _ in got]) == pytest.approx(0.04, abs=1e-6)
        assert (np.diff([picture.mean() for _, picture in got]) > 2).all()

    def test_missing_times_follow_by_duration(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "raw.h264", [gray(90)] * 6, codec="libx264")
        with av.open(str(path)) as container:
            assert {frame.pts for frame in container.decode(video=0)} == {None}
        assert [time_s for time_s, _ in frames(path)] == pytest.approx([0.04 * i for i in range(6)])

    @pytest.mark.parametrize(
        ("pts_ms", "times_s"),
        [
            ([0, 40, 40, 80], [0, 0.04, 0.0401, 0.08]),
            ([0, 40, 40, 40, 80], [0, 0.04, 0.0401, 0.0402, 0.08]),
            ([0, 80, 40, 120], [0, 0.08, 0.0801, 0.12]),
            ([500, 540, 9000], [0.5, 0.54, 9.0]),
        ],
    )
    def test_every_frame_is_kept_and_later(self, tmp_path: Path, pts_ms: list[int], times_s: list[float]) -> None:
        got = list(frames(write_with_pts(tmp_path / "odd.mkv", pts_ms)))
        assert [time_s for time_s, _ in got] == pytest.approx(times_s, abs=1e-9)
        assert [picture.mean() for _, picture in got] == pytest.approx([20 + 20 * i for i in range(len(pts_ms))], abs=3)

    def test_a_reset_clock_is_an_error(self, tmp_path: Path) -> None:
        path = write_with_pts(tmp_path / "joined.mkv", [0, 1000, 2000, 40, 1040])
        with pytest.raises(MediaError, match=r"joined\.mkv: the time of its picture runs back from 2\.00 s to 0\.04 s"):
            list(frames(path))


class TestPictures:
    def test_rgb_order(self, tmp_path: Path) -> None:
        red = np.zeros((48, 64, 3), np.uint8)
        red[..., 0] = 255
        _, picture = next(frames(write_video(tmp_path / "red.mp4", [red])))
        assert picture.dtype == np.uint8 and picture.flags.c_contiguous
        assert picture[..., 0].min() > 230 and picture[..., 1:].max() < 25

    @pytest.mark.parametrize("mirror", [False, True])
    @pytest.mark.parametrize("degrees", [0, 90, 180, 270])
    def test_upright(self, tmp_path: Path, degrees: int, mirror: bool) -> None:
        seen = np.zeros((96, 128, 3), np.uint8)
        seen[:48, :64], seen[:48, 64:], seen[48:, :64] = 250, 170, 90
        # What is stored is what should be seen, with the display's reflection and rotation taken back.
        stored = np.ascontiguousarray(np.rot90(seen[:, ::-1] if mirror else seen, -degrees // 90))

        def turn(stream: Any) -> None:
            stream.set_display_rotation(degrees, hflip=mirror)

        path = write_video(tmp_path / "turned.mp4", [stored] * 2, shape=turn)
        info = probe(path)
        assert (info.height_px, info.width_px) == (96, 128)
        for _, picture in frames(path):
            assert np.abs(picture.astype(int) - seen).mean() < 6

    def test_too_many_pixels(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "big.mp4", [gray(9)])
        with pytest.raises(MediaError, match=r"64 x 48 pixels, more than 3000.*Scale it down"):
            next(frames(path, limits=Decode(max_pixels=3000)))

    @pytest.mark.parametrize("films", [0, 3])
    def test_cover_art_is_not_a_video(self, tmp_path: Path, films: int) -> None:
        path = tmp_path / "cover.mp4"
        with av.open(str(path), "w") as container:
            cover = container.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt = 640, 640, "yuvj420p"
            cover.disposition = av.stream.Disposition.attached_pic
            if films:
                video = container.add_stream("libx264", rate=25)
                video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            container.mux(cover.encode(av.VideoFrame.from_ndarray(gray(200, 640, 640), format="rgb24")))
            for _ in range(films):
                container.mux(video.encode(av.VideoFrame.from_ndarray(gray(50), format="rgb24")))
            container.mux(cover.encode(None))
            if films:
                container.mux(video.encode(None))
        if films:
            assert probe(path).width_px == 64
            assert len(list(frames(path))) == films
        else:
            with pytest.raises(MediaError, match=r"cover\.mp4 has no video stream"):
                probe(path)


class TestProbe:
    def test_facts(self, tmp_path: Path) -> None:
        info = probe(write_video(tmp_path / "facts.mp4", [gray(9)] * 5))
        assert (info.width_px, info.height_px, info.has_audio, info.codec) == (64, 48, False, "h264")
        assert info.average_rate_hz == pytest.approx(25, abs=0.1)

    @pytest.mark.parametrize("name", ["two words.mp4", 'Käthe\'s "Video".mp4', "12:30.mp4", "%03d.mp4", "-i.mp4"])
    def test_any_name(self, tmp_path: Path, name: str) -> None:
        plain = write_video(tmp_path / "plain.mp4", [gray(9)])
        path = plain.rename(tmp_path / name)
        assert probe(path).width_px == 64

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("missing.mp4", None, "there is no such file"),
            ("empty.mp4", b"", "is empty"),
            ("text.mp4", TEXT, "can't be read as a video: Invalid data found"),
        ],
    )
    def test_unreadable(self, tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        for read in (probe, lambda p: next(frames(p)), audio):
            with pytest.raises(MediaError, match=f"{name}.*{reason}"):
                read(path)

    def test_a_title_in_an_old_encoding(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "title.mkv", [gray(9)])
        content = path.read_bytes()
        assert content.count(b"Lavf") > 0
        path.write_bytes(content.replace(b"Lavf", b"K\xe4th"))
        assert len(list(frames(path))) == 1

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="there is no such file"):
            probe(tmp_path)

    def test_sound_alone(self, tmp_path: Path) -> None:
        path = write_sound(tmp_path / "talk.wav", [(0.0, tone(0.2, 16_000))], 16_000)
        with pytest.raises(MediaError, match=r"talk\.wav has no video stream"):
            probe(path)


class TestDamage:
    @pytest.mark.parametrize(
        ("name", "options", "reason"),
        [
            (
                "early_index.mp4",
                {"movflags": "faststart"},
                r"broke off after 1\d frames \(at 0\.\d+ s\): a packet is cut",
            ),
            ("late_index.mp4", {}, "can't be read as a video"),
            ("cut.mkv", {}, r"ends after 0\.\d+ s, but its header says 1\.60 s"),
        ],
    )
    def test_a_file_cut_in_half(self, tmp_path: Path, name: str, options: dict[str, str], reason: str) -> None:
        path = write_video(tmp_path / name, noisy(40), options=options)
        assert len(list(frames(path))) == 40
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(MediaError, match=f"{name}.*{reason}"):
            list(frames(path))

    def test_damaged_data(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "hit.mp4", noisy(40), options={"movflags": "faststart"})
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 4000] = np.random.default_rng(1).bytes(4000)
        path.write_bytes(content)
        with pytest.raises(MediaError, match=r"hit\.mp4: decoding broke off after \d+ frames.*re-encode"):
            list(frames(path))

    @pytest.mark.parametrize("name", ["any.mp4", "any.mkv"])
    def test_any_damage_is_a_media_error(self, tmp_path: Path, name: str) -> None:
        whole = write_video(tmp_path / name, noisy(6, size=64)).read_bytes()
        rng = np.random.default_rng(0)
        broken = 0
        for _ in range(30):
            content = bytearray(whole)
            for place in rng.integers(0, len(content), 8):
                content[place] = rng.integers(256)
            (tmp_path / name).write_bytes(content[: rng.integers(len(content) // 2, len(content))])
            for read in (probe, lambda path: list(frames(path)), audio):
                try:
                    read(tmp_path / name)
                except MediaError:
                    broken += 1
        assert broken > 20


@needs_shared
@pytest.mark.shared_data
class TestRealFiles:
    @pytest.mark.parametrize(
        ("name", "count", "last_s", "steps_s", "sound_from_s"),
        [
            ("videos/WDA_KatieHill_000.mp4", 200, 7.96, (0.04, 0.04), 0.0),
            ("videos/grid_bbaf2n.mpg", 75, 2.96, (0.04, 0.04), 0.0),
            ("hard/vfr_face_then_noface.mov", 169, 6.3604, (0.0137, 0.0417), 2.4300),
            ("hard/noface_pyfeat.mp4", 95, 3.9167, (0.0417, 0.0417), 0.0),
            ("hard/no_duration_moviepy.webm", 74, 4.872, (0.062, 0.072), 0.015),
            ("hard/noaudio_face_liveportrait_d0.mp4", 78, 3.08, (0.04, 0.04), None),
            ("hard/multistream_2v2a_subs_nasa_13013.mp4", 390, 12.9796, (0.0334, 0.0334), 0.0),
        ],
    )
    def test_counts_and_times(
        self, name: str, count: int, last_s: float, steps_s: tuple[float, float], sound_from_s: float | None
    ) -> None:
        times_s = np.array([time_s for time_s, _ in frames(SHARED / name)])
        assert (len(times_s), times_s[0]) == (count, 0.0)
        assert times_s[-1] == pytest.approx(last_s, abs=1e-3)
        steps = np.diff(times_s)
        assert (steps.min(), steps.max()) == pytest.approx(steps_s, abs=1e-3)
        heard = audio(SHARED / name)
        assert (heard and heard.start_s) == (sound_from_s and pytest.approx(sound_from_s, abs=1e-3))

    def test_the_first_frame_need_not_be_at_zero(self) -> None:
        time_s, _ = next(frames(SHARED / "hard/severalfaces_short_hamilton_clip.mp4"))
        heard = audio(SHARED / "hard/severalfaces_short_hamilton_clip.mp4")
        assert time_s == pytest.approx(0.852, abs=1e-3)
        assert heard is not None and heard.start_s == pytest.approx(0.008, abs=1e-3)

    def test_corrupted(self) -> None:
        seen = 0
        with pytest.raises(
            MediaError, match=r"corrupted_decord\.mp4: decoding broke off after 28 frames \(at 2\.70 s\)"
        ):
            for _ in frames(SHARED / "hard/corrupted_decord.mp4"):
                seen += 1
        assert seen == 28

    def test_rotated(self) -> None:
        path = SHARED / "hard/rotated_90_3frames_decord.mov"
        info = probe(path)
        assert (info.width_px, info.height_px) == (320, 568)
        assert [picture.shape for _, picture in frames(path)] == [(568, 320, 3)] * 3
