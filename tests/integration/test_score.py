"""The embedded corpus' score, by the whole chain at full size; and that nothing is learnt from shuffled labels.

Run by ``make check-score`` after ``make test``, whose cache it copies: rendering and stage 1 are not done again.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.datasets import DEMO
from stage1_embeddings.cli import main as stage1
from stage2_beit.cli import main as stage2
from stage3_mlp.cli import main as stage3

pytestmark = [pytest.mark.score, pytest.mark.timeout(900)]

PROJECT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A copy of what `make test` has cached."""
    made = PROJECT / "cache"
    if not (made / DEMO).is_dir():
        pytest.skip("`make test` hasn't been run here")
    for part in ("corpus", "features", "models"):
        shutil.copytree(made / part, tmp_path / "cache" / part)
    return tmp_path / "cache"


def scored(cache: Path, run: Path, data: Path | None) -> dict[str, Any]:
    places = ["--cache", str(cache), "--run", str(run), "--device", "cpu"]
    source = ["--data", str(data)] if data else []
    for group, arguments in (
        (stage1, ["extract", *source, "--recipe", "demo"]),
        (stage2, ["train", "--recipe", "demo"]),
        (stage2, ["export"]),
        (stage3, ["train", "--recipe", "demo"]),
        (stage3, ["test"]),
    ):
        result = CliRunner().invoke(group, [*arguments, *places])
        assert result.exit_code == 0, result.output
    metrics: dict[str, Any] = json.loads((run / "test" / "metrics.json").read_text())
    return metrics


def shuffle_labels(annotations: Path, splits: tuple[str, ...], seed: int) -> None:
    """Deal the annotation rows of each split out anew over its clips and frames."""
    rng = np.random.default_rng(seed)
    for split in splits:
        files = sorted((annotations / split).glob("*.txt"))
        tables = [file.read_text().splitlines() for file in files]
        rows = [row for table in tables for row in table[1:]]
        dealt = iter(rng.permutation(rows).tolist())
        for file, table in zip(files, tables, strict=True):
            file.write_text("\n".join([table[0], *(next(dealt) for _ in table[1:])]) + "\n")


def test_the_chain_learns_what_the_corpus_shows(cache: Path, tmp_path: Path) -> None:
    metrics = scored(cache, tmp_path / "run", None)
    assert metrics["split"] == "test" and metrics["clips"] == 5
    assert metrics["ccc"]["mean"] >= 0.6, metrics["ccc"]


def test_nothing_is_learnt_from_shuffled_labels(cache: Path, tmp_path: Path) -> None:
    """Over three shufflings: what has learnt nothing still agrees with five clips by chance, by 0.15 at times."""
    found = []
    for seed in range(3):
        data = tmp_path / f"shuffled{seed}"
        shutil.copytree(cache / DEMO, data)
        shuffle_labels(data / "VA_Estimation_Challenge", ("Train_Set", "Validation_Set"), seed)
        found.append(scored(cache, tmp_path / f"run{seed}", data)["ccc"]["mean"])
    assert abs(np.mean(found)) < 0.15, found
