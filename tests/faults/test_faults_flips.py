"""Flipped bits in whatever the stages read: named or made again, never trained on or scored in silence."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from common.store import read_locations
from tests.faults.after import check_said
from tests.faults.conftest import Undisturbed
from tests.faults.place import Place, differences, results
from tests.faults.tally import Row

KEEP_CROPS = "stage1.faces.keep_crops=true"

#: What is damaged, and what is taken away so that it is read: paths below the place.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "features": ("cache/features/*/*.h5", ("runs/small/fusion", "cache/fused", "runs/small/head", "runs/small/test")),
    "refined": ("cache/fused/*/*.h5", ("runs/small/head", "runs/small/test")),
    "refined, scored": ("cache/fused/*/*.h5", ("runs/small/test",)),
    "manifest": ("runs/small/manifest.json", ("cache/fused",)),
    "refined manifest": ("runs/small/fused/manifest.json", ("runs/small/test",)),
    "records": ("runs/small/*/record.json", ("cache/fused", "runs/small/test")),
    "configurations": ("runs/small/*/config.json", ("cache/fused", "runs/small/test")),
    "weights": ("runs/small/*/model.safetensors", ("cache/fused", "runs/small/test")),
    "encoders": ("cache/models/*/*.safetensors", ("runs/small/test",)),
}


def flip(path: Path, rng: random.Random, start: int = 0, stop: int | None = None) -> str:
    """Flip one bit somewhere in a file; says which."""
    content = bytearray(path.read_bytes())
    at, bit = rng.randrange(start, stop or len(content)), rng.randrange(8)
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return f"bit {bit} of byte {at} of {path.name}"


def flip_numbers(path: Path, rng: random.Random) -> str:
    """Flip one bit of a dataset's numbers."""
    places, _ = read_locations(path)
    name = rng.choice(sorted(places))
    place = places[name]
    return f"/{name}: {flip(path, rng, place.offset, place.offset + place.nbytes)}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_never_used_in_silence(
    kind: str, undisturbed: Undisturbed, count: int, rng: random.Random, row: Callable[[str, str], Row]
) -> None:
    """Either the commands say what is damaged, and its cure cures it; or they come to the undisturbed results."""
    found, place = row("all", f"bit flip: {kind}"), undisturbed.place
    pattern, gone = KINDS[kind]
    for number in range(max(2, count // 12)):
        undisturbed.afterwards()
        path = rng.choice(sorted(place.root.glob(pattern)))
        where = flip_numbers(path, rng) if path.suffix == ".h5" and number % 2 else flip(path, rng)
        for name in gone:
            shutil.rmtree(place.root / name)
        found.tried += 1
        child = undisturbed.forks.run(place.all())
        if child.process.exitcode != 0:
            check_said(found, child, where, codes=[1], wanted="(elete|un) .*`(make|python)")
            _cure(place, undisturbed, path, child.said, found, where)
            child = undisturbed.forks.run(place.all())
        if child.process.exitcode != 0:
            found.count("lost", [child.said[-3000:]], where)
        found.count("different", _different(place, undisturbed), where)
    found.require()


def _different(place: Place, undisturbed: Undisturbed) -> list[str]:
    """Numbers that differ, of what was made from what is damaged; what nobody read lies there for verify to find."""
    found = differences(results(place), undisturbed.results["stage 3"])
    return [name for name in found if not name.startswith("features/")]


def _cure(place: Place, undisturbed: Undisturbed, path: Path, said: str, found: Row, where: str) -> None:
    """What the message says: verify finds and removes clips, a model's folder is deleted."""
    if path.suffix == ".h5":
        verify = ["stage1_embeddings", "verify", "--delete", "--cache", str(place.cache)]
        child = undisturbed.forks.run([verify])
        check_said(found, child, where, codes=[1], wanted=f"{path.name}.*1 removed")
    elif path.parent.parent == place.cache / "models" or path.parent.parent == place.run:
        shutil.rmtree(path.parent)


def test_verify_finds_every_flipped_number(
    undisturbed: Undisturbed, count: int, rng: random.Random, row: Callable[[str, str], Row]
) -> None:
    """Kept crops among them; and the next run makes anew what it removed."""
    found, place = row("stage 1", "bit flip: found by verify"), undisturbed.place
    undisturbed.before("stage 1")
    assert undisturbed.forks.run(place.commands("stage 1", KEEP_CROPS)).process.exitcode == 0
    whole = place.root.with_name("with crops")
    shutil.copytree(place.root, whole)
    expected = results(place)
    for _ in range(max(2, count // 20)):
        place.restore(whole)
        path = rng.choice(sorted(place.root.glob("cache/*/*/*.h5")))
        where = flip_numbers(path, rng)
        found.tried += 1
        child = undisturbed.forks.run([["stage1_embeddings", "verify", "--delete", "--cache", str(place.cache)]])
        check_said(found, child, where, codes=[1], wanted=f"{path.name}.*1 removed")
        found.count("corrupt", [str(path)] if path.exists() else [], where)
        child = undisturbed.forks.run(place.commands("stage 1", KEEP_CROPS))
        check_said(found, child, where, codes=[0], wanted="")
        found.count("different", differences(results(place), expected), where)
    shutil.rmtree(whole)
    found.require()


@pytest.mark.parametrize("stage", ["stage 2", "stage 3"])
def test_a_damaged_checkpoint_is_not_gone_on_from(
    stage: str, undisturbed: Undisturbed, count: int, rng: random.Random, row: Callable[[str, str], Row]
) -> None:
    """The training is killed between two epochs, a bit of its checkpoint flips, and it goes on."""
    found, place = row(stage, "bit flip: checkpoint"), undisturbed.place
    tries = 0
    while found.tried < max(2, count // 20) and tries < 10 * count:
        tries += 1
        undisturbed.before(stage)
        child = undisturbed.forks.start(place.commands(stage))
        while child.process.is_alive() and not list(place.run.glob("checkpoints/*/*/checksums.json")):
            child.process.join(0.002)
        child.process.kill()
        child.process.join()
        files = [path for path in place.run.glob("checkpoints/*/*/*") if path.is_file()]
        if not files:
            continue
        where = flip(rng.choice(files), rng)
        found.tried += 1
        child = undisturbed.forks.run(place.commands(stage))
        check_said(found, child, where, codes=[0], wanted="")
        found.count("different", differences(results(place), undisturbed.results[stage]), where)
    found.require()
