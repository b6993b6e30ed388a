"""SIGKILL at random instants of each stage, then the same command: nothing corrupt, twice, lost or different."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from common.history import checkpoints_of, read_state
from tests.faults.conftest import Undisturbed
from tests.faults.forked import Child
from tests.faults.place import STAGES, Place, corrupt, differences, results
from tests.faults.tally import Row

#: Kills between two undisturbed ends.
IN_A_ROW = 4


@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_loses_nothing(
    stage: str, undisturbed: Undisturbed, count: int, rng: random.Random, row: Callable[[str, str], Row]
) -> None:
    found, place = row(stage, "SIGKILL"), undisturbed.place
    while found.tried < count:
        undisturbed.before(stage)
        done, epochs, where = place.done(), 0, ""
        for kill in range(IN_A_ROW):
            # The first kill falls into each part of the span in turn, wherever the others fall.
            part = (found.tried + rng.random()) % count / count if kill == 0 else rng.random()
            child = undisturbed.forks.start(place.commands(stage))
            if child.ended_by(part * undisturbed.span_s[stage]):
                _check_end(child, found, where)
                break
            child.send(signal.SIGKILL)
            child.process.join()
            found.tried += 1
            where = f"kill {found.tried} ({part:.3f} of the span)"
            found.count("corrupt", corrupt(place), where)
            found.count("twice", _again(place, done) + _trained_again(child, epochs), where)
            done, epochs = place.done(), _epochs(place)
        child = undisturbed.forks.run(place.commands(stage))
        _check_end(child, found, where)
        found.count("twice", _again(place, done) + _trained_again(child, epochs) + place.logged_twice(), where)
        found.count("corrupt", corrupt(place), where)
        found.count("lost", place.partials() + sorted(undisturbed.names[stage] ^ place.names()), where)
        found.count("different", differences(results(place), undisturbed.results[stage]), where)
    found.require()


def _check_end(child: Child, found: Row, where: str) -> None:
    if child.process.exitcode != 0:
        found.count("lost", [f"exit code {child.process.exitcode}: {child.said}"], where)


def _again(place: Place, before: dict[Path, tuple[int, int]]) -> list[str]:
    """Finished files that were written again, or are gone."""
    now = place.done()
    return [str(path) for path, identity in before.items() if now.get(path) != identity]


def _epochs(place: Place) -> int:
    """Epochs that the last whole checkpoint has behind it."""
    for training in place.run.glob("checkpoints/*"):
        for checkpoint in checkpoints_of(training):
            if state := read_state(checkpoint):
                return round(state["epoch"])
    return 0


def _trained_again(child: Child, epochs: int) -> list[str]:
    first = re.search(r"epoch (\d+)/", child.said)
    return [f"epoch {first[1]} of {epochs}"] if first and int(first[1]) <= epochs else []
