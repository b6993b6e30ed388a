"""Exact Shapley values against their definition: the mean gain over all orders of joining."""

import itertools

import numpy as np
import pytest

from common.schema import MODALITIES
from studies.ablate import shapley, subsets


def by_orders(values, modalities):
    gains = {m: [] for m in modalities}
    for order in itertools.permutations(modalities):
        before: tuple = ()
        for modality in order:
            joined = tuple(m for m in MODALITIES if m in (*before, modality))
            gains[modality].append(values[joined] - (values[before] if before else 0))
            before = joined
    return {m: np.mean(gain, axis=0) for m, gain in gains.items()}


@pytest.mark.parametrize("modalities", [MODALITIES, ("audio", "text")])
def test_they_are_the_mean_gain_over_all_orders(modalities) -> None:
    rng = np.random.default_rng(0)
    values = {subset: rng.normal(size=7) for subset in subsets(modalities)}
    found, expected = shapley(values, modalities), by_orders(values, modalities)
    for modality in modalities:
        np.testing.assert_allclose(found[modality], expected[modality], atol=1e-12)
    np.testing.assert_allclose(sum(found.values()), values[modalities], atol=1e-12)


def test_a_modality_that_gives_nothing_gets_nothing() -> None:
    values = {subset: np.float64("visual" in subset) for subset in subsets(MODALITIES)}
    assert {m: float(v) for m, v in shapley(values, MODALITIES).items()} == pytest.approx(
        {"visual": 1.0, "audio": 0.0, "text": 0.0}
    )


def test_all_subsets_are_there_once_the_smaller_first() -> None:
    found = subsets(MODALITIES)
    assert len(set(found)) == len(found) == 7
    assert [len(subset) for subset in found] == [1, 1, 1, 2, 2, 2, 3]
