"""Faces: found, followed, and cut out upright."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import DataError, MediaError, ModelError, UsageError
from common.media.decode import frames
from stage1_embeddings.faces import detect as faces
from stage1_embeddings.faces.detect import TEMPLATE_PX, Detector, Face, align, detector, iou, similarity
from tests.common.media_files import SHARED

YUNET = SHARED / "weights" / "face_detection_yunet_2023mar.onnx"

needs_shared = pytest.mark.skipif(not YUNET.is_file(), reason="the real videos at ../shared/data are absent")


def face(x: float, y: float, size: float) -> Face:
    box = np.array([x, y, size, size], np.float32)
    return Face(box, (box[:2] + TEMPLATE_PX / 112 * size).astype(np.float32), 0.9)


class Scripted(Detector):
    """Finds what it is told to, call by call."""

    def __init__(self, found: Sequence[list[Face]]) -> None:
        self._found = iter(found)

    def detect_all(self, frame: np.ndarray) -> list[Face]:
        return next(self._found)


FRAME = np.zeros((240, 320, 3), np.uint8)


class TestChoice:
    def test_the_largest(self) -> None:
        small, large = face(0, 0, 40), face(100, 50, 90)
        assert Scripted([[small, large]]).detect(FRAME) is large
        assert Scripted([[]]).detect(FRAME) is None

    def test_iou(self) -> None:
        box = np.array([10, 10, 20, 20], np.float32)
        assert iou(box, box) == 1
        assert iou(box, np.array([20, 10, 20, 20], np.float32)) == pytest.approx(1 / 3)
        assert iou(box, np.array([30, 10, 20, 20], np.float32)) == 0
        assert iou(box * 0, box * 0) == 0


class TestAlign:
    @pytest.mark.parametrize("degrees", [-170, -30, 0, 12, 90])
    @pytest.mark.parametrize("scale", [0.2, 1.0, 3.7])
    def test_planted_similarity_is_found(self, degrees: float, scale: float) -> None:
        turn = scale * np.exp(1j * np.radians(degrees))
        moved = TEMPLATE_PX @ [1, 1j] * turn + (310 - 40j)
        matrix = similarity(np.stack([moved.real, moved.imag], 1), TEMPLATE_PX)
        back = np.stack([moved.real, moved.imag, np.ones(5)], 1) @ matrix.T
        assert back == pytest.approx(TEMPLATE_PX, abs=1e-6)

    def test_no_other_similarity_is_closer(self) -> None:
        rng = np.random.default_rng(0)
        points = TEMPLATE_PX * 1.7 + rng.normal(0, 6, TEMPLATE_PX.shape)
        matrix = similarity(points, TEMPLATE_PX)

        def error(m: np.ndarray) -> float:
            return float(((points @ m[:, :2].T + m[:, 2] - TEMPLATE_PX) ** 2).sum())

        for step in np.eye(4) * 1e-3:
            for sign in (1, -1):
                real, imag, x, y = sign * step
                assert error(matrix + np.array([[real, -imag, x], [imag, real, y]])) > error(matrix)

    @pytest.mark.parametrize("size_px", [112, 224])
    @pytest.mark.parametrize(("scale", "degrees"), [(0.6, 0), (1.0, 25), (1.4, -40), (3.3, 15), (6.0, 0)])
    def test_dots_come_back_to_the_template(self, scale: float, degrees: float, size_px: int) -> None:
        turn = scale * np.exp(1j * np.radians(degrees))
        places = (TEMPLATE_PX @ [1, 1j] - (56 + 56j)) * turn + (400 + 400j)
        grid = np.arange(800)[None, :] + 1j * np.arange(800)[:, None]
        frame = np.zeros((800, 800, 3), np.uint8)
        landmarks = np.stack([places.real, places.imag], 1)
        for place in places:
            spot = 255 * np.exp(-(np.abs(grid - place) ** 2) / (2 * (3 * scale) ** 2))
            frame = np.maximum(frame, spot[..., None].astype(np.uint8))
        crop = align(frame, landmarks, size_px=size_px)
        assert crop.shape == (size_px, size_px, 3) and crop.dtype == np.uint8
        unit = size_px / 112
        y, x = np.mgrid[:size_px, :size_px]
        for target in TEMPLATE_PX * unit:
            near = (np.hypot(x - target[0], y - target[1]) < 8 * unit) * crop[..., 0].astype(float)
            found = np.array([(x * near).sum(), (y * near).sum()]) / near.sum()
            assert np.linalg.norm(found - target) < 0.5, f"{found} is not {target}"

    def test_a_large_face_is_averaged_not_sampled(self) -> None:
        checks = (np.indices((1200, 1200)).sum(0) % 2 * 255).astype(np.uint8)
        frame = np.repeat(checks[..., None], 3, 2)
        crop = align(frame, TEMPLATE_PX * 8 + 100)
        assert np.abs(crop[4:-4, 4:-4].astype(float) - 127.5).max() < 12, "single pixels shine through"

    def test_black_beyond_the_frame(self) -> None:
        crop = align(np.full((60, 60, 3), 255, np.uint8), TEMPLATE_PX - 56)
        assert crop[:50, :50].max() == 0 and crop[60:, 60:].min() == 255

    @pytest.mark.parametrize("scale", [1.0, 2.5, 6.0])
    def test_a_face_at_the_edge(self, scale: float) -> None:
        """What lies in the frame is kept whatever the shrinking; beyond, all is black."""
        frame = np.full((301, 407, 3), 200, np.uint8)
        for x, y in [(0, 0), (407, 0), (203, 301), (-40, 150), (430, 310)]:
            crop = align(frame, (TEMPLATE_PX - 56) * scale + [x, y])[..., 0]
            places = (np.arange(112) - 55.5) * scale
            inside = np.outer((places + y > 0) & (places + y < 301), (places + x > 0) & (places + x < 407))
            edge = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5))) - cv2.erode(
                inside.astype(np.uint8), np.ones((5, 5))
            )
            assert np.abs(crop.astype(int) - 200 * inside)[edge == 0].max() <= 1
        assert align(frame, (TEMPLATE_PX - 56) * scale - 2000).max() == 0

    @pytest.mark.parametrize("landmarks", [np.full((5, 2), 30.0), np.full((5, 2), np.nan)])
    def test_landmarks_that_say_nothing(self, landmarks: np.ndarray) -> None:
        with pytest.raises(DataError, match=r"No face can be aligned by the landmarks \[\["):
            align(FRAME, landmarks)


class TestDetectors:
    def test_none_takes_the_frame_for_the_crop(self) -> None:
        crop = np.random.default_rng(0).integers(0, 255, (112, 112, 3), dtype=np.uint8)
        found = detector("none", weights=None, min_score=0.6, detect_width_px=320).detect(crop)
        assert found is not None and found.score == 1
        assert found.box.tolist() == [0, 0, 112, 112]
        assert np.abs(align(crop, found.landmarks).astype(int) - crop).max() <= 1

    def test_haar_finds_nothing_in_a_plain_frame(self) -> None:
        haar = detector("haar", weights=None, min_score=0.6, detect_width_px=320)
        assert haar.detect(np.full((240, 320, 3), 128, np.uint8)) is None

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"kind": "dlib"}, r"faces\.detector is 'dlib'\. Choose yunet, haar or none"),
            ({"min_score": 1.5}, r"faces\.min_score is 1\.5"),
            ({"detect_width_px": 0}, r"faces\.detect_width_px is 0"),
        ],
    )
    def test_settings_out_of_range(self, change: dict, message: str) -> None:
        settings = {"kind": "haar", "weights": None, "min_score": 0.6, "detect_width_px": 320} | change
        with pytest.raises(UsageError, match=message):
            detector(**settings)

    def test_weights_that_are_no_network(self, tmp_path: Path) -> None:
        (tmp_path / "yunet.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        with pytest.raises(ModelError, match=r"yunet\.onnx can't be loaded as YuNet"):
            detector("yunet", weights=tmp_path / "yunet.onnx", min_score=0.6, detect_width_px=320)


@needs_shared
@pytest.mark.shared_data
class TestRealFaces:
    def found(self, name: str, kind: str = "yunet", every: int = 1, width_px: int = 320) -> list[Face | None]:
        finder = detector(kind, weights=YUNET, min_score=0.6, detect_width_px=width_px)
        return [finder.detect(picture) for i, (_, picture) in enumerate(frames(SHARED / name)) if i % every == 0]

    def test_talking_head(self) -> None:
        found = self.found("videos/WDA_KatieHill_000.mp4", every=2)
        assert sum(item is not None for item in found) >= 0.95 * len(found)
        for item in found:
            assert item is not None and item.landmarks.dtype == item.box.dtype == np.float32
            left_eye, right_eye, nose, left_mouth, right_mouth = item.landmarks
            assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
            assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
            inside = (item.landmarks >= item.box[:2]) & (item.landmarks <= item.box[:2] + item.box[2:])
            assert inside.all()

    def test_the_face_leaves(self) -> None:
        found = self.found("hard/vfr_face_then_noface.mov")
        assert [item is not None for item in found] == [True] * 72 + [False] * 97

    def test_no_face(self) -> None:
        assert self.found("hard/noface_pyfeat.mp4", every=5) == [None] * 19

    @pytest.mark.parametrize("size", [32, 48, 112])
    def test_a_small_crop(self, size: int) -> None:
        picture = next(picture for _, picture in frames(SHARED / "videos/grid_lwbsza.mpg"))
        yunet = detector("yunet", weights=YUNET, min_score=0.6, detect_width_px=320)
        whole = yunet.detect(picture)
        assert whole is not None
        x, y = (whole.box[:2] + whole.box[2:] / 2).astype(int)
        half = int(max(whole.box[2:]) * 0.7)
        crop = picture[max(0, y - half) : y + half, max(0, x - half) : x + half]
        assert crop.shape[0] == crop.shape[1] == 2 * half
        small = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
        found = yunet.detect(small)
        assert found is not None
        expected = (whole.landmarks - [x - half, y - half]) * size / (2 * half)
        assert np.abs(found.landmarks - expected).max() < 0.1 * size

    def test_alignment_brings_the_eyes_to_their_place(self) -> None:
        yunet = detector("yunet", weights=YUNET, min_score=0.6, detect_width_px=320)
        for i, (_, picture) in enumerate(frames(SHARED / "videos/WDA_KatieHill_000.mp4")):
            if i % 40:
                continue
            first = yunet.detect(picture)
            assert first is not None
            again = yunet.detect(align(picture, first.landmarks, size_px=224))
            assert again is not None
            assert np.abs(again.landmarks / 2 - TEMPLATE_PX).max() < 8

    def test_haar_agrees_with_yunet(self) -> None:
        for name in ("videos/grid_bbaf2n.mpg", "videos/pyfeat_single_face.mp4"):
            haar, yunet = self.found(name, "haar", every=12), self.found(name, every=12)
            for one, other in zip(haar, yunet, strict=True):
                assert one is not None and other is not None
                assert iou(one.box, other.box) > 0.5
                assert np.abs(one.landmarks - other.landmarks).max() < 0.1 * one.box[2]

    def test_a_broken_video_stays_an_error(self) -> None:
        with pytest.raises(MediaError, match="broke off"):
            self.found("hard/corrupted_decord.mp4", kind="none")


def test_weights_come_from_where_they_are_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_weights() -> Path:
        raise ModelError("asked for", "the cache.")

    monkeypatch.setattr(faces, "yunet_weights", no_weights)
    with pytest.raises(ModelError, match="asked for"):
        detector("yunet", weights=None, min_score=0.6, detect_width_px=320)
