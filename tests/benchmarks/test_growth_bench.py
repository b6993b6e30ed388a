"""Exponents of known laws, and that the parts of the benchmark run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import growth_clips
from benchmarks.growth_fit import beyond_smallest, exponent, grown, in_alternation


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5, 2.0])
def test_the_exponent_of_a_power_law(power: float) -> None:
    assert exponent({size: 3e-4 * size**power for size in (1, 2, 4, 16)}) == pytest.approx(power, abs=1e-12)


def test_the_row_has_the_exponent_of_medians_and_the_spread_of_turns() -> None:
    linear, square = (1.0, 2.0, 4.0), (1.0, 4.0, 16.0)
    costs = {size: [a, b, a] for size, a, b in zip((1, 2, 4), linear, square, strict=True)}
    row = grown("x", costs, 1.05, of="clips, seconds")
    assert row.ours.median == pytest.approx(1) and row.ours.low == pytest.approx(1)
    assert row.ours.high == pytest.approx(2) and not row.short
    assert grown("x", {size: [cost] for size, cost in zip((1, 2, 4), square, strict=True)}, 1.05, of="").short


def test_sizes_take_turns_from_small_to_large_and_back() -> None:
    order: list[int] = []
    ways = {size: lambda size=size: float(order.append(size) or size) for size in (4, 1, 2)}  # type: ignore[func-returns-value]
    assert in_alternation(ways, 2) == {4: [4, 4], 1: [1, 1], 2: [2, 2]}
    assert order == [1, 1, 2, 4, 4, 2, 1]
    with pytest.raises(ValueError, match="at least 2"):
        in_alternation(ways, 1)


def test_a_fixed_cost_is_taken_off() -> None:
    beyond, base = beyond_smallest({size: [5.0 + size] for size in (1, 2, 5, 9)})
    assert base == 6 and beyond == {1: [1.0], 4: [4.0], 8: [8.0]}
    with pytest.raises(ValueError, match="a larger one no more"):
        beyond_smallest({1: [5.0], 2: [5.0]})


def test_sentences_are_extracted_found_done_and_counted(tmp_path: Path) -> None:
    rows = growth_clips.upkeep(tmp_path, 2, (8, 16), torch.device("cpu"))
    assert [row.at_most for row in rows] == [1.05] * 3
    assert len(list((tmp_path / "cache16" / "features").rglob("*.h5"))) == 16
