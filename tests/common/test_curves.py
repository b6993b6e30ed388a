"""The picture of a run's trainings."""

from __future__ import annotations

import io
import math

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.curves import run_curves

KEYS = ("loss", "eval_loss", "learning_rate", "eval_ccc_mean", "eval_ccc_valence", "eval_ccc_arousal")
#: Of one panel, in device pixels: where its axes are.
PANELS = [(slice(100, 580), slice(800 * column + 110, 800 * column + 790)) for column in range(3)]


def pixels(png: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png), format="png")


def coloured(panel: np.ndarray) -> int:
    """How many pixels are neither white nor grey."""
    return int((np.ptp(panel[..., :3], axis=-1) > 0.2).sum())


def history(epochs: int, **figures: float) -> list[dict[str, float]]:
    return [{"epoch": e, **{name: value / e for name, value in figures.items()}} for e in range(1, epochs + 1)]


def test_one_row_a_stage_on_white() -> None:
    rows = history(4, loss=1.0, eval_loss=0.8, learning_rate=1e-3, eval_ccc_valence=0.2, eval_ccc_mean=0.3)
    one, two = pixels(run_curves({"Stage 2": rows})), pixels(run_curves({"Stage 2": rows, "Stage 3": rows}))
    assert two.shape[0] == 2 * one.shape[0] and two.shape[1] == one.shape[1] == 2400
    for corner in (two[0, 0], two[0, -1], two[-1, 0], two[-1, -1]):
        assert corner[:3].tolist() == [1, 1, 1] and (len(corner) == 3 or corner[3] == 1)
    assert (two[: len(one)] == one).all(), "the first stage's row stays as it is when the second begins"
    assert coloured(one[PANELS[0]]) > 500 and coloured(one[PANELS[1]]) > 500
    assert one[PANELS[2]].min() < 0.3, "the learning rate is drawn"


def test_what_there_is_no_figure_of_is_left_out() -> None:
    drawn = pixels(run_curves({"Stage 3": history(3, loss=1.0)}))
    assert coloured(drawn[PANELS[0]]) and (drawn[PANELS[1]] == 1).all() and (drawn[PANELS[2]] == 1).all()


def test_classes_have_their_own_figures() -> None:
    figures = {"eval_weighted_f1": 0.5, "eval_accuracy": 0.6, "eval_macro_f1": 0.4}
    assert coloured(pixels(run_curves({"Stage 3": history(3, **figures)}))[PANELS[1]]) > 500


def test_the_same_history_makes_the_same_bytes() -> None:
    rows = {"Stage 2": history(3, loss=1.0, learning_rate=1e-3)}
    assert run_curves(rows) == run_curves(rows)


@settings(max_examples=15)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(KEYS), st.none() | st.sampled_from([math.nan, math.inf, 0.0, -1.0, 1e-9, 1e9])),
        min_size=1,
        max_size=4,
    )
)
def test_no_figure_of_a_training_stops_the_drawing(rows: list[dict[str, float]]) -> None:
    drawn = pixels(run_curves({"Stage 2": [{**row, "epoch": e} for e, row in enumerate(rows, start=1)]}))
    assert drawn.shape[:2] == (660, 2400)


@pytest.mark.filterwarnings("error")
def test_a_single_epoch_is_a_dot() -> None:
    rows = history(1, loss=1.0, learning_rate=1e-3, eval_ccc_mean=0.2)
    assert coloured(pixels(run_curves({"Stage 2": rows}))[PANELS[0]]) > 20
