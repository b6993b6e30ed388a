"""What is written into a video, and where everything has its place; nothing from outside breaks it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.words import Word
from stage3_mlp.views.colours import LABELS, TRACKS
from stage3_mlp.views.overlay.overlay import Overlay
from stage3_mlp.views.overlay.panel import GROUND, LEGIBLE, colour, contrast, legible
from stage3_mlp.views.overlay.panel_layout import Layout, Rect, layout
from stage3_mlp.views.overlay.panel_text import ELLIPSIS, draw_text, fitted, printable, text_width
from stage3_mlp.views.overlay.panel_words import PAUSE_S, STAGE, Subtitles
from tests.common.media_files import gray
from tests.stage3.drawn_overlay import (
    BLUE,
    HEIGHT,
    WIDTH,
    drawn,
    like,
    middle,
    overlay,
    picture_of,
    track,
)
from tests.stage3.read_page import EVIL


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
