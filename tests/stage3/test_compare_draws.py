"""What several comparisons cost, on planted draws; and which settings of runs differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.recipe import load_recipe
from stage3_mlp.compare.paired import REPEATS, differences, draws_for, number_of_pairs
from stage3_mlp.compare.runs import MAX_RUNS
from stage3_mlp.compare.settings import differing_settings

some_draws = st.integers(2, 5).flatmap(
    lambda runs: st.builds(
        lambda seed, scale: np.random.default_rng(seed).normal(np.arange(runs)[:, None] * scale, 0.1, (runs, 400)),
        st.integers(0, 2**20),
        st.sampled_from([0.0, 0.05, 1.0]),
    )
)


@given(some_draws)
def test_every_pair_is_compared_once_and_widening_only_widens(draws: np.ndarray) -> None:
    names, scores = [f"run{n}" for n in range(len(draws))], draws.mean(axis=1).tolist()
    found = differences(names, scores, draws, 9)
    assert len(found) == len({(one.one, one.other) for one in found}) == number_of_pairs(len(draws))
    for one in found:
        alone = differences([names[one.one], names[one.other]], [0.0, 0.0], draws[[one.one, one.other]], 9)[0]
        assert alone.interval == alone.widened == one.interval
        assert one.widened[0] <= one.interval[0] <= one.interval[1] <= one.widened[1]
        clear = one.widened[0] > 0 or one.widened[1] < 0
        assert (one.better is not None) == clear == one.verdict.endswith("is better.")
        if clear:
            assert one.better == (one.one if one.widened[0] > 0 else one.other)
        assert one.ahead == pytest.approx(np.mean(draws[one.one] > draws[one.other]))


@given(some_draws)
def test_the_other_way_round_is_the_same_with_the_other_sign(draws: np.ndarray) -> None:
    names, scores = ["a", "b"], draws[:2].mean(axis=1).tolist()
    (one,), (back,) = (differences(names[::s], scores[::s], draws[:2][::s], 9) for s in (1, -1))
    assert back.difference == -one.difference
    assert back.interval == pytest.approx((-one.interval[1], -one.interval[0]), abs=1e-12)
    assert back.ahead == pytest.approx(1 - one.ahead)


def test_widened_intervals_are_bonferronis() -> None:
    draws = np.stack([np.linspace(0, 1, 100_001), np.zeros(100_001), np.zeros(100_001)])
    first = differences(["a", "b", "c"], [0.5, 0.0, 0.0], draws, 9)[0]
    assert first.interval == pytest.approx((0.025, 0.975))
    assert first.widened == pytest.approx((0.025 / 3, 1 - 0.025 / 3))


def test_three_runs_without_a_difference_are_told_apart_in_one_study_of_twenty_at_most() -> None:
    rng = np.random.default_rng(1)
    wrong = {"interval": 0, "widened": 0}
    for _ in range(400):
        seen = rng.normal(size=(3, 1))  # what this study's clips happened to give
        found = differences(["a", "b", "c"], [0, 0, 0], seen + rng.normal(size=(3, 1000)), 9)
        for kind in wrong:
            wrong[kind] += any(getattr(one, kind)[0] > 0 or getattr(one, kind)[1] < 0 for one in found)
    assert wrong["widened"] <= 0.07 * 400 < 0.1 * 400 < wrong["interval"], wrong


def test_clear_alone_but_not_among_many_is_said() -> None:
    draws = np.zeros((4, 1000))
    draws[0] = np.linspace(-0.02, 1, 1000)
    first = differences(list("abcd"), [0.5, 0, 0, 0], draws, 9)[0]
    assert first.better is None and first.interval[0] > 0 > first.widened[0]
    assert first.verdict == "a would be better if this were the only comparison; as one of 6, it can't be told."


def test_without_draws_there_is_no_interval_and_no_winner() -> None:
    (one,) = differences(["a", "b"], [0.9, 0.1], np.full((2, 10), np.nan), 1)
    assert one.better is None and np.isnan([one.ahead, *one.interval]).all() and "no interval" in one.verdict


def test_more_comparisons_take_more_draws() -> None:
    assert [draws_for(runs) for runs in (2, 5, 6, MAX_RUNS)] == [REPEATS, REPEATS, 15_000, 66_000]


def test_only_settings_that_differ_and_shape_a_result_are_named() -> None:
    one = load_recipe("demo", ("seed=1", "stage2.training.workers=3", "name=a"))
    assert differing_settings([one, load_recipe("demo")]) == {}
    other = load_recipe("demo", ("stage2.training.plateau=null", "stage3.head.d1=9", "stage2.modalities=[text]"))
    assert differing_settings([one, other, one]) == {
        "stage2.modalities": ['["visual", "audio", "text"]', '["text"]', '["visual", "audio", "text"]'],
        "stage2.training.plateau": ["", "null", ""],
        "stage2.training.plateau.factor": ["0.5", "", "0.5"],
        "stage2.training.plateau.patience": ["3", "", "3"],
        "stage3.head.d1": ["128", "9", "128"],
    }


def test_the_settings_of_a_section_stand_together() -> None:
    keys = list(differing_settings([load_recipe("meld-dialogue"), load_recipe("meld")]))
    sections = [key.rpartition(".")[0] for key in keys]
    assert len(set(sections)) == sum(a != b for a, b in zip(sections, ["", *sections], strict=False))
