"""Stage 1 on two nodes of a real cluster, of which one loses its power in the middle."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from common.datasets.demo import render_corpus
from tests.conftest import SMALL
from tests.ray.cluster import ENVIRONMENT, PATIENCE_S, TwoNodes, two_nodes

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray isn't installed (requirements-ray.txt)"),
]

PROJECT = Path(__file__).resolve().parent.parent.parent
CLIPS = 8


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    yield from two_nodes()


def extract(data: Path, place: Path, *options: str) -> subprocess.Popen[str]:
    sets = [part for setting in SMALL for part in ("--set", setting)]
    command = [sys.executable, "-m", "stage1_embeddings", "extract", "--data", str(data), *sets, *options]
    command += ["--cache", str(place / "cache"), "--run", str(place / "run"), "--device", "cpu"]
    environment = {**os.environ, **ENVIRONMENT}
    return subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def datasets(file: Path) -> dict[str, Any]:
    """Every dataset of a clip, byte for byte."""
    found: dict[str, Any] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            values = item[()]
            plain = values.tolist() if item.dtype == np.dtype(object) else values.tobytes()
            found[name] = (item.dtype.str, item.shape, plain)

    with h5py.File(file) as opened:
        opened.visititems(take)
    return found


def cached(place: Path) -> dict[str, dict[str, Any]]:
    return {file.name: datasets(file) for file in place.glob("cache/features/*/*.h5")}


@pytest.mark.timeout(600)  # a busy machine; some 45 s on an idle one
def test_a_node_is_lost_and_the_run_ends_as_on_one_machine(cluster: TwoNodes, models: Path, tmp_path: Path) -> None:
    data = tmp_path / "two people's talk, ü"
    render_corpus(data, clips=CLIPS, seconds=1.0)
    for name in ("alone", "cluster"):
        (tmp_path / name / "cache").mkdir(parents=True)
        (tmp_path / name / "cache" / "models").symlink_to(models / "models")

    run = extract(data, tmp_path / "cluster", "--engine", "ray", "--address", cluster.address)
    deadline = time.monotonic() + PATIENCE_S
    while not cluster.other.decodes() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert cluster.other.decodes(), f"the second node never had a clip in hand: {run.communicate()[0]}"
    cluster.other.lose_power()
    alone = extract(data, tmp_path / "alone", "--workers", "0")
    said, _ = run.communicate(timeout=400)
    assert run.returncode == 0, said
    assert "2 node(s) of the Ray cluster" in said and f"[{CLIPS}/{CLIPS}]" in said, said

    assert alone.wait() == 0
    assert len(cached(tmp_path / "alone")) == CLIPS
    assert cached(tmp_path / "cluster") == cached(tmp_path / "alone")
    (log,) = (tmp_path / "cluster").glob("cache/features/*/log.*.jsonl")
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert sorted(line["clip"] for line in lines) == sorted(Path(name).stem for name in cached(tmp_path / "alone"))
    assert {line["outcome"] for line in lines} == {"done"}
    left = [path.name for path in log.parent.iterdir() if "partial" in path.name]
    # A node that lost its power leaves what it was writing; its machine's next run removes it.
    again = extract(data, tmp_path / "cluster", "--engine", "ray", "--address", "127.0.0.1:1")
    said, _ = again.communicate()
    assert again.returncode == 0 and "nothing to do, no model loaded" in said, f"{said} (left: {left})"
    assert not [path.name for path in log.parent.iterdir() if "partial" in path.name]
