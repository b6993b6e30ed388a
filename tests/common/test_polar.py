"""Polar form and back: known points, the range of the angle, and what happens at its cut."""

import numpy as np
import pytest

from common.polar import NEUTRAL, QUADRANTS, canonical_polar, quadrant, to_cartesian, to_polar
from tests.reference import polar as reference

PI = np.pi


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize(
    ("valence", "arousal", "intensity", "theta"),
    [
        (1, 0, 1, 0),
        (0, 1, 1, PI / 2),
        (-1, 0, 1, PI),
        (-1, -0.0, 1, PI),  # arctan2 alone gives -pi here
        (0, -1, 1, -PI / 2),
        (1, 1, np.sqrt(2), PI / 4),
        (-0.6, -0.8, 1, -PI + np.arctan(4 / 3)),
        (0, 0, 0, 0),
        (-0.0, 0, 0, 0),
    ],
)
def test_known_points(valence, arousal, intensity, theta):
    i, t = to_polar(valence, arousal)
    assert i == pytest.approx(intensity, abs=1e-15)
    assert t == pytest.approx(theta, abs=1e-15)


def test_agrees_with_complex_numbers(rng):
    v, a = rng.uniform(-1, 1, (2, 200))
    for ours, theirs in zip(to_polar(v, a), reference.to_polar(v, a), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-14)
    i, t = rng.normal(0, 5, (2, 200))
    for ours, theirs in zip(to_cartesian(i, t), reference.to_cartesian(i, t), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-14)


def test_there_and_back(rng):
    v, a = rng.uniform(-1, 1, (2, 1000)).astype(np.float32)
    back_v, back_a = to_cartesian(*to_polar(v, a))
    assert back_v.dtype == np.float64
    np.testing.assert_allclose(back_v, v, atol=1e-15)
    np.testing.assert_allclose(back_a, a, atol=1e-15)


def test_the_angle_stays_in_its_range():
    tiny = np.array([0.0, -0.0, 5e-324, -5e-324, 1e-17, -1e-17, 1.0, -1.0])
    v, a = (grid.ravel() for grid in np.meshgrid(tiny, tiny))
    _, theta = to_polar(v, a)
    assert (theta > -PI).all() and (theta <= PI).all()


def test_neighbours_across_the_cut_keep_their_angle():
    _, theta = to_polar([-1, -1], [1e-6, -1e-6])
    np.testing.assert_allclose(theta, [PI - 1e-6, -PI + 1e-6], atol=1e-12)


@pytest.mark.parametrize("function", [to_polar, to_cartesian, canonical_polar])
def test_nan_passes_through_both(function):
    first, second = function([np.nan, 0.5, 0.5], [0.5, np.nan, 0.5])
    assert np.isnan(first).tolist() == [True, True, False]
    assert np.isnan(second).tolist() == [True, True, False]


def test_canonical_form_is_the_same_point(rng):
    i, t = rng.normal(0, 1, 2000), rng.normal(0, 20, 2000)
    intensity, theta = canonical_polar(i, t)
    assert (intensity >= 0).all() and (theta > -PI).all() and (theta <= PI).all()
    np.testing.assert_allclose(to_cartesian(intensity, theta), to_cartesian(i, t), atol=1e-12)


def test_canonical_form_of_negative_intensity():
    intensity, theta = canonical_polar(-0.5, 0.3)
    assert intensity == 0.5
    assert theta == pytest.approx(0.3 - PI, abs=1e-15)


def test_canonical_form_leaves_canonical_points_alone(rng):
    i, t = rng.uniform(0.01, 1, 500), rng.uniform(-PI, PI, 500)
    t[:3] = PI, 1e-300, np.nextafter(-PI, 0)
    intensity, theta = canonical_polar(i, t)
    assert np.array_equal(intensity, i) and np.array_equal(theta, t)


@pytest.mark.parametrize("theta", [-PI, np.nextafter(PI, 4), 3 * PI, -3 * PI, 2 * PI, -5e-324, 1e6])
@pytest.mark.parametrize("intensity", [1.0, -1.0, 0.0])
def test_canonical_form_at_the_cut(intensity, theta):
    i, t = canonical_polar(intensity, theta)
    assert i >= 0
    assert -PI < t <= PI


@pytest.mark.parametrize(
    ("valence", "arousal", "name"),
    [
        (0.5, 0.5, "high arousal, positive"),
        (-0.5, 0.5, "high arousal, negative"),
        (-0.5, -0.5, "low arousal, negative"),
        (0.5, -0.5, "low arousal, positive"),
        (0.5, 0.0, "high arousal, positive"),
        (0.0, -0.5, "low arousal, positive"),
        (0.0, 0.0, NEUTRAL),
        (np.nan, 0.5, "not annotated"),
        (0.5, np.nan, "not annotated"),
    ],
)
def test_quadrants(valence, arousal, name):
    assert quadrant(valence, arousal) == name


def test_quadrants_go_round_counter_clockwise():
    middles = PI / 4 + PI / 2 * np.arange(4)
    assert tuple(quadrant(np.cos(t), np.sin(t)) for t in middles) == QUADRANTS
