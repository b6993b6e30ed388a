"""Whatever is in a file or an argument, its parser reads it or refuses it in a sentence of the project's own.

``make check-fuzz COUNT=10000`` tries so many new inputs of each; `make check` a few, the same each time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import labels, recipes, runs, tables, transcripts
from tests.fuzz.target import Target, feed

TARGETS = (*labels.TARGETS, *transcripts.TARGETS, *recipes.TARGETS, *tables.TARGETS, *runs.TARGETS)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_any_input_is_read_or_refused_in_a_sentence(
    target: Target, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally = feed(target, tmp_path)
    record_property("fuzz", (target.name, tally.read, tally.refused))
    assert tally.read, "nothing was read: the inputs are all broken at their first byte"
    assert tally.refused or not target.refuses, "nothing was refused: the inputs are all harmless"
