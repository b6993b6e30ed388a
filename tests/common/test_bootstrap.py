"""The bootstrap against drawing the frames themselves; models compared on the same draws."""

import numpy as np
import pytest

from common.bootstrap import bootstrap_over_clips, interval, mean_ccc_draws
from common.errors import DataError
from common.metrics import score
from tests.common.test_metrics import some_clips


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_bootstrap_equals_drawing_the_clips_themselves(rng, offset):
    clips = some_clips(rng, offset=offset)
    intervals = bootstrap_over_clips(clips, repeats=200, seed=5, level=0.9)
    draws = np.random.default_rng(5).multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=200)
    drawn = [score([clip for clip, times in zip(clips, draw, strict=True) for _ in range(times)]) for draw in draws]
    for name, found in intervals.items():
        expected = np.percentile([getattr(one, name) for one in drawn], [5, 95])
        np.testing.assert_allclose(found, expected, atol=1e-9)
    assert set(intervals) == {"ccc_valence", "ccc_arousal", "ccc_mean", "rmse_valence", "rmse_arousal"}


def test_bootstrap_is_repeatable_and_holds_the_score(rng):
    clips = some_clips(rng, lengths=(30,) * 20)
    first, again = bootstrap_over_clips(clips, seed=1), bootstrap_over_clips(clips, seed=1)
    assert first == again != bootstrap_over_clips(clips, seed=2)
    pooled = score(clips)
    for name, (low, high) in first.items():
        assert low < getattr(pooled, name) < high


def test_intervals_narrow_with_more_clips(rng):
    def width(number):
        low, high = bootstrap_over_clips(some_clips(rng, lengths=(20,) * number))["ccc_mean"]
        return high - low

    assert width(200) < 0.5 * width(10)


def test_one_clip_has_no_interval(rng):
    clips = [*some_clips(rng, lengths=(50,)), (np.zeros((5, 2)), np.full((5, 2), np.nan))]
    assert all(np.isnan(bound) for interval in bootstrap_over_clips(clips).values() for bound in interval)


def test_draws_without_a_defined_ccc_are_left_out(rng):
    constant = (np.full((7, 2), 0.1), np.full((7, 2), 0.1))
    low, high = bootstrap_over_clips([constant, *some_clips(rng, lengths=(30,))], repeats=100)["ccc_mean"]
    assert np.isfinite([low, high]).all()
    only_constant = bootstrap_over_clips([constant, constant], repeats=20)
    assert np.isnan(only_constant["ccc_mean"]).all()
    assert only_constant["rmse_valence"] == (0, 0)


@pytest.mark.parametrize(("repeats", "level"), [(0, 0.95), (10, 1.0), (10, 0.0)])
def test_a_bootstrap_needs_repeats_and_a_level(rng, repeats, level):
    with pytest.raises(DataError, match=f"A bootstrap of {repeats} repeats at level {level}"):
        bootstrap_over_clips(some_clips(rng), repeats=repeats, level=level)


def worse(clips, rng, noise):
    return [(prediction + rng.normal(0, noise, prediction.shape), target) for prediction, target in clips]


def test_paired_draws_are_of_the_same_clips(rng):
    clips = some_clips(rng)
    one, same = mean_ccc_draws([[clips], [clips]], repeats=50)
    assert np.array_equal(one, same)
    low, high = bootstrap_over_clips(clips, repeats=50)["ccc_mean"]
    assert interval(one) == (low, high)


def test_pairing_sees_a_difference_that_lies_within_the_intervals(rng):
    clips = some_clips(rng, lengths=(30,) * 15)
    good, bad = mean_ccc_draws([[clips], [worse(clips, rng, 0.15)]])
    assert interval(good)[0] < interval(bad)[1]  # they overlap
    assert interval(good - bad)[0] > 0


def test_seeds_are_averaged_and_drawn(rng):
    clips = some_clips(rng)
    runs = [worse(clips, rng, noise) for noise in (0.0, 0.1, 0.6)]
    (drawn,) = mean_ccc_draws([runs], repeats=4000)
    each = mean_ccc_draws([[run] for run in runs], repeats=4000)
    assert drawn.mean() == pytest.approx(each.mean(), abs=0.01)
    assert drawn.std() > each.mean(axis=0).std()
    assert np.array_equal(mean_ccc_draws([runs], repeats=9, seed=3), mean_ccc_draws([runs], repeats=9, seed=3))


def test_runs_on_other_clips_or_labels_are_not_compared(rng):
    clips = some_clips(rng)
    for other in (clips[:-1], clips[::-1], [(p, t + 0.01) for p, t in clips]):
        with pytest.raises(DataError, match="different clips, or against different labels"):
            mean_ccc_draws([[clips], [other]])


def test_a_single_clip_gives_no_draws(rng):
    assert np.isnan(mean_ccc_draws([[some_clips(rng, lengths=(20,))]], repeats=5)).all()
