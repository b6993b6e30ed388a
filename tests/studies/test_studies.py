"""The studies by their own command line on a small corpus: what they write, that it adds up, and what they refuse."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from studies.cli import main
from tests.conftest import SMALL
from tests.integration.chain import Chain


@pytest.fixture(scope="module")
def chain(finished: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A trained and scored run of its own for the studies."""
    folder = tmp_path_factory.mktemp("studies")
    for part in ("cache", "run"):
        shutil.copytree(getattr(finished, part), folder / part)
    return Chain(finished.data, folder / "cache", folder / "run")


def study(chain: Chain, *arguments: str, recipe: bool = True, settings: tuple[str, ...] = ()) -> Result:
    sets = [part for setting in (*SMALL, *settings) for part in ("--set", setting)]
    places = ["--cache", str(chain.cache), "--run", str(chain.run), "--device", "cpu"]
    return CliRunner().invoke(main, [*arguments, *(["--recipe", "demo", *sets] if recipe else []), *places])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_ablation_has_every_subset_and_shares_that_add_up(chain: Chain) -> None:
    result = study(chain, "ablate", "--seeds", "1", settings=("stage2.training.epochs=1", "stage3.training.epochs=1"))
    assert result.exit_code == 0, result.output
    folder = chain.run / "ablation"
    rows = table(folder / "ablation.csv")
    assert rows[0]["modalities"] == "visual" and rows[-1]["modalities"] == "visual + audio + text"
    assert len(rows) == 7 and all(row["low"] == "" for row in rows)  # one test clip has no interval
    shares = {row["modality"]: float(row["shapley"]) for row in table(folder / "shapley.csv")}
    assert sum(shares.values()) == pytest.approx(float(rows[-1]["mean"]), abs=1e-9)
    assert json.loads((folder / "ablation.json").read_text())["split"] == "test"
    again = study(
        chain, "ablate", "--verbose", "--seeds", "1", settings=("stage2.training.epochs=1", "stage3.training.epochs=1")
    )
    assert again.output.count("is trained with these settings") == 14  # two stages, seven subsets


def test_seeds_give_a_mean_and_a_spread(chain: Chain) -> None:
    result = study(chain, "seeds", "--seeds", "2")
    assert result.exit_code == 0, result.output
    rows = table(chain.run / "seeds" / "seeds.csv")
    assert [row["seed"] for row in rows] == ["7", "8"]
    summary = json.loads((chain.run / "seeds" / "seeds.json").read_text())["summary"]
    assert summary["mean"] == pytest.approx(sum(float(row["mean"]) for row in rows) / 2) and summary["spread"] > 0


def test_withheld_modalities_change_the_score_and_nothing_withheld_does_not(chain: Chain) -> None:
    result = study(chain, "missing", recipe=False)
    assert result.exit_code == 0, result.output
    rows = table(chain.run / "missing" / "missing.csv")
    assert len(rows) == 7 and rows[0]["withheld"] == "nothing"
    assert float(rows[0]["mean"]) == pytest.approx(chain.metrics()["ccc"]["mean"], abs=1e-6)
    assert len({row["mean"] for row in rows}) == 7


def test_folds_select_on_each_part_once_and_score_their_mean(chain: Chain) -> None:
    result = study(chain, "folds", settings=("folds=2",))
    assert result.exit_code == 0, result.output
    rows = table(chain.run / "folds" / "folds.csv")
    assert [row["fold"] for row in rows] == ["0", "1", "ensemble"]
    metrics = json.loads((chain.run / "folds" / "metrics.json").read_text())
    selected = [
        {clip["id"] for clip in json.loads((chain.run / "folds" / fold / "manifest.json").read_text())["clips"]
         if clip["split"] == "validation"}
        for fold in ("0", "1")
    ]  # fmt: skip
    assert not selected[0] & selected[1] and selected[0] | selected[1] == set(metrics["folds"])
    assert float(rows[2]["mean"]) == metrics["ccc"]["mean"]
    assert (chain.run / "folds" / "predictions.csv").is_file()


def test_what_cannot_be_studied_is_said(chain: Chain, tmp_path: Path) -> None:
    alone = study(chain, "ablate", settings=("stage2.modalities=[text]",))
    assert alone.exit_code == 2 and "small has text alone" in alone.output
    nothing = CliRunner().invoke(main, ["missing", "--run", str(tmp_path / "no"), "--cache", str(chain.cache)])
    assert nothing.exit_code == 1 and "no trained model" in nothing.output
