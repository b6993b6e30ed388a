"""CCC and the rest: known answers, pooling, masks, errors, and the bootstrap against drawing the frames themselves."""

import numpy as np
import pytest

from common.errors import DataError
from common.metrics import ccc, pearson, rmse, score, sign_agreement
from tests.reference.loss import ccc as reference_ccc


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def some_clips(rng, lengths=(40, 7, 90, 25, 3), offset=0.0):
    """Clips of unequal length and level, with frames that aren't annotated."""
    clips = []
    for length in lengths:
        target = rng.uniform(-1, 1, (length, 2)) * 0.3 + rng.uniform(-0.6, 0.6, 2) + offset
        prediction = 0.7 * target + 0.3 * offset + rng.normal(0, 0.2, (length, 2)) + 0.1
        target[rng.random(length) < 0.2, rng.integers(2)] = np.nan
        clips.append((prediction, target))
    return clips


def test_ccc_of_known_pairs():
    x = np.array([0.1, 0.4, -0.2, 0.9])
    assert ccc(x, x) == pytest.approx(1)
    assert ccc(-x, x - 2 * x.mean()) == pytest.approx(-1)
    assert ccc(np.zeros(4), x) == 0
    assert str(ccc(np.full(4, 1 / 3), x)) == str(ccc(x, np.full(4, 1 / 3))) == "0.0"
    # A shift by d costs d^2: 2 var / (2 var + d^2), with population variance.
    assert ccc(x + 0.5, x) == pytest.approx(2 * x.var() / (2 * x.var() + 0.25))
    assert ccc(3 * (x - x.mean()), x - x.mean()) == pytest.approx(2 * 3 / (1 + 9))


def test_ccc_is_that_of_the_paper_and_symmetric(rng):
    x, y = rng.normal(0.2, 1, 500), rng.normal(-0.1, 2, 500)
    y += 0.5 * x
    assert ccc(x, y) == pytest.approx(reference_ccc(x, y), abs=1e-12)
    assert ccc(x, y) == pytest.approx(ccc(y, x), abs=1e-15)
    assert abs(ccc(x, y)) <= abs(pearson(x, y))


def test_ccc_of_nearly_constant_values_far_from_zero(rng):
    x, y = rng.normal(0, 1, (2, 300))
    expected = ccc(1e-4 * x, 1e-4 * y)
    assert ccc(1e3 + 1e-4 * x, 1e3 + 1e-4 * y) == pytest.approx(expected, abs=1e-7)


def test_float32_input_is_computed_in_float64(rng):
    x, y = rng.normal(0, 1, (2, 100)).astype(np.float32)
    assert ccc(x, y) == ccc(x.astype(np.float64), y.astype(np.float64))


def test_frames_without_a_label_are_left_out(rng):
    x, y = rng.normal(0, 1, (2, 60))
    masked = np.where(np.arange(60) % 3 == 0, np.nan, y)
    kept = ~np.isnan(masked)
    wild = np.where(kept, x, np.nan)
    for measure in (ccc, pearson, rmse, sign_agreement):
        assert measure(wild, masked) == measure(x[kept], y[kept])


@pytest.mark.parametrize("measure", [ccc, pearson, rmse, sign_agreement])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_prediction_is_an_error_and_not_a_gap(measure, bad):
    with pytest.raises(DataError, match="At 1 of 3 annotated frames the prediction is NaN or infinite"):
        measure([0.1, bad, 0.2, bad], [0.1, 0.2, 0.3, np.nan])


@pytest.mark.parametrize("measure", [ccc, pearson, rmse, sign_agreement])
def test_shapes_must_agree(measure):
    with pytest.raises(DataError, match=r"shape \(3,\) don't fit targets of shape \(2,\)"):
        measure([1, 2, 3], [1, 2])


def test_what_is_not_defined_is_nan():
    assert np.isnan(ccc([0.5], [0.5]))
    assert np.isnan(ccc([], []))
    assert np.isnan(ccc([0.1] * 7, [0.1] * 7))  # the mean of seven 0.1 isn't 0.1
    assert np.isnan(ccc([0.1] * 7, [0.3] * 7))
    assert np.isnan(pearson([0.1] * 7, [1, 2, 3, 4, 5, 6, 7]))
    assert np.isnan(rmse([0.1], [np.nan]))
    assert np.isnan(sign_agreement([], []))


def test_pearson_rmse_and_signs_of_known_pairs():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert pearson(2 * x + 5, x) == pytest.approx(1)
    assert pearson(-x, x) == pytest.approx(-1)
    assert rmse([0, 0], [3, 4]) == pytest.approx(np.sqrt(12.5))
    assert sign_agreement([0.1, -0.2, 0.3, 0.0], [0.5, 0.1, 0.2, 0.0]) == 0.75


def test_score_pools_all_frames_of_all_clips(rng):
    clips = some_clips(rng)
    result = score(clips)
    p, t = (np.concatenate(side) for side in zip(*clips, strict=True))
    valid = ~np.isnan(t).any(axis=1)
    assert result.frames == valid.sum() < len(t)
    assert result.clips == len(clips)
    for column, axis in enumerate(("valence", "arousal")):
        x, y = p[valid, column], t[valid, column]
        assert getattr(result, f"ccc_{axis}") == pytest.approx(reference_ccc(x, y), abs=1e-12)
        assert getattr(result, f"rmse_{axis}") == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))
        assert getattr(result, f"pearson_{axis}") == pytest.approx(np.corrcoef(x, y)[0, 1])
        assert getattr(result, f"sign_agreement_{axis}") == np.mean(np.sign(x) == np.sign(y))
    assert result.ccc_mean == (result.ccc_valence + result.ccc_arousal) / 2


def test_pooling_is_not_the_mean_over_clips():
    """Two clips, each predicted as a constant at its own level: nothing within clips, everything between them."""
    wave = np.sin(np.linspace(0, 6, 50))[:, None] * 0.01
    clips = [(np.full((50, 2), level), level + np.hstack([wave, wave])) for level in (-0.5, 0.5)]
    assert score(clips).ccc_mean > 0.99
    assert np.mean([score([clip]).ccc_mean for clip in clips]) == pytest.approx(0, abs=1e-9)


def test_a_half_labelled_frame_does_not_count():
    t = np.array([[0.1, 0.2], [0.3, np.nan], [np.nan, 0.4], [0.5, -0.6]])
    p = t.copy()
    p[1:3] = 9
    result = score([(p, t)])
    assert (result.frames, result.rmse_valence, result.rmse_arousal) == (2, 0, 0)


def test_clips_without_labels_are_not_counted():
    empty = (np.zeros((5, 2)), np.full((5, 2), np.nan))
    assert score([empty]).clips == 0
    assert np.isnan(score([empty]).ccc_mean)
    assert np.isnan(score([]).rmse_valence)


def test_score_names_the_clip_at_fault():
    good = (np.zeros((3, 2)), np.ones((3, 2)))
    with pytest.raises(DataError, match=r"Clip 2 has predictions of shape \(3,\)"):
        score([good, (np.zeros(3), np.zeros(3))])
    with pytest.raises(DataError, match="At 1 of 3 annotated frames the prediction of clip 2 is NaN"):
        score([good, (np.array([[0, 0], [np.nan, 0], [0, 0]]), np.zeros((3, 2)))])
