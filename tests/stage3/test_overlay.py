"""What is drawn into a video: at which pixels, in which frames, and that nothing from outside breaks it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.media import decode
from common.words import Word
from stage3_mlp.views.colours import LABELS, TRACKS
from stage3_mlp.views.overlay.overlay import Overlay
from stage3_mlp.views.overlay.panel import GROUND, LEGIBLE, TRAIL_S, colour, contrast, legible
from stage3_mlp.views.overlay.panel_layout import Layout, Rect, layout
from stage3_mlp.views.overlay.panel_text import ELLIPSIS, draw_text, fitted, printable, text_width
from stage3_mlp.views.overlay.panel_words import PAUSE_S, STAGE, Subtitles
from stage3_mlp.views.overlay.rendition import render
from stage3_mlp.views.view import Track, VideoView
from tests.common.media_files import gray, write_video
from tests.stage3.predicted import predicted

WIDTH, HEIGHT = 640, 360
RATE_HZ = 25.0
BLUE, GREEN = (np.array(colour(code)) for code in TRACKS[:2])
ORANGE = np.array(colour(LABELS))
EVIL = "<img src=x onerror=alert(1)>"


def track(values, labels=None, *, box=(200, 100, 80, 120), seen=None, name="clip") -> Track:
    values = np.asarray(values, np.float32)
    made = predicted(
        name, values, np.full_like(values, np.nan) if labels is None else labels, rate_hz=RATE_HZ, seen=seen
    )
    boxes = np.asarray(box, np.float32)
    return Track(made, np.tile(boxes, (len(values), 1)) if boxes.ndim == 1 else boxes)


def overlay(*tracks: Track, words: tuple[Word, ...] = (), size=(WIDTH, HEIGHT)) -> Overlay:
    return Overlay(VideoView("clip", None, tracks, words), *size)


def drawn(made: Overlay, frame: int, level: int = 128) -> np.ndarray:
    return made.draw(frame / RATE_HZ, gray(level, HEIGHT, WIDTH)).copy()


def like(image: np.ndarray, shade: np.ndarray, off: float = 40) -> np.ndarray:
    """(H, W) bool: which pixels have about this colour."""
    return np.abs(image.astype(float) - shade).max(axis=-1) < off


def middle(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    assert len(rows)
    return np.array([columns.mean(), rows.mean()])


def picture_of(made: Overlay, image: np.ndarray) -> np.ndarray:
    return made.place.picture.of(image)


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


class TestLegend:
    def test_one_track_without_labels_needs_none(self):
        assert overlay(track([[0, 0]])).place.legend.height == 0

    def test_several_tracks_are_named(self):
        one = overlay(track([[0, 0]], name="a"), track([[0, 0]], name="b"))
        other = overlay(track([[0, 0]], name="a"), track([[0, 0]], name=EVIL))
        assert (one.place.legend.of(drawn(one, 0)) != other.place.legend.of(drawn(other, 0))).any()

    def test_forty_tracks_have_room(self):
        made = overlay(*(track([[0.01 * index, 0]], name=f"face {index}") for index in range(40)))
        image = drawn(made, 0)
        assert image.shape[0] < 700
        assert like(made.place.legend.of(image), BLUE, 8).any()

    @pytest.mark.parametrize("code", [*TRACKS, LABELS])
    def test_figures_can_be_read(self, code):
        assert contrast(legible(colour(code)), GROUND) >= LEGIBLE

    def test_contrast_is_that_of_the_guidelines(self):
        assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
        assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


class TestWords:
    SAID = (Word("one", 1.0, 1.4), Word("two", 1.5, 2.0), Word("later", 9.0, 9.5))

    def band(self, made: Overlay, time_s: float) -> np.ndarray:
        assert made.place.band is not None
        return made.place.band.of(made.draw(time_s, gray(128, HEIGHT, WIDTH))).copy()

    def test_words_are_there_while_they_are_spoken(self):
        made = overlay(track([[0, 0]]), words=self.SAID)
        empty = self.band(made, 0.9)
        assert (empty == STAGE).all()
        for time_s, shown in (
            (1.0, True),
            (1.45, True),
            (2.0 + PAUSE_S - 0.01, True),
            (2.0 + PAUSE_S, False),
            (9, True),
        ):
            assert (self.band(made, time_s) != empty).any() == shown, time_s

    def test_the_word_being_spoken_is_marked(self):
        made = overlay(track([[0, 0]]), words=self.SAID)
        one, none, two = (self.band(made, time_s) for time_s in (1.2, 1.45, 1.7))
        assert not like(none, np.array([255, 255, 255]), 8).any()
        first, second = (middle(like(band, np.array([255, 255, 255]), 8))[0] for band in (one, two))
        assert first < WIDTH / 2 < second

    def test_a_word_at_the_wrong_time_is_not_drawn(self):
        made = overlay(track([[0, 0]]), words=(Word("never", np.nan, 1.0), Word("never", 0.0, np.inf)))
        assert (self.band(made, 0.5) == STAGE).all()

    def test_a_word_without_length_is_marked(self):
        made = overlay(track([[0, 0]]), words=(Word("ah", 1.0, 1.0),))
        assert like(self.band(made, 1.02), np.array([255, 255, 255]), 8).any()

    def test_lines_break_before_the_border(self):
        said = tuple(Word(f"word{index}", 0.3 * index, 0.3 * index + 0.3) for index in range(40))
        made = Subtitles(said, 400, 42, 17)
        for index in range(40):
            band = made.at(0.3 * index + 0.1)
            assert (band[:, :15] == STAGE).all() and (band[:, -15:] == STAGE).all()
            assert (band != STAGE).any()

    @settings(max_examples=60)
    @given(text=st.text(max_size=60), name=st.text(st.characters(), max_size=30))
    def test_any_text_is_drawn(self, text, name):
        band = Subtitles((Word(text, 0.0, 1.0),), 300, 42, 17).at(0.5)
        assert (band != STAGE).any() or not printable(text).strip() or text_width(printable(text), 17) < 3
        image = np.zeros((40, 100, 3), np.uint8)
        draw_text(image, fitted(printable(name), 12, 80), (5, 20), 12, (255, 255, 255))

    @pytest.mark.parametrize(
        "text", ["漢字", "Ärger über Öl", "\ud800 half", "a\nb\tc\x00", "$x^2$ \\frac", "👍🏽", "שלום"]
    )
    def test_signs_of_all_kinds_leave_a_trace(self, text):
        assert (Subtitles((Word(text, 0.0, 1.0),), 300, 42, 17).at(0.5) != STAGE).any()

    def test_a_long_word_is_cut(self):
        band = Subtitles((Word("w" * 10_000, 0.0, 1.0),), 300, 42, 17).at(0.5)
        assert (band[:, :10] == STAGE).all() and (band[:, -10:] == STAGE).all()

    @given(text=st.text(max_size=80).map(printable), width=st.integers(0, 400))
    def test_what_is_cut_fits_and_begins_alike(self, text, width):
        cut = fitted(text, 12, width)
        assert cut == ELLIPSIS or text_width(cut, 12) <= width
        assert cut == text or (cut.endswith(ELLIPSIS) and text.startswith(cut[:-1]))


class TestLayout:
    @settings(max_examples=200)
    @given(
        size=st.tuples(st.integers(1, 8192), st.integers(1, 8192)),
        rows=st.integers(0, 8),
        words=st.booleans(),
    )
    def test_everything_has_a_place_of_its_own(self, size, rows, words):
        place = layout(*size, legend_rows=rows, words=words)
        assert place.width % 2 == place.height % 2 == 0
        parts = [place.picture, place.legend, place.circumplex, *place.strips]
        parts += [place.band] if place.band else []
        for index, part in enumerate(parts):
            assert part.x >= 0 and part.y >= 0
            assert part.x + part.width <= place.width and part.y + part.height <= place.height
            assert not any(_overlap(part, other) for other in parts[:index])
        assert place.picture.width <= 1280 and place.picture.height <= 720
        assert place.circumplex.width >= 180 and place.circumplex.width == place.circumplex.height
        assert all(strip.width >= 200 and strip.height >= 60 for strip in place.strips)
        assert 1 <= place.unit <= 1.5
        assert (place.band is not None) == words

    @pytest.mark.parametrize(
        ("size", "beside", "picture"),
        [
            ((640, 360), True, (640, 360)),
            ((1920, 1080), True, (1280, 720)),
            ((512, 512), True, (512, 512)),
            ((64, 64), True, (360, 360)),
            ((1080, 1920), False, (405, 720)),
            ((2560, 320), False, (1280, 160)),
        ],
    )
    def test_the_panel_lies_where_there_is_room(self, size, beside, picture):
        place = layout(*size, legend_rows=0, words=True)
        assert (place.panel.x > 0) == beside
        assert (place.picture.width, place.picture.height) == picture


def _overlap(one: Rect, other: Rect) -> bool:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return across > 0 and down > 0


class TestCanvas:
    def test_a_frame_doesnt_depend_on_those_before(self):
        rng = np.random.default_rng(1)
        said = (Word("one", 0.0, 0.5), Word("two", 0.6, 1.0))
        view = [track(rng.uniform(-1, 1, (40, 2)), rng.uniform(-1, 1, (40, 2)), box=rng.uniform(0, 300, (40, 4)))] * 2
        made = overlay(*view, words=said)
        for frame in (39, 0, 20):
            drawn(made, frame)
        for frame in (5, 30):
            assert (drawn(made, frame) == drawn(overlay(*view, words=said), frame)).all()

    def test_the_picture_is_the_videos(self):
        made = overlay(track([[0, 0]], box=[np.nan] * 4))
        picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        assert (picture_of(made, made.draw(0.0, picture)) == picture).all()

    def test_a_picture_that_changes_its_size_is_shown_in_the_same_place(self):
        made = overlay(track([[0, 0]], box=(160, 90, 80, 60)))
        image = made.draw(0.0, gray(128, HEIGHT // 2, WIDTH // 2))
        assert np.abs(middle(like(picture_of(made, image), BLUE, 8)) - (400, 240)).max() < 2

    def test_sizes_follow_the_unit(self):
        place: Layout = layout(1920, 1080, legend_rows=0, words=False)
        assert place.px(10) == 15
