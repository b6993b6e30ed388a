"""What a user waits for before anything is done: `--help`, and `make test` of a run that is finished.

    python -m benchmarks.start [--quick] [--json FILE]

Every command of the four packages is asked for its help; the slowest is shown. The finished run is one of the embedded
corpus with its own cache, made first and removed afterwards (minutes); with --quick it is runs/demo, where that is
there.
"""

from __future__ import annotations

import importlib
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.alone import alone
from benchmarks.measure import in_turns, row
from benchmarks.row import Row
from common.errors import MavenError
from common.provenance import PROJECT

PACKAGES = ("stage1_embeddings", "stage2_beit", "stage3_mlp", "studies")
HELP_S = 0.3
FINISHED_S = 5.0
#: What each of a finished run's steps says instead of doing something, and how many there are.
_NOTHING, _STEPS = "nothing to do", 5
_RUN = "benchmark-of-start"


def rows(quick: bool, device: str) -> list[Row]:
    """``device`` is without meaning here: nothing is loaded."""
    return [slowest_help(turns=3 if quick else 9), finished(quick, turns=3 if quick else 9)]


def commands() -> list[tuple[str, ...]]:
    """Each package's command and its sub-commands, as they follow ``python -m``."""
    found: list[tuple[str, ...]] = []
    for package in PACKAGES:
        group: click.Group = importlib.import_module(f"{package}.cli").main
        found += [(package,), *((package, name) for name in group.commands)]
    return found


def slowest_help(turns: int) -> Row:
    """Of all commands, in alternation."""
    every = commands()
    for command in every:
        if not _said(command).startswith("Usage: python -m " + " ".join(command)):
            raise MavenError(f"{' '.join(command)} --help doesn't say how it is used.", "Run it by itself.")
    ways: dict[str, Callable[[], object]] = {" ".join(c): lambda c=c: _said(c) for c in every}  # type: ignore[misc]
    ways["python -c pass"] = lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)
    costs = in_turns(ways, turns)
    slowest = max((name for name in costs if name != "python -c pass"), key=lambda name: statistics.median(costs[name]))
    return row(
        f"the slowest --help of {len(every)} commands: python -m {slowest}",
        "s",
        costs,
        ours=slowest,
        limit=("python -c pass", None),
        at_most=HELP_S,
    )


def finished(quick: bool, turns: int) -> Row:
    """`make test` where nothing is left to do, in the project's folder."""
    demo = quick and (PROJECT / "runs" / "demo" / "test" / "metrics.json").is_file()
    run = "demo" if demo else _RUN
    with tempfile.TemporaryDirectory() as folder:
        cache = PROJECT / "cache" if demo else Path(folder)
        try:
            _make_test(run, cache)  # brings it up to date
            said = _make_test(run, cache)
            if said.count(_NOTHING) != _STEPS:
                raise MavenError(f"make test has something left to do:\n{said}", "Run it by itself: why isn't it done?")
            costs = in_turns({"make test": lambda: _make_test(run, cache)}, turns)
        finally:
            if not demo:
                shutil.rmtree(PROJECT / "runs" / run, ignore_errors=True)
    return row(
        "make test of a finished run of the embedded corpus, 30 clips",
        "s",
        costs,
        ours="make test",
        at_most=FINISHED_S,
        why="An interpreter starts for each command and imports what reads recipes and manifests, half a second each.",
        note=f"{_STEPS} commands, each of which finds that nothing is left to do; the run is "
        + ("runs/demo, as it was there." if demo else "its own, made before."),
    )


def _said(command: tuple[str, ...]) -> str:
    line = [sys.executable, "-m", *command, "--help"]
    return subprocess.run(line, check=True, capture_output=True, text=True, cwd=PROJECT).stdout


def _make_test(run: str, cache: Path) -> str:
    """Its output.

    Raises
    ------
    MavenError
        If it fails.
    """
    line = ["make", "--no-print-directory", "test", f"RUN={run}", f"CACHE={cache}", "DEVICE=cpu"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=PROJECT)
    if done.returncode:
        raise MavenError(f"make test failed: {done.stderr.strip()[-500:]}", "Run it by itself.")
    return done.stdout


main = alone(rows)

if __name__ == "__main__":
    main()
