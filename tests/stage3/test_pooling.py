"""Pooling against adding up the frames one by one (eq. 26)."""

import numpy as np
import pytest

from common.errors import DataError, RecipeError
from stage3_mlp.pooling import pool
from tests.reference import polar as reference


@pytest.fixture
def features():
    return np.random.default_rng(2).normal(0.5, 1, (23, 70)).astype(np.float32)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("window", [1, 3, 7, 21, 45, 99, "clip"])
def test_every_window_is_the_plain_mean(features, window, masked):
    valid = np.random.default_rng(3).random(23) > 0.6 if masked else np.ones(23, bool)
    expected = reference.pool(features.astype(np.float64), window, valid)
    pooled = pool(features, window, valid if masked else None)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, expected, atol=1e-6)
    if masked and window == 1:
        assert np.isnan(pooled[~valid]).all()


def test_a_window_of_one_changes_nothing(features):
    assert np.array_equal(pool(features, 1), features)


@pytest.mark.parametrize("window", [2 * 23 - 1, 2 * 23 + 1, "clip"])
def test_a_window_over_everything_is_the_papers_one_row(features, window):
    pooled = pool(features, window)
    assert (pooled == pooled[0]).all()
    np.testing.assert_allclose(pooled[0], features.mean(axis=0, dtype=np.float64), atol=1e-6)
    assert (pool(features, 2 * 23 - 3)[0] != pooled[0]).any()  # one frame short of it


def test_edges_average_what_exists():
    pooled = pool(np.array([[1.0], [2.0], [6.0], [7.0]]), 3)
    np.testing.assert_allclose(pooled[:, 0], [1.5, 3, 5, 6.5])


def test_what_invalid_frames_hold_does_not_matter(features):
    valid = np.arange(23) % 3 != 0
    junk = np.where(valid[:, None], features, np.nan)
    assert np.array_equal(pool(features, 5, valid), pool(junk, 5, valid))
    assert np.isfinite(pool(junk, 5, valid)).all()


def test_a_window_without_a_valid_frame_is_nan_and_not_zero(features):
    valid = np.zeros(23, bool)
    valid[0] = True
    pooled = pool(features, 3, valid)
    assert np.isfinite(pooled[:2]).all() and np.isnan(pooled[2:]).all()


def test_long_clips_do_not_lose_precision():
    x = np.full((200_000, 1), 0.1, np.float32) + np.float32(1000)
    np.testing.assert_allclose(pool(x, 5), x, rtol=1e-7)


def test_an_empty_clip_stays_empty():
    assert pool(np.zeros((0, 4)), "clip").shape == (0, 4)


@pytest.mark.parametrize("window", [0, -1, 2, 100])
def test_a_window_needs_a_centre(features, window):
    with pytest.raises(RecipeError, match=f"pooling window of {window} frames has no centre"):
        pool(features, window)


def test_shapes_must_fit(features):
    with pytest.raises(DataError, match=r"shape \(23, 70\) can't be pooled with a mask of shape \(5,\)"):
        pool(features, 3, np.ones(5, bool))
    with pytest.raises(DataError, match=r"shape \(70,\)"):
        pool(features[0], 3)
