"""NaN, infinite and impossible numbers: refused with the clip's name, never averaged away; memory that runs out."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.faults.after import check_clean, check_said, check_same_end
from tests.faults.conftest import Undisturbed
from tests.faults.failing import gradient_is_nan, memory_for, memory_limit, training_out_of_memory
from tests.faults.place import Place, corrupt, differences, results
from tests.faults.tally import Row

OUT_OF_MEMORY = r"memory ran out; going on with batch_size \d"


def plant(path: Path, dataset: str, at: int, value: float) -> None:
    """Put a number into a clip file, with a checksum that fits: as if it had been written so."""
    with h5py.File(path, "a") as file:
        rows = file[dataset]
        rows[at] = value
        rows.attrs["crc32"] = zlib.crc32(np.ascontiguousarray(rows[()]).view(np.uint8).reshape(-1).data)


@pytest.mark.parametrize(
    ("stage", "kind", "dataset", "values"),
    [
        ("stage 2", "features", "visual", (np.nan, np.inf, -np.inf)),
        ("stage 2", "features", "audio", (np.nan, np.inf)),
        ("stage 2", "features", "label/valence", (np.inf, 1.5, -5.0)),
        ("stage 3", "fused", "refined", (np.nan, np.inf)),
        ("stage 3", "fused", "label/arousal", (-np.inf, -1.01)),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(
    stage: str,
    kind: str,
    dataset: str,
    values: tuple[float, ...],
    undisturbed: Undisturbed,
    rng: random.Random,
    row: Callable[[str, str], Row],
) -> None:
    found, place = row(stage, f"NaN or worse in {dataset}"), undisturbed.place
    for value in values:
        undisturbed.before(stage)
        path, at = _labelled(place, kind, dataset, rng)
        plant(path, dataset, at, value)
        found.tried += 1
        where = f"{value} in /{dataset} of {path.name} at {at}"
        child = undisturbed.forks.run(place.commands(stage))
        check_said(found, child, where, codes=[1], wanted=rf"{path.name}: /{dataset} isn't .* at frame {at}\..*elete")
        found.count("lost", place.partials(), where)
        found.count("different", [part for part in ("fusion", "head") if _trained(place, stage, part)], where)
    found.require()


def _labelled(place: Place, kind: str, dataset: str, rng: random.Random) -> tuple[Path, int]:
    """A clip that is trained on, and a row of it that is there."""
    import json

    manifest = json.loads((place.run / "manifest.json").read_text())
    clips = [clip["id"] for clip in manifest["clips"] if clip["split"] in ("train", "validation")]
    paths = [path for path in sorted((place.cache / kind).glob("*/*.h5")) if path.stem in clips]
    path = rng.choice(paths)
    with h5py.File(path) as file:
        mask = file[f"present/{dataset}"][()] if f"present/{dataset}" in file else np.ones(len(file["time_s"]), bool)
    return path, int(rng.choice(np.flatnonzero(mask).tolist()))


def _trained(place: Place, stage: str, part: str) -> bool:
    return (part == "head" or stage == "stage 2") and (place.run / part).exists()


@pytest.mark.parametrize("text", ["nan,0.1", "0.1,inf", "1.5,0", "-4,0.2", "0.1", "a,b"])
def test_a_label_that_cannot_be_is_refused_with_its_line(
    text: str, undisturbed: Undisturbed, corpus: Path, tmp_path: Path, row: Callable[[str, str], Row]
) -> None:
    import shutil

    found, place = row("stage 1", "label that can't be"), undisturbed.place
    undisturbed.before("stage 1")
    data = tmp_path / "data"
    shutil.copytree(corpus, data)
    annotation = sorted(data.rglob("*.txt"))[0]
    lines = annotation.read_text().splitlines()
    lines[3] = text
    annotation.write_text("\n".join(lines) + "\n")
    child = undisturbed.forks.run(Place(place.root, data).commands("stage 1"))
    found.tried += 1
    check_said(found, child, text, codes=[1], wanted=rf"{annotation.name}.*line 4|{annotation.name}:4")
    found.require()


@pytest.mark.parametrize("stage", ["stage 2", "stage 3"])
def test_a_gradient_or_loss_that_is_no_number_ends_training_at_its_step(
    stage: str, undisturbed: Undisturbed, row: Callable[[str, str], Row]
) -> None:
    found, place = row(stage, "NaN in a gradient or loss"), undisturbed.place
    training = f"{stage.replace(' ', '')}.training"
    steep = (f"{training}.learning_rate=1e30", f"{training}.batch_size=4")
    for where, settings, fault, wanted in (
        ("a gradient", (), partial(gradient_is_nan, 2), r"The gradient is nan at step 2, in a batch of \S"),
        ("a loss", steep, None, r"The (gradient|loss) is (nan|inf) at step \d, in a batch of \S"),
    ):
        undisturbed.before(stage)
        child = undisturbed.forks.run(place.commands(stage, *settings), fault)
        found.tried += 1
        check_said(found, child, where, codes=[1], wanted=wanted)
        check_clean(found, undisturbed, where)
        check_same_end(found, undisturbed, stage, where)
    found.require()


def test_the_encoders_go_on_with_smaller_batches(undisturbed: Undisturbed, row: Callable[[str, str], Row]) -> None:
    found, place = row("stage 1", "memory runs out in the encoder"), undisturbed.place
    for items in (5, 1):
        undisturbed.before("stage 1")
        child = undisturbed.forks.run(place.commands("stage 1"), partial(memory_for, items))
        found.tried += 1
        check_said(found, child, f"{items} at once", codes=[0], wanted=OUT_OF_MEMORY)
        found.count("different", differences(results(place), undisturbed.results["stage 1"]), f"{items} at once")
        check_same_end(found, undisturbed, "stage 1", f"{items} at once")
    undisturbed.before("stage 1")
    child = undisturbed.forks.run(place.commands("stage 1"), partial(memory_for, 0))
    found.tried += 1
    check_said(found, child, "none at once", codes=[1], wanted=r"Memory doesn't suffice.*smaller model")
    check_clean(found, undisturbed, "none at once")
    check_same_end(found, undisturbed, "stage 1", "none at once")
    found.require()


@pytest.mark.parametrize("stage", ["stage 2", "stage 3"])
def test_a_training_that_needs_too_much_says_so(
    stage: str, undisturbed: Undisturbed, row: Callable[[str, str], Row]
) -> None:
    found, place = row(stage, "memory runs out in training"), undisturbed.place
    undisturbed.before(stage)
    child = undisturbed.forks.run(place.commands(stage), partial(training_out_of_memory, 2))
    found.tried += 1
    check_said(found, child, stage, codes=[1], wanted=r"Memory doesn't suffice.*batch_size=\d+.*accumulate=2")
    check_clean(found, undisturbed, stage)
    check_same_end(found, undisturbed, stage, stage)
    found.require()


def test_a_real_limit_of_memory(
    undisturbed: Undisturbed, count: int, rng: random.Random, row: Callable[[str, str], Row]
) -> None:
    """The system refuses memory, wherever that happens: done all the same, or ended in a sentence."""
    if count < 50:
        pytest.skip("what fails first differs from run to run: tried in full runs alone")
    found, place = row("stage 1", "limit of memory (RLIMIT_AS)"), undisturbed.place
    tries = max(2, count // 20)
    for number in range(tries):
        undisturbed.before("stage 1")
        spare = int(400e6 * (number + rng.random()) / tries)
        child = undisturbed.forks.run(place.commands("stage 1"), partial(memory_limit, spare))
        found.tried += 1
        where = f"{spare / 1e6:.0f} MB to spare"
        if child.process.exitcode != 0:
            check_said(found, child, where, codes=[1], wanted="[Mm]emory|alloc")
        # Without memory for it, what is half-written stays, marked as that, for the next run to remove.
        found.count("corrupt", corrupt(place), where)
        check_same_end(found, undisturbed, "stage 1", where)
    found.require()
