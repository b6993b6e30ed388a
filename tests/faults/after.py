"""What every fault is followed by: is the state clean, and does the same command come to the same end?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.faults.conftest import Undisturbed
from tests.faults.forked import Child
from tests.faults.place import corrupt, differences, results
from tests.faults.tally import Row


def check_said(found: Row, child: Child, where: str, *, codes: Iterable[int], wanted: str) -> None:
    """The exit code is one of ``codes``, a sentence that fits ``wanted`` was said, and no stack was shown."""
    said = child.said
    if child.process.exitcode not in codes or not re.search(wanted, said, re.DOTALL) or "Traceback" in said:
        found.count("unsaid", [f"exit code {child.process.exitcode}: {said[-3000:]}"], where)


def check_clean(found: Row, undisturbed: Undisturbed, where: str) -> None:
    """Nothing half-written is left, and what is there is whole."""
    found.count("corrupt", corrupt(undisturbed.place) + undisturbed.place.partials(), where)


def check_same_end(found: Row, undisturbed: Undisturbed, stage: str, where: str, *settings: str) -> Child:
    """Run the stage again: nothing finished is made again, and all is as if undisturbed."""
    place, before = undisturbed.place, undisturbed.place.done()
    child = undisturbed.forks.run(place.commands(stage, *settings))
    if child.process.exitcode != 0:
        found.count("lost", [f"exit code {child.process.exitcode}: {child.said[-3000:]}"], where)
        return child
    now = place.done()
    found.count("twice", [str(path) for path, identity in before.items() if now.get(path) != identity], where)
    found.count("lost", place.partials() + sorted(undisturbed.names[stage] ^ place.names()), where)
    found.count("corrupt", corrupt(place), where)
    found.count("different", differences(results(place), undisturbed.results[stage]), where)
    return child
