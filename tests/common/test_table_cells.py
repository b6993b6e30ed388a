"""Cells: lists of numbers are read, never evaluated; everything else is a fault in a sentence."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.datasets.tables.cells import (
    Broken,
    Cell,
    is_empty,
    name_of,
    numbers_of,
    order_of,
    text_of,
)
from common.errors import DataError
from common.outside_text import shortened

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(FLOATS, min_size=1, max_size=40))
def test_what_python_and_numpy_print_comes_back(values: list[float]) -> None:
    expected = np.array(values, dtype=np.float32)
    for text in (str(values), f"  {values}\n", repr(values).replace(" ", ""), " ".join(["[", *map(repr, values), "]"])):
        found = numbers_of(text)
        assert found is not None and found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@given(st.lists(FLOATS, min_size=1, max_size=30))
def test_an_array_as_numpy_prints_it_comes_back(values: list[float]) -> None:
    text = np.array2string(np.array(values), threshold=10**6, floatmode="unique")
    np.testing.assert_array_equal(numbers_of(text), np.array(values, dtype=np.float32))


@given(st.text() | st.text(alphabet="[]0123456789.,eE+- naifx()*\n"))
def test_any_text_is_numbers_nothing_or_a_sentence(text: str) -> None:
    try:
        found = numbers_of(text)
    except DataError as error:
        assert error.problem.startswith(("is ", "has ")) and error.cure.endswith(".")
        assert len(error.problem) < 400
        return
    if found is None:
        assert not text.strip()
    else:
        assert found.ndim == 1 and len(found) and np.isfinite(found).all()
        assert set(text) <= set("[]0123456789.,eE+-") | {sign for sign in text if sign.isspace()}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[1., .5, 2e-3, -4.E2, +7]", [1, 0.5, 0.002, -400, 7]),
        ("[1. 2.\n 3.]", [1, 2, 3]),
        ("0.5", [0.5]),
        ("[ 1e-50 ]", [0]),
        ("[1]", [1]),
    ],
)
def test_spellings_of_numbers(text: str, values: list[float]) -> None:
    np.testing.assert_array_equal(numbers_of(text), np.array(values, dtype=np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').system('x')", r"is \"__import__\('os'\)\.system\('x'\)\", which is no list of numbers\."),
        ("[1]*10**9", r"is '\[1\]\*10\*\*9', which is no list of numbers\."),
        ("[__import__('os'), 1]", r"where \"__import__\('os'\)\" isn't a number"),
        ("[1, 2", "which is no list of numbers"),
        ("[1,,2]", r"where '' isn't a number"),
        ("[1, 2,]", r"where '' isn't a number"),
        ("[[1, 2]]", r"where '\[1' isn't a number"),
        ("[" * 5000, r"is '\[\[.*'\.\.\.|\(5000 characters\)"),
        ("[" * 5000 + "]" * 5000, r"isn't a number"),
        ("[]", "a list without a number"),
        ("[ ]", "a list without a number"),
        ("[1, nan, 2]", r"has nan in place 2 of 3, and 1 such in all\."),
        ("[NaN, -Infinity]", r"has nan in place 1 of 2, and 2 such"),
        ("[1, 1e39]", r"has 1e\+39 in place 2 of 2"),
        (f"[1, {'9' * 6000}]", r"has inf in place 2 of 2"),
        (f"[1, {'9' * 400}]", r"has inf in place 2 of 2"),
        ("[0x10]", r"where '0x10' isn't a number"),
        ("[1_000]", r"where '1_000' isn't a number"),
        ("[\u0661, 2]", r"isn't a number"),
        ("[01, 2 3]", r"where '2 3' isn't a number"),
        ("['0.1', '0.2']", r"where \"'0\.1'\" isn't a number"),
        ("[0.1 0.2 ... 0.9]", r"where '\.\.\.' isn't a number"),
        ("nan", "which is no list of numbers"),
        ("[" + "1, " * 10922, r"32,767 characters was cut off by Excel"),
    ],
)
def test_a_hostile_or_broken_cell_is_a_fault(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        numbers_of(text)


def test_leading_zeros_are_read_as_python_prints_none() -> None:
    np.testing.assert_array_equal(numbers_of("[007, 1]"), np.array([7, 1], dtype=np.float32))


def test_cells_that_are_no_strings() -> None:
    np.testing.assert_array_equal(numbers_of(np.array([1.0, 2.0])), np.array([1, 2], dtype=np.float32))
    np.testing.assert_array_equal(numbers_of(3), np.array([3], dtype=np.float32))
    for nothing in (None, "", " \n", math.nan, np.array([math.nan, math.nan]), b" "):
        assert numbers_of(nothing) is None and is_empty(nothing) and text_of(nothing) == ""
    with pytest.raises(DataError, match="has nan in place 1 of 2"):
        numbers_of(np.array([math.nan, 1.0]))
    for cell in (True, datetime.date(2020, 1, 2), datetime.timedelta(1), b"abc", np.array([1j])):
        with pytest.raises(DataError, match="no list of numbers"):
            numbers_of(cell)
    broken = Broken("is the error #N/A.", "Correct it.")
    for read in (numbers_of, text_of, name_of, order_of):
        with pytest.raises(DataError, match=r"is the error #N/A\. Correct it\."):
            read(broken)
    assert not is_empty(broken)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (911, "911"),
        (2.0, "2"),
        (2.5, "2.5"),
        (True, "TRUE"),
        (" as it stands ", " as it stands "),
        (b"caf\xc3\xa9", "café"),
    ],
)
def test_cells_as_text(cell: Cell, text: str) -> None:
    assert text_of(cell) == text


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (datetime.date(2020, 1, 2), "which is no text"),
        (np.array([1.0, 2.0]), "which is no text"),
        (b"caf\xe9", "isn't UTF-8"),
        ("\ud800", "isn't UTF-8"),
        ("a\0b", "with a NUL in it"),
    ],
)
def test_cells_that_are_no_text(cell: Cell, message: str) -> None:
    with pytest.raises(DataError, match=message):
        text_of(cell)


def test_names_and_places_in_an_order() -> None:
    assert [name_of(cell) for cell in (" 12.0 ", "12.50", 12.0, "Ses01F", "-1.000")] == [
        "12",
        "12.50",
        "12",
        "Ses01F",
        "-1",
    ]
    assert [order_of(cell) for cell in ("3", 3, 3.0, "2.5", " 10 ")] == [3, 3, 3, 2.5, 10]
    for cell in ("", "a", "nan", "inf", "1e999", None, "Ses01F_impro01_F000"):
        with pytest.raises(DataError, match="not a number"):
            order_of(cell)


def test_a_long_value_is_shortened() -> None:
    assert shortened("x" * 100) == "'" + "x" * 39 + "...' (100 characters)"
    assert shortened("short") == "'short'"
