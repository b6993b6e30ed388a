"""SIGKILL in the middle of each stage, then the same command again: the same end as undisturbed, and no litter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.files import sha256
from common.store import validate
from tests.conftest import SMALL
from tests.integration.chain import Chain

PROJECT = Path(__file__).resolve().parent.parent.parent
LONGER = ("stage2.training.epochs=6", "stage2.training.early_stop_epochs=2", "stage3.training.epochs=2")


def command(chain: Chain, *words: str) -> list[str]:
    sets = [part for setting in (*SMALL, *LONGER) for part in ("--set", setting)]
    places = ["--cache", str(chain.cache), "--run", str(chain.run), "--device", "cpu"]
    return [sys.executable, "-u", "-m", *words, "--recipe", "demo", *sets, *places]


def kill_after(line: str, arguments: list[str]) -> None:
    """Start a command and kill it as soon as it has printed ``line``."""
    process = subprocess.Popen(arguments, cwd=PROJECT, stdout=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stdout is not None
    for text in process.stdout:
        if line in text:
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL, "the command ended before it could be killed"


@pytest.fixture
def chain(corpus: Path, models: Path, tmp_path: Path) -> Chain:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models / "models")
    return Chain(corpus, tmp_path / "cache", tmp_path / "runs" / "killed")


def test_a_killed_extraction_goes_on(chain: Chain) -> None:
    kill_after("[2/6]", command(chain, "stage1_embeddings", "extract", "--data", str(chain.data)))
    done = {path: path.stat().st_mtime_ns for path in chain.cache.glob("features/*/*.h5")}
    assert 2 <= len(done) < 6
    for path in done:
        validate(path)
    time.sleep(0.1)
    assert chain.embeddings(*LONGER).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in done} == done, "finished clips are not done again"
    assert len(list(chain.cache.glob("features/*/*.h5"))) == 6
    assert not list(chain.cache.glob("features/*/.*partial*"))


def test_a_killed_training_ends_as_if_undisturbed(chain: Chain) -> None:
    assert chain.embeddings(*LONGER).exit_code == 0
    undisturbed = Chain(chain.data, chain.cache, chain.run.with_name("undisturbed"))
    assert undisturbed.embeddings(*LONGER).exit_code == 0
    assert undisturbed.train_beit(*LONGER).exit_code == 0
    kill_after("epoch 3/6", command(chain, "stage2_beit", "train"))
    assert not (chain.run / "fusion").exists()
    resumed = chain.train_beit(*LONGER)
    assert resumed.exit_code == 0 and "goes on from checkpoint-" in resumed.output, resumed.output
    one, other = (run.run / "fusion" for run in (chain, undisturbed))
    assert sha256(one / "model.safetensors") == sha256(other / "model.safetensors")
    epochs = [json.loads((folder / "record.json").read_text())["history"] for folder in (one, other)]
    assert len(epochs[0]) == len(epochs[1]), "early stopping forgot what it had counted"
    assert not (chain.run / "checkpoints").exists()
