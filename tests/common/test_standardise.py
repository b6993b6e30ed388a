"""Statistics become a mean and a scale; constant dimensions become 0."""

import numpy as np
import pytest

from common.errors import DataError
from common.standardise import mean_and_scale


def test_standardised_data_have_mean_0_and_deviation_1():
    x = np.random.default_rng(0).normal([3, -200, 0.01], [2, 50, 1e-3], (5000, 3))
    mean, scale = mean_and_scale(x.mean(0), x.std(0), 3, "the test's features")
    assert mean.dtype == scale.dtype == np.float32
    z = (x - mean) * scale
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(0), 1, atol=1e-4)


def test_constant_dimensions_become_zero():
    x = np.full((100, 3), [0.1, 1e4, 0.0], dtype=np.float32)
    std = np.array([0.0, 1e-3, 1e-9])  # what rounding leaves of a deviation of 0
    mean, scale = mean_and_scale(x.mean(0), std, 3, "the test's features")
    assert (scale == 0).all()
    assert ((x - mean) * scale == 0).all()


def test_faulty_statistics_are_refused():
    with pytest.raises(DataError, match=r"statistics of the audio features have shapes \(3,\) and \(2,\).*\(3,\)"):
        mean_and_scale(np.zeros(3), np.ones(2), 3, "the audio features")
    for mean, std in (([0, np.nan], [1, 1]), ([0, 0], [1, np.inf]), ([0, 0], [1, -1])):
        with pytest.raises(DataError, match="statistics of the audio features hold values"):
            mean_and_scale(mean, std, 2, "the audio features")
