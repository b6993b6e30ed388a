"""Stage 3: a run of a million refined frames scored on one core, and a head's training against a bare loop.

    python -m benchmarks.scoring [--quick] [--device cpu] [--json FILE]

Scored is by the command itself, `python -m stage3_mlp test --no-video`: it starts, loads the head, predicts, smooths,
draws 1,000 times for the intervals, writes predictions.csv, the report and the pages of seven clips. Recipe strong:
features pooled over 15 frames. Head's training: one epoch of the same recipe, frames in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pyarrow import csv

from benchmarks.alone import alone
from benchmarks.head_training import HeadTraining
from benchmarks.measure import in_turns, row
from benchmarks.row import Row
from benchmarks.scored_run import MadeRun, make_run
from common.errors import MavenError
from common.files import sha256
from common.manifest import read_manifest
from common.recipe import load_recipe
from common.schema import Split
from stage3_mlp.train import FUSED, LabelledFrames

RECIPE = "strong"
#: The bar: seconds for `FRAMES` frames on one core.
BAR_S = 60.0
FRAMES = 1_000_000
_CLIP_FRAMES = 5000
#: Batches of the head's training: the recipe's, and a small one, where what surrounds a step weighs more.
_BATCHES = (256, 32)


def rows(quick: bool, device: str) -> list[Row]:
    clips, turns = (20, 2) if quick else (FRAMES // _CLIP_FRAMES, 3)
    with tempfile.TemporaryDirectory() as folder:
        made = make_run(Path(folder), clips=clips, frames=_CLIP_FRAMES)
        _stage3(made, "train", "--recipe", RECIPE, "--set", "stage3.training.epochs=1", "--device", device)
        return [scored(made, turns), *training(made, device, turns, _BATCHES[:1] if quick else _BATCHES)]


def scored(made: MadeRun, turns: int) -> Row:
    """The test command in a process that may use one core."""
    hashes = set()

    def test() -> None:
        _stage3(made, "test", "--no-video", "--device", "cpu", one_core=True)
        hashes.add(sha256(made.run / "test" / "predictions.csv"))

    def afresh() -> None:
        for name in ("test", "clips"):
            shutil.rmtree(made.run / name, ignore_errors=True)

    costs = in_turns({"test": test}, turns, before=afresh)
    check_scored(made.run, made.frames["test"])
    if len(hashes) != 1:
        raise MavenError("The turns wrote different predictions.", "The same run must be scored alike each time.")
    million = made.frames["test"] == FRAMES
    share = "" if million else f" A million frames may take {BAR_S:.0f} s; that is measured without --quick."
    return row(
        f"stage 3's test of {made.frames['test']:,} cached frames, one core, float32, recipe {RECIPE}",
        "s",
        costs,
        ours="test",
        at_most=BAR_S if million else None,
        note="the whole command without video: intervals, predictions.csv, report, seven pages; refined features "
        f"in the page cache.{share}",
    )


def check_scored(run: Path, frames: int) -> None:
    """The table holds every frame, and its CCC by the formula alone is the one that was reported.

    Raises
    ------
    MavenError
        If not.
    """
    table = csv.read_csv(run / "test" / "predictions.csv", parse_options=csv.ParseOptions(newlines_in_values=True))
    reported = json.loads((run / "test" / "metrics.json").read_text(encoding="utf-8"))
    if len(table) != frames or None in reported["intervals"]["ccc_mean"]:
        raise MavenError(f"{len(table)} rows are written of {frames}, or no interval.", "See the command's output.")
    for axis in ("valence", "arousal"):
        predicted, true = (table[name].to_numpy().astype(np.float64) for name in (axis, f"label_{axis}"))
        there = ~np.isnan(true)
        p, t = predicted[there], true[there]
        plain = 2 * np.cov(p, t, bias=True)[0, 1] / (p.var() + t.var() + (p.mean() - t.mean()) ** 2)
        if abs(plain - reported["ccc"][axis]) > 1e-6:
            raise MavenError(f"CCC of {axis} is {plain} and not {reported['ccc'][axis]}.", "The score is wrong.")


def training(made: MadeRun, device: str, turns: int, batches: tuple[int, ...]) -> list[Row]:
    """An epoch of `fit` against a bare loop, for each size of batch."""
    manifest, recipe = read_manifest(made.run / FUSED), load_recipe(RECIPE, ())

    def frames(split: Split) -> LabelledFrames:
        return LabelledFrames(made.cache, manifest, manifest.of(split), recipe.stage3.head.pool_frames)

    both = HeadTraining(recipe, frames("train"), frames("validation"), device)
    both.check()
    found = []
    for batch in batches:
        sized = replace(both, batch=batch)
        costs = in_turns(sized.ways(), turns)
        found.append(
            row(
                f"a head's epoch over {len(both.train):,} frames, batches of {batch}, float32, {device}",
                "frames/s",
                costs,
                ours="fit",
                limit=("bare loop", None),
                work=len(both.train),
                note=f"ours also scores {len(both.validation):,} frames of validation and writes a checkpoint, once.",
            )
        )
    return found


def _stage3(made: MadeRun, command: str, *arguments: str, one_core: bool = False) -> None:
    """Run stage 3's command line; on one core, by its threads and by where the system lets it run.

    Raises
    ------
    MavenError
        If it fails, with what it said.
    """
    line = [sys.executable, "-m", "stage3_mlp", command, *arguments, "--cache", str(made.cache), "--run", str(made.run)]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    done = subprocess.run(
        line,
        env={**os.environ, **(threads if one_core else {})},
        preexec_fn=_on_one_core() if one_core else None,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise MavenError(f"{' '.join(line[2:4])} failed: {done.stderr.strip()[-500:]}", "Run it by itself.")


def _on_one_core() -> Callable[[], None] | None:
    """For a child: stay on one core. None where the system has no such call; the threads are one all the same."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {core})


main = alone(rows)

if __name__ == "__main__":
    main()
