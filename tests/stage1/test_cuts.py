"""Where one shot ends and the next begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from drawn_people import HEIGHT, WIDTH, moving, texture, video

from common.media.decode import frames
from stage1_embeddings.faces.cuts import views
from tests.common.media_files import SHARED


class TestCuts:
    def cuts(self, pictures: Sequence[np.ndarray]) -> list[int]:
        return [i for i, view in enumerate(views((i / 25, picture) for i, picture in enumerate(pictures))) if view.cut]

    def test_at_each_new_background(self) -> None:
        pictures = [picture for _, picture in video(moving(40), lambda index: index // 13)]
        assert self.cuts(pictures) == [13, 26, 39]

    @pytest.mark.parametrize("frames_lit", [1, 2])
    @pytest.mark.parametrize("whole", [True, False])
    def test_a_flash_is_none(self, frames_lit: int, whole: bool) -> None:
        pictures = [picture for _, picture in video(moving(20))]
        for picture in pictures[9 : 9 + frames_lit]:
            part = picture if whole else picture[:, : WIDTH // 2]
            part[:] = np.minimum(part.astype(int) * 2 + 120, 255)
        assert self.cuts(pictures) == []

    def test_a_change_of_light_is_none(self) -> None:
        pictures = [
            (picture * (0.4 if i < 10 else 1)).astype(np.uint8) for i, (_, picture) in enumerate(video(moving(20)))
        ]
        assert self.cuts(pictures) == []

    def test_motion_is_none(self) -> None:
        wide = texture(0, HEIGHT, 3 * WIDTH, cell=40)
        assert self.cuts([wide[:, 12 * i : 12 * i + WIDTH] for i in range(50)]) == []
        waving = [{1: (130 + 120 * np.sin(i), 60.0), 2: (100.0, 100 + 90 * np.sin(2 * i))} for i in range(30)]
        assert self.cuts([picture for _, picture in video(waving)]) == []

    def test_a_flat_picture_has_none(self) -> None:
        rng = np.random.default_rng(0)
        noise = [(128 + rng.normal(0, 3, (HEIGHT, WIDTH, 3))).astype(np.uint8) for _ in range(9)]
        assert self.cuts(noise) == []

    @pytest.mark.shared_data
    def test_of_a_real_video(self) -> None:
        path = SHARED / "hard/severalfaces_short_hamilton_clip.mp4"
        if not path.is_file():
            pytest.skip("../shared/data is absent")
        assert [i for i, view in enumerate(views(frames(path))) if view.cut] == [20, 82, 211]
