"""Fixtures of the faults: how many, drawn from which seed, an undisturbed run to compare with, and the report."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults import tally
from tests.faults.forked import Forks
from tests.faults.place import STAGES, Place, results
from tests.faults.tally import Row

HERE = Path(__file__).resolve().parent
COUNT = int(os.environ.get("FAULTS_COUNT", "200"))
SEED = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
os.environ["FAULTS_SEED"] = str(SEED)  # the same in every process of this session
REPORT = HERE.parent.parent / "runs" / "faults"


#: Below this, a case of each test is drawn: what a change is checked with in about a minute.
EVERY_CASE = 50


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(3000))
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    if COUNT < EVERY_CASE:
        drawn = {random.Random(f"{SEED} {name}").choice(some) for name, some in cases.items()}
        left = [item for some in cases.values() for item in some if item not in drawn]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:  # at once, as the whole takes minutes
        REPORT.mkdir(parents=True, exist_ok=True)
        with (REPORT / "failed.txt").open("a") as file:
            file.write(f"{report.nodeid}\n{report.longreprtext[-6000:]}\n\n")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                rows += [value for name, value in report.user_properties if name == "faults"]
    if rows:
        rows.sort(key=lambda row: (row["stage"], row["fault"]))
        tally.write(REPORT, rows, SEED)
        terminalreporter.write_line("\n".join(["", *tally.lines(rows, SEED), "", f"Report: {REPORT / 'faults.md'}"]))


@pytest.fixture(scope="session")
def count() -> int:
    """Kills of a stage; other faults are fewer in proportion."""
    return COUNT


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Callable[[str, str], Row]:
    """A row of the table, which the report gets however the test ends."""

    def begin(stage: str, fault: str) -> Row:
        found = Row(stage, fault)
        request.node.user_properties.append(("faults", found.__dict__))
        return found

    return begin


@dataclass(frozen=True)
class Undisturbed:
    """A place, its states before and after each stage, and how long a stage takes."""

    place: Place
    forks: Forks
    templates: dict[str, Path]
    results: dict[str, dict[str, Any]]
    names: dict[str, set[str]]
    span_s: dict[str, float]

    def before(self, stage: str) -> None:
        self.place.restore(self.templates[stage])

    def afterwards(self) -> None:
        """A finished run."""
        self.place.restore(self.templates["end"])


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Forks:
    return Forks(tmp_path_factory.mktemp("said"))


@pytest.fixture(scope="session")
def undisturbed(corpus: Path, forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    place = Place(root / "place", corpus)
    place.cache.mkdir(parents=True)
    templates, found, names, spans = {}, {}, {}, {}
    for stage in STAGES:
        templates[stage] = root / stage
        shutil.copytree(place.root, templates[stage])
        child = forks.run(place.commands(stage))  # once for what is imported or made on the way
        assert child.process.exitcode == 0, child.said
        place.restore(templates[stage])
        child = forks.run(place.commands(stage))
        assert child.process.exitcode == 0, child.said
        spans[stage] = child.seconds
        found[stage], names[stage] = results(place), place.names()
    templates["end"] = root / "end"
    shutil.copytree(place.root, templates["end"])
    yield Undisturbed(place, forks, templates, found, names, spans)
    shutil.rmtree(root, ignore_errors=True)
