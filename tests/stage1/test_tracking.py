"""Faces followed: drawn squares whose place is known, found by a detector that knows them by their colour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, permutations
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_people import Scene, Seer, moving, square, video, visible

from common.errors import UsageError
from common.media.decode import frames
from stage1_embeddings.faces.detect import Face, detector, iou
from stage1_embeddings.faces.identity import best_pairs
from stage1_embeddings.faces.tracking import Frame, track
from tests.common.media_files import SHARED

YUNET = SHARED / "weights" / "face_detection_yunet_2023mar.onnx"
needs_shared = pytest.mark.skipif(not YUNET.is_file(), reason="the real videos at ../shared/data are absent")


def follow(scenes: Sequence[Scene], every: int, background: Callable[[int], int] = lambda index: 0) -> list[Frame]:
    return list(track(video(scenes, background), Seer(scenes), every_frames=every))


def numbers(found: Sequence[Frame]) -> list[list[int]]:
    return [sorted(one.track for one in frame.faces) for frame in found]


def who(frame: Frame, scene: Scene) -> dict[int, int]:
    """Person -> track, by place."""
    return {
        number: one.track
        for number, place in scene.items()
        for one in frame.faces
        if iou(one.face.box, square(*place).box) > 0.5
    }


class TestFollowing:
    def test_a_moving_face_is_where_it_is(self) -> None:
        scenes = moving(60)
        seer = Seer(scenes)
        found = list(track(video(scenes), seer, every_frames=8))
        assert seer.asked == [0, 8, 16, 24, 32, 40, 48, 56, 59]
        assert [frame.time_s for frame in found] == [i / 25 for i in range(60)]
        assert numbers(found) == [[1]] * 60
        for frame, scene in zip(found, scenes, strict=True):
            (one,) = frame.faces
            expected = square(*scene[1])
            assert iou(one.face.box, expected.box) > 0.93
            assert np.abs(one.face.landmarks - expected.landmarks).max() < 2
            assert one.face.box.dtype == one.face.landmarks.dtype == np.float32
            assert one.face.score == pytest.approx(0.9)
        assert [frame.faces[0].detected for frame in found] == [i in seer.asked for i in range(60)]

    def test_every_frame_is_the_detector_itself(self) -> None:
        scenes = moving(20)
        for frame, scene in zip(follow(scenes, 1), scenes, strict=True):
            (one,) = frame.faces
            assert one.detected and one.face.box.tolist() == square(*scene[1]).box.tolist()

    @pytest.mark.parametrize("every", [1, 2, 5, 8, 60])
    @pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 17])
    def test_any_length(self, every: int, count: int) -> None:
        scenes = moving(count)
        found = follow(scenes, every)
        assert numbers(found) == [[1]] * count
        assert all(frame.faces[0].detected for frame in (*found[:1], *found[-1:]))

    def test_the_picture_stays_with_its_frame(self) -> None:
        for index, frame in enumerate(follow(moving(20), 8)):
            assert frame.picture[0, 0, 0] == index

    def test_the_same_every_time(self) -> None:
        scenes = moving(30)
        for a, b in zip(follow(scenes, 8), follow(scenes, 8), strict=True):
            assert [one.face.box.tolist() for one in a.faces] == [one.face.box.tolist() for one in b.faces]

    @pytest.mark.parametrize("first", [3, 8, 9, 13, 15])
    @pytest.mark.parametrize("last", [24, 27, 32, 33])
    def test_first_and_last_frame_are_exact(self, first: int, last: int) -> None:
        scenes = [scene if first <= i <= last else {} for i, scene in enumerate(moving(45))]
        assert numbers(follow(scenes, 8)) == [[1] if first <= i <= last else [] for i in range(45)]

    def test_a_second_face_does_not_disturb_the_first(self) -> None:
        scenes = [{1: (20 + i, 60.0)} | ({2: (220.0, 100.0)} if 11 <= i < 29 else {}) for i in range(50)]
        assert numbers(follow(scenes, 8)) == [[1, 2] if 11 <= i < 29 else [1] for i in range(50)]

    def test_nobody_at_all(self) -> None:
        scenes: list[Scene] = [{}] * 30
        seer = Seer(scenes)
        found = list(track(video(scenes), seer, every_frames=8))
        assert [frame.faces for frame in found] == [[]] * 30
        assert seer.asked == [0, 8, 16, 24, 29]

    def test_few_frames_in_memory(self) -> None:
        read = 0

        def counted() -> Iterator[tuple[float, np.ndarray]]:
            nonlocal read
            for item in video(moving(70)):
                read += 1
                yield item

        for given, _ in enumerate(track(counted(), Seer(moving(70)), every_frames=8)):
            assert read - given <= 8 + 3

    def test_a_whole_frame_is_one_track(self) -> None:
        whole = detector("none", weights=None, min_score=0.6, detect_width_px=320)
        found = list(track(video(moving(20), lambda index: index // 5), whole, every_frames=8))
        assert numbers(found) == [[1]] * 20
        assert all(one.detected for frame in found for one in frame.faces)

    @pytest.mark.parametrize("every", [0, -3])
    def test_out_of_range(self, every: int) -> None:
        with pytest.raises(UsageError, match=rf"faces\.every_frames is {every}\. Give a whole number from 1"):
            track([], Seer([]), every_frames=every)


class TestIdentity:
    @pytest.mark.parametrize("every", [1, 4, 8])
    def test_faces_that_cross_keep_their_numbers(self, every: int) -> None:
        scenes = [{1: (20 + 4 * i, 80.0), 2: (240 - 4 * i, 88.0)} for i in range(55)]
        assert min(len(visible(scene)) for scene in scenes) == 1, "nobody is hidden: the test would prove nothing"
        found = follow(scenes, every)
        begin, end = who(found[0], scenes[0]), who(found[-1], scenes[-1])
        assert begin == end and sorted(begin.values()) == [1, 2]
        hidden_or_not = [len(visible(scene)) for scene in scenes]
        assert [len(frame.faces) for frame in found] == hidden_or_not

    @pytest.mark.parametrize("every", [1, 8])
    @pytest.mark.parametrize(("away", "same"), [(5, True), (20, True), (30, False)])
    def test_lost_and_found(self, every: int, away: int, same: bool) -> None:
        scenes = [{} if 30 <= i < 30 + away else {1: (40 + i, 60.0)} for i in range(80)]
        found = follow(scenes, every)
        assert numbers(found[:30]) == [[1]] * 30
        assert numbers(found[30 + away :]) == [[1] if same else [2]] * (50 - away)

    @pytest.mark.parametrize("every", [1, 8])
    def test_another_in_the_same_place_is_another(self, every: int) -> None:
        scenes: list[Scene] = [{} if 20 <= i < 28 else {1 if i < 20 else 2: (100.0, 60.0)} for i in range(50)]
        assert numbers(follow(scenes, every))[28:] == [[2]] * 22

    @pytest.mark.parametrize("every", [1, 8])
    def test_the_same_far_away_is_another(self, every: int) -> None:
        scenes: list[Scene] = [{} if 20 <= i < 24 else {1: (10.0 if i < 20 else 250.0, 60.0)} for i in range(50)]
        assert numbers(follow(scenes, every))[24:] == [[2]] * 26

    def test_numbers_count_the_larger_face_first(self) -> None:
        class Two(Seer):
            def detect_all(self, frame: np.ndarray) -> list[Face]:
                small, large = square(20, 20), square(150, 100)
                small.box[2:] = 40
                return [small, large]

        (frame,) = track(list(video([{}])), Two([{}]), every_frames=8)
        assert [(one.track, one.face.box[2]) for one in frame.faces] == [(2, 40), (1, 60)]

    def test_pairs_are_the_best_there_are(self) -> None:
        rng = np.random.default_rng(0)
        for rows, columns in [(1, 1), (2, 3), (4, 2), (3, 4), (4, 4), (0, 3), (3, 0)]:
            for _ in range(20):
                scores = np.maximum(rng.normal(0.3, 0.6, (rows, columns)), 0)
                pairs = best_pairs(scores)
                assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
                assert all(scores[pair] > 0 for pair in pairs)
                padded = np.zeros((rows, columns + rows))
                padded[:, :columns] = scores
                best = max(
                    (sum(padded[i, j] for i, j in enumerate(p)) for p in permutations(range(columns + rows), rows)),
                    default=0,
                )
                assert sum(scores[pair] for pair in pairs) == pytest.approx(best)


class TestShots:
    @pytest.mark.parametrize("every", [1, 8])
    @pytest.mark.parametrize("at", [1, 12, 16, 17, 39])
    def test_no_track_goes_across(self, every: int, at: int) -> None:
        scenes: list[Scene] = [{1: (100.0, 60.0)}] * 40
        found = follow(scenes, every, lambda index: int(index >= at))
        assert numbers(found) == [[1]] * at + [[2]] * (40 - at)

    @pytest.mark.parametrize("shape", [(1, 1), (2, 700), (31, 17)])
    def test_odd_pictures(self, shape: tuple[int, int]) -> None:
        seer = Seer([{}] * 5)
        pictures = [np.full((*shape, 3), i, np.uint8) for i in range(5)]
        assert [frame.faces for frame in track(enumerate(pictures), seer, every_frames=3)] == [[]] * 5

    def test_a_size_that_changes(self) -> None:
        film = [
            picture if i < 12 else cv2.resize(picture, None, fx=2, fy=2)
            for i, (_, picture) in enumerate(video(moving(30)))
        ]
        for i, picture in enumerate(film):
            picture[0, 0] = i
        found = list(track([(i / 25, picture) for i, picture in enumerate(film)], Seer(moving(30)), every_frames=8))
        assert len(found) == 30 and all(frame.faces for frame in found)


@needs_shared
@pytest.mark.shared_data
class TestRealVideos:
    def follow(self, name: str, every: int, count: int | None = None) -> list[Frame]:
        yunet = detector("yunet", weights=YUNET, min_score=0.6, detect_width_px=320)
        return list(track(islice(frames(SHARED / name), count), yunet, every_frames=every))

    def test_no_number_on_both_sides_of_a_cut(self) -> None:
        found = self.follow("hard/severalfaces_short_hamilton_clip.mp4", 8)
        shots = [
            {n for frame in found[a:b] for one in frame.faces for n in [one.track]}
            for a, b in [(0, 20), (20, 82), (82, 211), (211, 275)]
        ]
        for i, shot in enumerate(shots):
            assert all(shot.isdisjoint(other) for other in shots[:i])
        assert max(max(shot, default=0) for shot in shots) < 30

    def test_talking_head(self) -> None:
        searched, followed = (self.follow("videos/WDA_KatieHill_000.mp4", every, 90) for every in (1, 8))
        assert numbers(searched) == numbers(followed) == [[1]] * 90
        overlaps = [iou(a.faces[0].face.box, b.faces[0].face.box) for a, b in zip(searched, followed, strict=True)]
        assert np.mean(overlaps) > 0.94 and min(overlaps) > 0.7
        assert sum(frame.faces[0].detected for frame in followed) < 20

    def test_the_face_leaves(self) -> None:
        found = self.follow("hard/vfr_face_then_noface.mov", 8)
        assert [len(frame.faces) for frame in found] == [1] * 72 + [0] * 97


def test_haar_follows_too(tmp_path: Path, shared: Callable[[str], Path]) -> None:
    haar = detector("haar", weights=None, min_score=0.6, detect_width_px=192)
    film = [item for i, item in enumerate(frames(shared("videos/grid_bbaf2n.mpg"))) if i < 33]
    searched, followed = (list(track(film, haar, every_frames=every)) for every in (1, 8))
    assert numbers(followed) == [[1]] * 33
    assert (
        np.mean([iou(a.faces[0].face.box, b.faces[0].face.box) for a, b in zip(searched, followed, strict=True)]) > 0.9
    )
