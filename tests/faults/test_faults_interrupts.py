"""Ctrl-C, once and twice, and SIGTERM in every phase: a clean state, the right exit code, and how to go on."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.after import check_clean, check_said, check_same_end
from tests.faults.conftest import Undisturbed
from tests.faults.place import STAGES
from tests.faults.tally import Row

GO_ON = "the same command goes on from there|between two commands"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("fault", "number", "again"),
    [
        ("SIGINT", signal.SIGINT, False),
        ("SIGINT twice", signal.SIGINT, True),
        ("SIGTERM", signal.SIGTERM, False),
    ],
)
def test_an_interrupt_leaves_a_clean_state(
    stage: str,
    fault: str,
    number: signal.Signals,
    again: bool,
    undisturbed: Undisturbed,
    count: int,
    rng: random.Random,
    row: Callable[[str, str], Row],
) -> None:
    found, place, tries = row(stage, fault), undisturbed.place, max(2, count // 16)
    for part in range(tries):
        undisturbed.before(stage)
        child = undisturbed.forks.start(place.commands(stage))
        at = (part + rng.random()) / tries
        if child.ended_by(at * undisturbed.span_s[stage]):
            continue
        child.send(number)
        if again:
            time.sleep(rng.random() * 0.05)
            with contextlib.suppress(ProcessLookupError):
                child.send(number)
        child.end()
        found.tried += 1
        where = f"{fault} at {at:.3f} of the span"
        if child.process.exitcode != 0 or "== begun" not in child.said:  # it may have ended a moment before
            code = 143 if number == signal.SIGTERM else 130
            check_said(found, child, where, codes=[code], wanted=GO_ON)
        if not again:  # a second Ctrl-C may leave what is told to be partial
            check_clean(found, undisturbed, where)
        check_same_end(found, undisturbed, stage, where)
    found.require()
