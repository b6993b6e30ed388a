"""Seconds to frames and back: planted events land on the frames that show them."""

from __future__ import annotations

import numpy as np
import pytest

from common.timeline import (
    frame_edges_s,
    frame_rate_hz,
    frames_within,
    hop_centres_s,
    hops_to_frames,
    spans_to_frames,
    stretch,
)

VARIABLE = np.cumsum([0.0, 0.04, 0.02, 0.02, 0.08, 0.04])  # a phone's clock


def test_edges_are_the_presentation_times_and_one_median_step() -> None:
    assert frame_edges_s(VARIABLE) == pytest.approx([*VARIABLE, VARIABLE[-1] + 0.04])
    assert frame_edges_s(np.array([1.0])) == pytest.approx([1.0, 1.04])


def test_rate_comes_from_times_not_from_a_header() -> None:
    assert frame_rate_hz(np.arange(90) / 29.97 + 3) == pytest.approx(29.97)


def test_hubert_hops_sit_in_the_middle_of_their_field() -> None:
    centres = hop_centres_s(3, hop_samples=320, field_samples=400)
    assert centres * 16_000 == pytest.approx([200, 520, 840])


def test_each_frame_gets_the_mean_of_its_own_hops() -> None:
    time_s = np.array([0.0, 0.1, 0.2])
    centres = np.array([0.01, 0.05, 0.11, 0.25, 0.29])
    values = np.array([[1.0], [3.0], [10.0], [4.0], [6.0]])
    assert hops_to_frames(values, centres, time_s)[:, 0] == pytest.approx([2, 10, 5])


def test_frames_faster_than_hops_take_the_nearest_hop() -> None:
    time_s = np.arange(8) / 100
    centres = np.array([0.0, 0.04])
    rows = hops_to_frames(np.array([[0.0], [1.0]]), centres, time_s)[:, 0]
    assert rows.tolist() == [0, 0, 1, 1, 1, 1, 1, 1] or rows.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert hops_to_frames(np.array([[7.0]]), np.array([5.0]), time_s)[:, 0] == pytest.approx(7)


def test_a_planted_beep_is_on_its_frames_whatever_the_clock() -> None:
    centres = hop_centres_s(40, hop_samples=320, field_samples=400)
    loud = ((centres >= 0.06) & (centres < 0.16)).astype(float)[:, None]
    rows = hops_to_frames(loud, centres, VARIABLE)[:, 0]
    edges = frame_edges_s(VARIABLE)
    inside = (edges[:-1] >= 0.06 - 1e-9) & (edges[1:] <= 0.16 + 1e-9)
    outside = (edges[1:] <= 0.06) | (edges[:-1] >= 0.16)
    assert (rows[inside] == 1).all() and (rows[outside] == 0).all() and inside.any() and outside.any()


def test_frames_within_looks_at_the_middle_of_a_frame() -> None:
    time_s = np.arange(5) / 10
    assert frames_within(time_s, 0.1, 0.3).tolist() == [False, True, True, False, False]
    assert frames_within(time_s, 0.16, 0.3).tolist() == [False, False, True, False, False]


def test_words_land_within_one_frame_and_the_later_of_two_wins() -> None:
    time_s = np.arange(100) / 25
    starts, ends = np.array([0.5, 1.0, 1.1]), np.array([1.2, 1.5, 1.3])
    at = spans_to_frames(starts, ends, time_s)
    for word in range(3):
        frames = np.flatnonzero(at == word)
        assert abs(time_s[frames[0]] - starts[word]) <= 1 / 25
    assert at[int(1.15 * 25)] == 2 and at[0] == -1 and at[int(1.4 * 25)] == 1


def test_stretch_keeps_the_ends_and_is_linear_between() -> None:
    tokens = np.array([[0.0], [2.0], [4.0]])
    assert stretch(tokens, 5)[:, 0] == pytest.approx([0, 1, 2, 3, 4])
    assert stretch(tokens[:1], 4)[:, 0] == pytest.approx([0, 0, 0, 0])
    assert stretch(tokens, 1)[:, 0] == pytest.approx([0])
