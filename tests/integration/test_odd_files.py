"""Containers that are odd in a known way, made by the test: frames, times and masks as they really are.

Where a face matters, through the whole extraction; where not, by decoding. What `tests/common/test_decode.py` and
`test_sound.py` have is not here: single frames' times, turns and mirrors, damage.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from common.errors import MediaError
from common.media.decode import audio, frames, times
from common.schema import FACE_BOX, FACE_LANDMARKS, TIME, present
from common.store import read_clip, validate
from stage1_embeddings import front_end
from stage1_embeddings.faces.detect import iou
from tests.integration.chain import Chain
from tests.integration.odd_files import (
    CORNER,
    FACE_PX,
    HEIGHT,
    WIDTH,
    Pipe,
    faces,
    grey,
    numbers_after,
    on_wall,
    patched,
    tone,
    write,
    write_several,
)
from tests.stage1.drawn_people import Scene, Seer, square, video, visible

COUNT, SHOWN = 20, range(4, 15)
LEVELS = range(20, 220, 8)
VARIABLE_MS = [0, 14, 55, 96, 137, 400, 401, 433, 466, 500, 541, 575, 660, 661, 700, 741, 790, 835, 900, 1000]
TURNS = (90, 180, 270)


@pytest.fixture(scope="module")
def film(corpus: Path) -> list[np.ndarray]:
    """A drawn speaker, upper left in each picture."""
    return faces(sorted(corpus.rglob("*.mp4"))[0], COUNT)


@pytest.fixture(scope="module")
def chain(film: list[np.ndarray], models: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """One extraction of all files in which a face matters, with the cascade that needs no weights."""
    folder = tmp_path_factory.mktemp("odd")
    data = folder / "data"
    data.mkdir()
    comes_and_goes = [picture if i in SHOWN else on_wall() for i, picture in enumerate(film)]
    write(data / "variable.mp4", comes_and_goes, VARIABLE_MS, encoder={"bf": "3", "b_strategy": "0"})
    write(data / "upright.mp4", film)
    for degrees in TURNS:
        stored = [np.ascontiguousarray(np.rot90(picture, -degrees // 90)) for picture in film]
        write(data / f"turned{degrees}.mp4", stored, degrees=degrees)
    write(data / "late.mkv", film, sound=("pcm_s16le", 300, tone(0.36)))
    one_frame = write(data / "skips.mp4", comes_and_goes, encoder={"bf": "0", "g": "50"}).read_bytes()
    (data / "skips.mp4").write_bytes(skipping(one_frame, SHOWN.start * 40))
    (folder / "cache").mkdir()
    (folder / "cache" / "models").symlink_to(models / "models")
    made = Chain(data, folder / "cache", folder / "runs" / "odd")
    result = made.embeddings()
    assert result.exit_code == 0, result.output
    return made


def skipping(content: bytes, skip_ms: int) -> bytes:
    """An MP4 whose edit list begins ``skip_ms`` into the picture."""
    (rate_hz,), (length_ms,) = numbers_after(content, b"mdhd", 12), numbers_after(content, b"mvhd", 16)
    assert numbers_after(content, b"elst", 4) == [1], "one edit"
    return patched(patched(content, b"elst", 12, skip_ms * rate_hz // 1000), b"elst", 8, length_ms - skip_ms)


def arrays_of(chain: Chain, clip: str) -> dict[str, Any]:
    validate(chain.features(clip))
    return read_clip(chain.features(clip))


def where(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask).tolist()


class TestWithAFace:
    def test_variable_rate_and_reordered_frames(self, chain: Chain) -> None:
        with av.open(str(chain.data / "variable.mp4")) as container:
            stored = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
        assert stored != sorted(stored), "the file has no B frames: the test would prove nothing"
        arrays = arrays_of(chain, "variable")
        assert arrays[TIME].tolist() == pytest.approx([ms / 1000 for ms in VARIABLE_MS], abs=1e-4)
        assert where(arrays[present("visual")]) == list(SHOWN)

    def test_a_face_is_where_it_is_shown(self, chain: Chain) -> None:
        arrays = arrays_of(chain, "upright")
        assert arrays[present("visual")].all() and len(arrays[TIME]) == COUNT
        whole = np.array([*CORNER, FACE_PX, FACE_PX], np.float32)
        assert all(iou(box, whole) > 0.2 for box in arrays[FACE_BOX]), "the face isn't in the upper left"

    @pytest.mark.parametrize("degrees", TURNS)
    def test_landmarks_turn_with_the_picture(self, chain: Chain, degrees: int) -> None:
        with av.open(str(chain.data / f"turned{degrees}.mp4")) as container:
            stored = next(container.decode(video=0))
        assert (stored.width > stored.height) == (degrees == 180), "stored as it is shown"
        turned, upright = (arrays_of(chain, name) for name in (f"turned{degrees}", "upright"))
        assert turned[present("visual")].all()
        off_px = np.abs(turned[FACE_LANDMARKS] - upright[FACE_LANDMARKS]).max(axis=(1, 2))
        assert np.median(off_px) < 2 and off_px.max() < 8
        left_eye, right_eye, nose, *mouth = turned[FACE_LANDMARKS].transpose(1, 2, 0)
        assert (left_eye[0] < nose[0]).all() and (nose[0] < right_eye[0]).all()
        assert all((left_eye[1] < nose[1]).all() and (nose[1] < corner[1]).all() for corner in mouth)
        assert turned[FACE_LANDMARKS][..., 0].max() < WIDTH and turned[FACE_LANDMARKS][..., 1].max() < HEIGHT

    def test_no_sound_is_absent_and_not_silent(self, chain: Chain) -> None:
        arrays = arrays_of(chain, "upright")
        assert not arrays[present("audio")].any() and np.isnan(arrays["audio"]).all()

    def test_late_sound_is_absent_before_and_after(self, chain: Chain) -> None:
        with av.open(str(chain.data / "late.mkv")) as container:
            assert [stream.type for stream in container.streams] == ["audio", "video"]
        arrays = arrays_of(chain, "late")
        assert len(arrays[TIME]) == COUNT, "frames that the decoder held back are lost"
        middle_s = np.arange(COUNT) * 0.04 + 0.02
        sounds = (middle_s >= 0.3) & (middle_s < 0.66)
        assert where(arrays[present("audio")]) == where(sounds)
        assert np.isfinite(arrays["audio"][sounds]).all() and np.isnan(arrays["audio"][~sounds]).all()
        assert arrays[present("visual")].all()

    def test_an_edit_list_skips_the_beginning(self, chain: Chain) -> None:
        arrays = arrays_of(chain, "skips")
        assert arrays[TIME].tolist() == pytest.approx([0.04 * i for i in range(COUNT - SHOWN.start)], abs=1e-4)
        assert where(arrays[present("visual")]) == list(range(len(SHOWN)))


class TestSeveralPeople:
    """Drawn people, stored without loss, and a detector that knows them by the number in the first pixel."""

    @pytest.fixture
    def tracks(
        self, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., dict[int, dict[str, Any]]]:
        def extracted(scenes: list[Scene], background: Callable[[int], int]) -> dict[int, dict[str, Any]]:
            shots = [picture for _, picture in video(scenes, background)]
            write(tmp_path / "people.mkv", shots, codec="ffv1")
            (tmp_path / "cache").mkdir()
            (tmp_path / "cache" / "models").symlink_to(models / "models")
            monkeypatch.setattr(front_end, "detector", lambda *_, **__: Seer(scenes))
            chain = Chain(tmp_path / "people.mkv", tmp_path / "cache", tmp_path / "run")
            result = chain.embeddings("stage1.faces.policy=all", "stage1.faces.min_track_s=0")
            assert result.exit_code == 0, result.output
            names = [clip["id"] for clip in chain.manifest()["clips"]]
            return {int(name.removeprefix("people.face")): arrays_of(chain, name) for name in names}

        return extracted

    def test_two_who_cross_stay_who_they_are(self, tracks: Callable[..., dict[int, dict[str, Any]]]) -> None:
        scenes: list[Scene] = [{1: (20 + 4 * i, 80.0), 2: (240 - 4 * i, 88.0)} for i in range(55)]
        hidden = [i for i, scene in enumerate(scenes) if len(visible(scene)) == 1]
        assert hidden, "nobody is hidden: the test would prove nothing"
        found = tracks(scenes, lambda index: 0)
        assert sorted(found) == [1, 2]
        for arrays in found.values():
            frame = np.rint(arrays[TIME] * 25).astype(int)
            assert frame.tolist() == list(range(55))
            at = where(arrays[present("visual")])
            (person,) = (n for n in (1, 2) if iou(arrays[FACE_BOX][0], square(*scenes[0][n]).box) > 0.5)
            assert all(iou(arrays[FACE_BOX][i], square(*scenes[i][person]).box) > 0.5 for i in at), "mixes the two"
            assert at == [i for i in range(55) if person == 2 or i not in hidden]

    def test_a_cut_ends_all_tracks(self, tracks: Callable[..., dict[int, dict[str, Any]]]) -> None:
        scenes: list[Scene] = [{1: (40.0, 60.0), 2: (200.0, 100.0)}] * 30
        found = tracks(scenes, lambda index: int(index >= 17))
        spans = sorted(tuple(np.rint(arrays[TIME][[0, -1]] * 25).astype(int)) for arrays in found.values())
        assert spans == [(0, 16), (0, 16), (17, 29), (17, 29)]


class TestHeaders:
    """Grey pictures that get brighter: which frame is which can be seen."""

    def film(self) -> list[np.ndarray]:
        return [grey(level) for level in LEVELS]

    def check(self, path: Path) -> None:
        got = list(frames(path))
        start_s = got[0][0]
        assert [time_s - start_s for time_s, _ in got] == pytest.approx([0.04 * i for i in range(len(got))], abs=2e-3)
        assert [picture.mean() for _, picture in got] == pytest.approx(list(LEVELS), abs=4)

    @pytest.mark.parametrize(("name", "codec"), [("pipe.mkv", "libx264"), ("pipe.webm", "libvpx")])
    def test_no_duration(self, tmp_path: Path, name: str, codec: str) -> None:
        form = {"mkv": "matroska", "webm": "webm"}[name[-4:].lstrip(".")]
        (tmp_path / name).write_bytes(write(Pipe(), self.film(), codec=codec, format=form).content)
        with av.open(str(tmp_path / name)) as container:
            assert container.duration is None
        self.check(tmp_path / name)

    def test_an_hour_and_90000_frames_in_an_avi(self, tmp_path: Path) -> None:
        path = write(tmp_path / "claims.avi", self.film(), codec="mpeg4")
        content = patched(path.read_bytes(), b"avih", 4 + 16, 90_000, "<I")
        path.write_bytes(patched(content, b"strh", 4 + 32, 90_000, "<I"))
        with av.open(str(path)) as container:
            assert (container.duration, container.streams[0].frames) == (3_600_000_000, 90_000)
        self.check(path)

    def test_an_hour_in_an_mp4(self, tmp_path: Path) -> None:
        path = write(tmp_path / "hour.mp4", self.film(), options={"movflags": "faststart"})
        content = path.read_bytes()
        (rate_hz,) = numbers_after(content, b"mdhd", 12)
        for box, place, claim in [
            (b"mvhd", 16, 3_600_000), (b"tkhd", 20, 3_600_000), (b"mdhd", 16, 3600 * rate_hz), (b"elst", 8, 3_600_000),
        ]:  # fmt: skip
            content = patched(content, box, place, claim)
        path.write_bytes(content)
        self.check(path)

    def test_an_hour_in_a_matroska_file_is_a_missing_end(self, tmp_path: Path) -> None:
        path = write(tmp_path / "hour.mkv", self.film())
        path.write_bytes(patched(path.read_bytes(), b"\x44\x89\x88", -1, 3_600_000, ">d"))
        with pytest.raises(MediaError, match=r"hour\.mkv ends after 1\.00 s, but its header says 3600\.00 s"):
            list(frames(path))

    def test_frames_less_than_there_are_in_an_avi(self, tmp_path: Path) -> None:
        path = write(tmp_path / "fewer.avi", self.film(), codec="mpeg4")
        content = patched(path.read_bytes(), b"avih", 4 + 16, 7, "<I")
        path.write_bytes(patched(content, b"strh", 4 + 32, 7, "<I"))
        self.check(path)

    def test_the_default_of_several_videos(self, tmp_path: Path) -> None:
        large = [grey(200, 96, 128)] * 10
        self.check(write_several(tmp_path / "second.mkv", [large, self.film()], default=[1]))
        self.check(write_several(tmp_path / "first.mkv", [self.film(), large], default=[0]))

    def test_the_larger_of_several_videos(self, tmp_path: Path) -> None:
        small, large = [grey(200)] * 40, [grey(level, 96, 128) for level in LEVELS]
        for name, films in (("second.mp4", [small, large]), ("first.mp4", [large, small])):
            self.check(write_several(tmp_path / name, films, default=[0, 1]))

    @pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
    @pytest.mark.parametrize("sound_first", [True, False])
    def test_nothing_is_lost_at_the_end_wherever_the_streams_are(
        self, tmp_path: Path, sound_first: bool, codec: str
    ) -> None:
        path = write(tmp_path / "ends.mkv", self.film(), sound=(codec, 0, tone(1.0)), sound_first=sound_first)
        self.check(path)
        heard = audio(path)
        assert heard is not None and len(heard.samples) == 16_000 and heard.start_s == 0


def test_a_hole_in_a_matroska_file_is_damage(tmp_path: Path) -> None:
    """FFmpeg looks for the next whole piece without a word: picture and sound of the lost seconds would be missing."""
    pictures = [grey(20 + i % 200) for i in range(150)]
    for picture in pictures:
        picture[::7, ::5] = np.random.default_rng(0).integers(0, 255, (7, 13, 3))
    path = write(tmp_path / "talk.mkv", pictures, encoder={"g": "25"}, sound=("flac", 0, tone(6.0)))
    content = path.read_bytes()
    third = len(content) // 3
    assert len(list(times(path))) == 150
    path.write_bytes(content[:third] + bytes(third) + content[2 * third :])
    with pytest.raises(MediaError, match=r"neither picture nor sound from \d\.\d\d s to \d\.\d\d s"):
        list(times(path))
