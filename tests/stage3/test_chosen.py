"""Which clips are shown: best, median and worst, as far as there are so many, and none twice."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage3_mlp.report.chosen import SHOWN, chosen_clips

SCORES = st.one_of(st.none(), st.just(math.nan), st.floats(-1, 1))


def rows(scores: list[float | None]) -> list[dict[str, float | str | None]]:
    return [{"clip": f"clip {place}", "ccc_mean": score} for place, score in enumerate(scores)]


@given(st.lists(SCORES, max_size=20))
def test_none_is_shown_twice_and_they_go_from_best_to_worst(scores: list[float | None]) -> None:
    found = chosen_clips(rows(scores))
    assert len({one.clip for one in found}) == len(found) <= 2 * SHOWN + 1
    known = sorted((score for score in scores if score is not None and not math.isnan(score)), reverse=True)
    shown = [one.row["ccc_mean"] for one in found]
    if not known:
        assert len(found) == min(1, len(scores))
    else:
        assert shown == sorted(shown, reverse=True) and shown[0] == known[0] and shown[-1] == known[-1]
        assert len(found) == min(len(known), 2 * SHOWN + 1)


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (0, []),
        (1, ["The only clip with a CCC"]),
        (2, ["Best clip", "Worst clip"]),
        (3, ["Best clip", "Median clip", "Worst clip"]),
        (4, ["Best clip", "Second best", "Second worst", "Worst clip"]),
        (6, ["Best clip", "Second best", "Third best", "Third worst", "Second worst", "Worst clip"]),
        (9, ["Best clip", "Second best", "Third best", "Median clip", "Third worst", "Second worst", "Worst clip"]),
    ],
)
def test_they_are_called_by_their_place(count: int, names: list[str]) -> None:
    found = chosen_clips(rows([place / 10 for place in range(count)]))
    assert [one.why for one in found] == names


def test_the_median_is_in_the_middle_and_ties_keep_their_order() -> None:
    assert chosen_clips(rows([place / 10 for place in range(9)]))[3].clip == "clip 4"
    assert [one.clip for one in chosen_clips(rows([0.5, 0.5]))] == ["clip 0", "clip 1"]
    assert chosen_clips(rows([None, math.nan]))[0].why == "First clip; none has a CCC"
