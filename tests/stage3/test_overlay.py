"""What is drawn into a video: at which pixels, and in which frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.media import decode
from stage3_mlp.views.overlay.overlay import Overlay
from stage3_mlp.views.overlay.panel import TRAIL_S
from stage3_mlp.views.overlay.panel_layout import Rect
from stage3_mlp.views.overlay.rendition import render
from stage3_mlp.views.view import VideoView
from tests.common.media_files import gray, write_video
from tests.stage3.drawn_overlay import (
    BLUE,
    GREEN,
    HEIGHT,
    ORANGE,
    RATE_HZ,
    WIDTH,
    drawn,
    like,
    middle,
    overlay,
    picture_of,
    track,
)


class TestFaces:
    def test_a_box_is_where_the_face_is_in_its_frame(self):
        boxes = np.array([[100, 50, 60, 80], [np.nan] * 4, [300, 200, 100, 50]], np.float32)
        made = overlay(track(np.zeros((3, 2)), box=boxes))
        first, none, last = (like(picture_of(made, drawn(made, frame)), BLUE, 8) for frame in range(3))
        for found, (x, y, width, height) in ((first, boxes[0]), (last, boxes[2])):
            rows, columns = np.nonzero(found)
            edges = [columns.min(), rows.min(), columns.max(), rows.max()]
            assert np.abs(np.subtract(edges, [x, y, x + width, y + height])).max() <= 2
            assert not found[int(y) + 5 : int(y + height) - 5, int(x) + 5 : int(x + width) - 5].any()
        assert not none.any()

    def test_a_box_is_scaled_with_the_picture(self):
        made = Overlay(VideoView("clip", None, (track(np.zeros((1, 2)), box=(1920, 1080, 960, 540)),)), 3840, 2160)
        image = made.draw(0.0, gray(128, 2160, 3840))
        rows, columns = np.nonzero(like(picture_of(made, image), BLUE, 8))
        edges = [columns.min(), rows.min(), columns.max(), rows.max()]
        assert np.abs(np.subtract(edges, [640, 360, 960, 540])).max() <= 3

    def test_a_box_is_dashed_where_nothing_is_behind(self):
        made = overlay(track(np.zeros((2, 2)), seen=[True, False]))
        solid, dashed = (like(picture_of(made, drawn(made, frame)), BLUE, 8) for frame in range(2))
        top = slice(98, 104)
        assert solid[top].any(axis=0)[205:275].all()
        share = dashed[top].any(axis=0)[205:275].mean()
        assert 0.3 < share < 0.8

    def test_a_track_of_some_frames_is_seen_in_them_alone(self):
        late = track(np.zeros((5, 2)))
        late = replace(late, prediction=replace(late.prediction, time_s=(10 + np.arange(5)) / RATE_HZ))
        made = overlay(late)
        found = [like(picture_of(made, drawn(made, frame)), BLUE, 8).any() for frame in range(20)]
        assert found == [10 <= frame < 15 for frame in range(20)]

    @pytest.mark.parametrize("box", [(-50, -50, 5000, 5000), (1e30, 0, 1, 1), (-1e30, 0, 1e31, 4), (600, 340, 90, 90)])
    @pytest.mark.parametrize("seen", [True, False])
    def test_a_box_beyond_the_picture_stays_in_it(self, box, seen):
        made = overlay(track(np.full((1, 2), 0.5), box=box, seen=[seen]))
        plain = overlay(track(np.full((1, 2), 0.5), box=[np.nan] * 4, seen=[seen]))
        image, without = drawn(made, 0), drawn(plain, 0)
        inside = made.place.picture
        picture_of(made, image)[:] = picture_of(plain, without)
        assert (image == without).all()
        assert inside.width == WIDTH

    def test_it_reaches_the_file(self, tmp_path):
        source = write_video(tmp_path / "film.mp4", [gray(128, HEIGHT, WIDTH)] * 4)
        boxes = np.array([[np.nan] * 4, [100, 50, 60, 80], [np.nan] * 4, [np.nan] * 4], np.float32)
        view = VideoView("clip", source, (track(np.zeros((4, 2)), box=boxes),))
        render(view, overlay=tmp_path / "overlay.mp4", plain=None)
        made = Overlay(view, WIDTH, HEIGHT)
        found = [like(picture_of(made, image), BLUE, 40) for _, image in decode.frames(tmp_path / "overlay.mp4")]
        assert [mask.any() for mask in found] == [False, True, False, False]
        assert np.abs(middle(found[1]) - (130, 90)).max() < 3


class TestCircumplex:
    @settings(max_examples=30)
    @given(valence=st.floats(-1, 1), arousal=st.floats(-1, 1))
    def test_the_dot_is_at_its_value(self, valence, arousal):
        made = overlay(track([[valence, arousal]]))
        place = made.place.circumplex
        found = like(place.of(drawn(made, 0)), BLUE, 12)
        wanted = made.circumplex.at(np.array([valence, arousal])) - (place.x, place.y)
        assert np.abs(middle(found) - wanted).max() < 1.5 or np.abs([valence, arousal]).max() > 0.9
        assert found[min(round(wanted[1]), place.height - 1), min(round(wanted[0]), place.width - 1)]

    def test_more_valence_is_further_right_and_more_arousal_higher(self):
        made = overlay(track([[0, 0]]))
        low, high = made.circumplex.at(np.array([[-0.5, -0.5], [0.5, 0.5]]))
        assert low[0] < high[0] and low[1] > high[1]

    def test_what_lies_beyond_is_on_the_border(self):
        made = overlay(track([[40.0, -40.0]]))
        place = made.place.circumplex
        x, y = made.circumplex.at(np.array([40.0, -40.0]))
        assert place.x + place.width - 2 <= x <= place.x + place.width
        assert place.y + place.height - 2 <= y <= place.y + place.height

    def test_without_anything_behind_it_there_is_no_dot_and_no_line(self):
        made = overlay(track(np.full((4, 2), 0.4), seen=[False] * 4))
        image = drawn(made, 3)
        assert not like(made.place.circumplex.of(image), BLUE, 40).any()

    @pytest.mark.parametrize("wrong", [np.nan, np.inf])
    def test_what_is_no_number_is_a_gap(self, wrong):
        values = np.full((20, 2), 0.4)
        values[5:15, 0] = wrong
        made = overlay(track(values))
        whole = overlay(track(np.full((20, 2), 0.4)))
        dots = [like(each.place.circumplex.of(drawn(each, 10)), BLUE, 12).sum() for each in (made, whole)]
        assert dots[0] < 20 and dots[1] > 60  # the trail of the first frames alone, and the dot
        for strip in made.strips:
            x, y = np.round(strip.at(np.array([10 / RATE_HZ]), np.array([0.4]), 19 / RATE_HZ)[0]).astype(int)
            assert not like(drawn(made, 19)[y, x], BLUE)
            assert like(drawn(whole, 19)[y, x], BLUE)

    def test_the_trail_fades_and_ends(self):
        time_s = np.arange(150) / RATE_HZ
        points = np.stack([np.linspace(-0.9, 0.9, 150), np.full(150, 0.3)], axis=1)
        made = overlay(track(points))
        image = drawn(made, 149).astype(float)

        def strength(age_s: float) -> float:
            row = int(np.searchsorted(time_s, time_s[-1] - age_s))
            x, y = np.round(made.circumplex.at(points[row])).astype(int)
            return float(255 - image[y - 1 : y + 2, x, 0].min())

        ages = (0.5, 1.2, 2.0, 2.7)
        found = [strength(age_s) for age_s in ages]
        assert (np.diff(found) < -20).all() and found[-1] > 5
        assert strength(TRAIL_S + 1.0) == 0

    def test_labels_are_hollow_and_orange(self):
        made = overlay(track([[0.5, 0.5]], [[-0.5, -0.5]]))
        image = drawn(made, 0)
        x, y = np.round(made.circumplex.at(np.array([-0.5, -0.5]))).astype(int)
        assert (image[y, x] > 250).all()
        assert np.abs(middle(like(made.place.circumplex.of(image), ORANGE)) + _corner(made) - (x, y)).max() < 1.5

    def test_labels_of_several_tracks_have_their_tracks_colours(self):
        made = overlay(track([[0.5, 0.5]], [[-0.5, -0.5]]), track([[0.5, -0.5]], [[-0.5, 0.5]]))
        area = made.place.circumplex.of(drawn(made, 0))
        assert not like(area, ORANGE).any()
        for shade, place in ((BLUE, [-0.5, -0.5]), (GREEN, [-0.5, 0.5])):
            x, y = np.round(made.circumplex.at(np.array(place)) - _corner(made)).astype(int)
            assert like(area[y - 8 : y + 9, x - 8 : x + 9], shade).sum() > 10
            assert (area[y, x] > 250).all()


class TestStrips:
    def test_the_lines_pass_through_their_values(self):
        rng = np.random.default_rng(0)
        points = np.repeat(rng.uniform(-0.9, 0.9, (6, 2)), 20, axis=0)
        made = overlay(track(points))
        image = drawn(made, 119)
        for axis, strip in enumerate(made.strips):
            for row in (10, 50, 90):
                x, y = np.round(strip.at(np.array([row / RATE_HZ]), points[row : row + 1, axis], 119 / RATE_HZ)[0])
                assert like(image[int(y), int(x)], BLUE)

    def test_the_line_moves_to_the_left_and_out(self):
        points = np.full((600, 2), -0.8)
        points[100] = 0.8
        made = overlay(track(points))
        x = [strip_x(made, drawn(made, frame)) for frame in (110, 150, 200)]
        assert x[0] > x[1] > x[2]
        assert strip_x(made, drawn(made, 500)) is None

    def test_labels_are_dashed(self):
        labels = np.full((200, 2), 0.6)
        made = overlay(track(np.full((200, 2), -0.6), labels))
        strip = made.strips[0]
        ends = strip.at(np.array([20, 190]) / RATE_HZ, np.array([0.6, 0.6]), 199 / RATE_HZ)
        y = round(ends[0, 1])
        row = like(drawn(made, 199)[y - 1 : y + 2, round(ends[0, 0]) : round(ends[1, 0])], ORANGE, 90).any(axis=0)
        assert 0.3 < row.mean() < 0.75
        assert np.count_nonzero(np.diff(row.astype(int)) == 1) > 5

    def test_the_figures_are_those_of_the_frame(self):
        made = overlay(track([[0.25, 0.25], [0.25, 0.25], [-0.75, 0.25]]))
        same, again, other = (drawn(made, frame) for frame in range(3))
        valence, arousal = (Rect(whole.x, whole.y, whole.width, 16) for whole in made.place.strips)
        assert (valence.of(same) == valence.of(again)).all()
        assert (valence.of(same) != valence.of(other)).any()
        assert (arousal.of(same) == arousal.of(other)).all()


def _corner(made: Overlay) -> tuple[int, int]:
    return made.place.circumplex.x, made.place.circumplex.y


def strip_x(made: Overlay, image: np.ndarray) -> float | None:
    """Where the valence strip has its peak: the only thing above its zero line."""
    place = made.place.strips[0]
    upper = Rect(place.x, place.y + 24, place.width, (place.height - 24) // 2 - 6)
    found = like(upper.of(image), BLUE)
    return float(middle(found)[0]) if found.any() else None
