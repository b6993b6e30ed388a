"""Smoothing: what each filter does, that seconds are seconds at any rate, and that validation alone chooses."""

import numpy as np
import pytest

from common.errors import CacheError
from common.metrics import score
from common.polar import to_cartesian
from common.recipe import Smoothing
from stage3_mlp.smoothing import Smoother, choose, smooth, smoother_of
from tests.stage3.predicted import noisy, predicted

KINDS = ("box", "savitzky-golay")


def test_box_is_the_mean_of_the_frames_around() -> None:
    values = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    found = smooth(values, np.ones(9, bool), "box", 5)
    assert found[4] == pytest.approx(values[2:7].mean(axis=0), abs=1e-6)
    assert found[0] == pytest.approx(values[:3].mean(axis=0), abs=1e-6)


def test_savitzky_golay_leaves_a_parabola_alone() -> None:
    t = np.linspace(-1, 1, 41)
    values = np.stack([0.3 * t**2 - t, 0.5 - t**2], axis=1).astype(np.float32)
    assert smooth(values, np.ones(41, bool), "savitzky-golay", 11) == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_with_nothing_behind_them_give_nothing_to_others(kind) -> None:
    values = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    seen = np.ones(30, bool)
    seen[[3, 10, 11]] = False
    other = np.where(seen[:, None], values, 99).astype(np.float32)
    assert np.array_equal(smooth(values, seen, kind, 7), smooth(other, seen, kind, 7))
    assert np.abs(smooth(other, seen, kind, 7)).max() < 5
    assert np.array_equal(smooth(values, np.zeros(30, bool), kind, 7), values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 8])
def test_a_clip_shorter_than_the_window_works(kind, frames) -> None:
    values = np.random.default_rng(0).normal(size=(frames, 2)).astype(np.float32)
    found = smooth(values, np.ones(frames, bool), kind, 61)
    assert found.shape == values.shape and np.isfinite(found).all()


@pytest.mark.parametrize("rate_hz", [7.5, 30.0, 60.0])
def test_a_second_is_a_second_at_any_rate(rate_hz) -> None:
    frames = int(20 * rate_hz)
    step = np.repeat([0.0, 1.0], frames // 2)
    clip = predicted("c", np.stack([step, step], axis=1), np.zeros((frames, 2)), rate_hz=rate_hz)
    ramp = (Smoother("box", 2.0).over(clip).values[:, 0] % 1 > 0).sum() / rate_hz
    assert ramp == pytest.approx(2.0, abs=2 / rate_hz)


def test_both_forms_agree_and_what_was_is_kept() -> None:
    clip = noisy("c")
    found = Smoother("box", 0.5).over(clip)
    assert np.stack(to_cartesian(found.intensity, found.theta), axis=1) == pytest.approx(found.values, abs=1e-6)
    assert found.unsmoothed is clip.values and Smoother().over(clip) is clip


def test_the_best_on_validation_is_chosen_and_all_that_was_tried_is_told() -> None:
    clips = [noisy(f"c{seed}", seed) for seed in range(3)]
    settings = Smoothing(kind="best", widths_s=(0.2, 1.0, 8.0))
    chosen, tried = choose(settings, clips)
    assert len(tried) == 7 and chosen.kind != "none"
    figures = {(row["kind"], row["width_s"]): row["ccc_mean"] for row in tried}
    assert figures[chosen.kind, chosen.width_s] == max(figures.values()) > figures["none", 0.0] + 0.05
    again = score([(p.values, p.labels) for p in map(chosen.over, clips)]).ccc_mean
    assert again == figures[chosen.kind, chosen.width_s]


def test_none_is_chosen_where_smoothing_only_harms() -> None:
    rng = np.random.default_rng(0)
    labels = rng.uniform(-1, 1, (200, 2))
    chosen, _ = choose(Smoothing(kind="best"), [predicted("c", labels, labels)])
    assert chosen == Smoother() and str(chosen) == "none"


def test_a_named_kind_chooses_its_width_alone() -> None:
    chosen, tried = choose(Smoothing(kind="box", widths_s=(0.5,)), [noisy("c")])
    assert chosen == Smoother("box", 0.5) and len(tried) == 1 and str(chosen) == "box, 0.5 s"
    assert choose(Smoothing(), [noisy("c")])[0] == Smoother()


def test_a_record_without_a_smoother_says_so() -> None:
    assert smoother_of({"smoothing": {"chosen": {"kind": "box", "width_s": 1.0}}}) == Smoother("box", 1.0)
    with pytest.raises(CacheError, match="how its predictions are smoothed"):
        smoother_of({})
