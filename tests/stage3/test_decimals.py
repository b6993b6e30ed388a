"""Numbers as text: as Python writes them, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_mlp.decimals import lines, shortest


@given(st.lists(st.floats(width=32), max_size=30))
def test_float32_as_numpy_writes_it(values: list[float]) -> None:
    column = np.array(values, np.float32)
    assert shortest(column).to_pylist() == ["" if value != value else str(value) for value in column]


@given(st.lists(st.floats(), max_size=30))
def test_float64_as_python_writes_it(values: list[float]) -> None:
    expected = ["" if value != value else repr(value) for value in values]
    assert shortest(np.array(values, np.float64)).to_pylist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_size_of_number(dtype: type) -> None:
    rng = np.random.default_rng(0)
    sizes = 10.0 ** np.arange(-12, 20)
    column = np.concatenate([rng.normal(0, 1, (200, 1)) * sizes, [sizes], [-0.0 * sizes]]).astype(dtype).ravel()
    expected = [str(value) if dtype is np.float32 else repr(float(value)) for value in column]
    assert shortest(column).to_pylist() == expected


def test_cells_of_a_row_are_joined() -> None:
    assert lines('"a, b"', shortest(np.array([1.5, np.nan]))) == ['"a, b",1.5', '"a, b",']
