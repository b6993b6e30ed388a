"""The benchmark of additive attention compares ways that say the same."""

import pytest
import torch

from benchmarks import additive, additive_ways
from benchmarks.additive_ways import FORMULA, OURS, UNCOMPILED, formula_fits, made, step


def test_formula_and_ours_agree_and_a_difference_is_noticed():
    module, h = made(6, "cpu")
    results = {way: step(way, module, h)() for way in (OURS, UNCOMPILED, FORMULA)}
    additive.agree(results, 1e-5)
    results[OURS][-1] = results[OURS][-1] + 1e-3 * results[OURS][-1].abs().max()
    with pytest.raises(SystemExit, match="ours and the formula differ by"):
        additive.agree(results, 1e-5)


def test_the_formula_is_left_out_where_its_tensors_do_not_fit(monkeypatch):
    cpu = torch.device("cpu")
    assert formula_fits(10, cpu)
    assert not formula_fits(10**6, cpu)
    assert additive_ways._FORMULA_TENSORS > 3  # q + k or a gradient, tanh, and its gradient
