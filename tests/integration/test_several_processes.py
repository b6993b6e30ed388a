"""Two processes train as one does: the same items, losses, gradients, scores; also stopped, and in a whole chain."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.store import read_clip
from tests.integration.chain import Chain
from tests.integration.shared_training import BATCHES, ITEMS, TRAININGS, VALIDATION, trained

PROJECT = Path(__file__).resolve().parent.parent.parent


def launched(*words: str) -> subprocess.CompletedProcess[str]:
    """``python -m common.launch 2 WORDS``."""
    command = [sys.executable, "-m", "common.launch", "2", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Two:
    """What two processes left: their results, what they said, and the chain beside it that one process has run."""

    folder: Path
    results: list[dict[str, Any]]
    output: str
    chain: Chain
    alone: Chain


@pytest.fixture(scope="module")
def two(finished: Chain, tmp_path_factory: pytest.TempPathFactory) -> Two:
    folder = tmp_path_factory.mktemp("several")
    shutil.copytree(finished.cache, folder / "cache")
    chain, alone = (Chain(finished.data, folder / "cache", folder / "runs" / name) for name in ("two", "alone"))
    for chained in (chain, alone):
        chained.run.mkdir(parents=True)
        shutil.copy(finished.run / "manifest.json", chained.run)
    done = launched("tests.integration.shared_training", str(folder))
    assert done.returncode == 0, done.stderr
    results = [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]
    return Two(folder, results, done.stdout, chain, alone)


def dealt_out(whole: list[list[int]], one: list[list[int]], other: list[list[int]]) -> None:
    """Check that two have each batch between them; of one item, the other has a copy that doesn't count."""
    assert len(whole) == len(one) == len(other)
    for batch, left, right in zip(whole, one, other, strict=True):
        assert batch == (left + right if len(batch) > 1 else left)
        assert 0 <= len(left) - len(right) <= 1


@pytest.mark.parametrize("name", TRAININGS)
def test_each_step_is_that_of_one_process(two: Two, name: str, tmp_path: Path) -> None:
    one = trained(name, tmp_path)
    parts = [result[name] for result in two.results]
    dealt_out(one["items"], *(part["items"] for part in parts))
    for part in parts:
        assert np.allclose(part["losses"], one["losses"], rtol=0, atol=1e-5)
        assert len(part["gradients"]) == len(one["gradients"])
        for found, wanted in zip(part["gradients"], one["gradients"], strict=True):
            assert np.allclose(found, wanted, rtol=1e-3, atol=1e-5)
        for row, expected in zip(part["history"], one["history"], strict=True):
            assert row == pytest.approx(expected, abs=1e-5)
    assert parts[0]["history"] == parts[1]["history"] and parts[0]["weights"] == parts[1]["weights"]


def test_validation_is_dealt_out_in_whole_batches_and_none_twice(two: Two) -> None:
    for name, (_, settings) in TRAININGS.items():
        first, second = ([tuple(batch) for batch in result[name]["validated"]] for result in two.results)
        sizes = {len(batch) for batch in first + second}
        assert settings["batch_size"] in sizes and len(sizes) <= 2
        items = sorted(item for batch in first + second for item in batch)
        assert items == sorted(2 * list(range(VALIDATION, VALIDATION + ITEMS))), name


def test_a_resumed_training_ends_as_if_undisturbed(two: Two) -> None:
    for result in two.results:
        assert result["resumed"]["weights"] == result["undisturbed"]["weights"]
        assert result["resumed"]["history"] == result["undisturbed"]["history"]
    assert two.results[0]["undisturbed"]["weights"] == two.results[1]["undisturbed"]["weights"]


def test_one_process_goes_on_from_what_two_have_left(two: Two, tmp_path: Path) -> None:
    shutil.copytree(two.folder / "left", tmp_path / "left")
    went_on = trained("ccc", tmp_path / "left", dropout=0.2)
    before = two.results[0]["undisturbed"]
    assert len(went_on["losses"]) == 4, "the last epoch alone"
    assert went_on["items"] == trained("ccc", tmp_path / "alone")["items"][-4:]
    assert [row["eval_loss"] for row in went_on["history"][:1]] == [row["eval_loss"] for row in before["history"][:1]]


def test_the_commands_of_all_stages(two: Two) -> None:
    alone, chain = two.alone, two.chain
    for result in (alone.train_beit(*BATCHES), alone.export(), alone.train_mlp(*BATCHES)):
        assert result.exit_code == 0, result.output
    said = two.output.splitlines()
    assert sum(line.startswith("Stage 2: training on") for line in said) == 1, said
    assert sum("nothing to do" in line for line in said) == 1, "stage 3 once more"
    assert "Stage 2: exported 6 of 6 clips" in two.output
    for stage in ("fusion", "head"):
        one, both = (json.loads((run.run / stage / "record.json").read_text()) for run in (alone, chain))
        assert (one["processes"], both["processes"]) == (1, 2)
        assert one["fingerprint"] == both["fingerprint"] or stage == "head", "the head's features have another hash"
        for row, expected in zip(both["history"], one["history"], strict=True):
            for key in ("loss", "eval_loss", "eval_ccc_mean"):
                assert row[key] == pytest.approx(expected[key], abs=1e-3)
    assert not (chain.run / "checkpoints").exists() and (chain.run / "curves.png").is_file()
    assert len(list(chain.run.glob("tensorboard/*/*"))) == 2, "one log for each stage"
    manifests = [json.loads((run.run / "fused" / "manifest.json").read_text()) for run in (alone, chain)]
    for clip in manifests[0]["clips"]:
        files = [two.folder / "cache" / manifest["folder"] / f"{clip['id']}.h5" for manifest in manifests]
        one, both = (np.asarray(read_clip(file)["refined"], dtype=np.float32) for file in files)
        assert np.allclose(one, both, atol=0.02)
    assert chain.test().exit_code == 0
