"""Comparing runs: planted answers, what the page shows, and the command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.recipe import Recipe
from stage3_mlp.cli import main
from tests.integration.chain import Chain
from tests.stage3.compared_runs import CLIPS, LEAK, compared, made, moving, table
from tests.stage3.emotional import CLASSES, emotional
from tests.stage3.predicted import predicted
from tests.stage3.read_page import EVIL, Page


def test_the_better_run_is_found_and_the_figures_are_those_of_the_runs(tmp_path: Path, heads: Any) -> None:
    for name, noise in (("good", 0.05), ("bad", 0.6), ("twin", 0.05)):
        heads[made(tmp_path / name)] = lambda clip, noise=noise: moving(clip, noise)
    found, said = compared(tmp_path, *heads)
    assert [row["run"] for row in found["rows"]] == ["good", "bad", "twin"]
    first, same, last = found["differences"]
    assert first["better"] == 0 and first["verdict"] == "good is better." and first["ahead"] == 1
    assert same["difference"] == 0 and same["interval"] == (0, 0) and same["better"] is None
    assert last["better"] == 2 and last["difference"] == -first["difference"]
    assert found["comparisons"] == 3 and "Bonferroni" in said and "good is better." in said
    rows = table(tmp_path / "out" / "compare.csv")
    assert float(rows[0]["mean"]) == pytest.approx((float(rows[0]["valence"]) + float(rows[0]["arousal"])) / 2)
    assert float(rows[0]["low"]) < float(rows[0]["mean"]) < float(rows[0]["high"])
    pairs = table(tmp_path / "out" / "differences.csv")
    assert [(pair["one"], pair["other"]) for pair in pairs] == [("good", "bad"), ("good", "twin"), ("bad", "twin")]
    assert float(pairs[0]["low_widened"]) <= float(pairs[0]["low"]) <= float(pairs[0]["difference"])
    saved = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert [row["clip"] for row in saved["per_clip"]] == list(CLIPS), "in the data set's order, not as strings"
    assert saved["settings"] == {} and saved["provenance"]["versions"]


def test_several_seeds_are_averaged_and_named(tmp_path: Path, heads: Any) -> None:
    several, single = tmp_path / "several", made(tmp_path / "single", seed=3)
    for seed, noise in ((10, 0.1), (9, 0.5)):
        heads[made(several / "seeds" / str(seed), seed=seed)] = lambda clip, noise=noise: moving(clip, noise)
    heads[single] = lambda clip: moving(clip, 0.1)
    found, said = compared(tmp_path, several, single)
    assert [row["seeds"] for row in found["rows"]] == ["9 10", "3"] and "several (2 seeds)" in said
    alone = [compared(tmp_path, several / "seeds" / seed, single)[0]["rows"][0]["mean"] for seed in ("9", "10")]
    assert found["rows"][0]["mean"] == pytest.approx(np.mean(alone)) and alone[0] < alone[1]
    assert any(remark.endswith("has one seed: single.") for remark in found["remarks"])
    assert any("drawn from 6 clips are too narrow" in remark for remark in found["remarks"])


def test_remarks_say_whose_they_are_and_what_is_unfair(tmp_path: Path, heads: Any) -> None:
    heads[made(tmp_path / "a", remarks=("All are told.", "A alone."), training=3)] = lambda clip: moving(clip, 0.1)
    heads[made(tmp_path / "b", remarks=("All are told.",), training=2, data="other")] = lambda clip: moving(clip, 0.2)
    remarks = compared(tmp_path, *heads)[0]["remarks"]
    assert remarks[:2] == ["All are told.", "a: A alone."]
    assert any("different data" in remark and "films & more, other" in remark for remark in remarks)
    assert any(remark.endswith("the same clips: a 3, b 2.") for remark in remarks)


def test_classes_are_compared_by_weighted_f1_and_a_leak_is_loud_everywhere(tmp_path: Path, heads: Any) -> None:
    about = {"classes": CLASSES, "rows": "utterances", "protocol": "published", "remarks": (LEAK,)}
    for name, seed in (("a", 0), ("b", 1)):
        labels = {clip: emotional(clip, rows=12).labels for clip in CLIPS}
        heads[made(tmp_path / name, **about)] = lambda clip, seed=seed, labels=labels: replace(
            emotional(clip, rows=12, seed=seed), labels=labels[clip]
        )
    found, said = compared(tmp_path, *heads)
    assert found["title"] == "weighted F1" and found["rows"][0]["weighted_f1"] > found["rows"][1]["weighted_f1"]
    assert found["differences"][0]["better"] == 0, "the second was made for other labels"
    assert LEAK in said
    assert all(row["note"].startswith("LEAKING") for name in ("compare", "differences")
               for row in table(tmp_path / "out" / f"{name}.csv"))  # fmt: skip
    page = Page(tmp_path / "out" / "compare.html")
    assert ("div", {"class": "notice loud", "role": "note"}) in page.tags and LEAK in page.text
    assert page.rows[0][1:5] == ["Weighted F1", "95\N{NO-BREAK SPACE}% interval", "Accuracy", "Macro F1"]


def test_the_page_shows_it_all_and_names_are_text(tmp_path: Path, heads: Any) -> None:
    (tmp_path / "$x^2$ 名").mkdir()
    odd = made(tmp_path / "$x^2$ 名" / "b", "stage2.modalities=[text]")
    for folder, noise in ((made(tmp_path / EVIL), 0.1), (odd, 0.5), (made(tmp_path / "b"), 0.2)):
        heads[folder] = lambda clip, noise=noise: moving(clip, noise, shift=0.3 if clip == "clip10" else 0)
    found, _ = compared(tmp_path, *heads)
    assert [row["run"] for row in found["rows"]] == [EVIL, str(odd), str(tmp_path / "b")], "of one name: by their paths"
    page = Page(tmp_path / "out" / "compare.html")
    assert EVIL not in page.raw and EVIL in page.text and not any("onerror" in names for _, names in page.tags)
    assert "http://" not in page.raw and "https://" not in page.raw and "default-src 'none'" in page.raw
    pictures = [names for tag, names in page.tags if tag == "img"]
    assert len(pictures) == 3 and all(one["src"].startswith("data:image/png") and one["alt"] for one in pictures)
    figures = next(row for row in page.rows if row[0] == f"A{EVIL}")
    assert figures[1] == f"{found['rows'][0]['mean']:.3f}" and figures[5:] == ["demo", "7"]
    assert next(row for row in page.rows if row[0] == "stage2.modalities")[2] == '["text"]'
    worst = min(found["per_clip"], key=lambda row: row["figures"][0] - row["figures"][1])
    assert f"Worst for A: {worst['clip']} (" in page.text
    assert all(one["verdict"] in page.text for one in found["differences"])


def test_one_clip_has_no_interval_and_clips_without_a_figure_no_picture(tmp_path: Path, heads: Any) -> None:
    for name in ("a", "b"):
        heads[made(tmp_path / name, clips=("only",))] = lambda clip: predicted(clip, [[0.1, 0.2]], [[0.3, 0.4]])
    said = compared(tmp_path, *heads)[1]
    assert "There is no interval: 1 labelled clip" in said and "ahead in" not in said
    page = Page(tmp_path / "out" / "compare.html")
    assert "No clip has such a figure by itself." in page.text and not [tag for tag, _ in page.tags if tag == "img"]
    assert table(tmp_path / "out" / "differences.csv")[0]["low"] == ""


# The command, on real models.


@pytest.fixture(scope="module")
def two(finished: Chain, tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, Chain]:
    """A finished run, and one with another head on the same features."""
    folder = tmp_path_factory.mktemp("compare")
    shutil.copytree(finished.cache, folder / "cache")
    chains = tuple(Chain(finished.data, folder / "cache", folder / name) for name in ("first", "a second"))
    for chain in chains:
        shutil.copytree(finished.run, chain.run)
    trained = chains[1].train_mlp("stage3.head.d1=32")
    assert trained.exit_code == 0, trained.output
    return chains  # type: ignore[return-value]


def test_the_command_compares_and_counts_what_it_scores(two: tuple[Chain, Chain], small_recipe: Recipe) -> None:
    first, second = two
    (ledger,) = (first.cache / "scored").glob("*.jsonl")
    before = ledger.read_text().count("\n")
    arguments = ["compare", str(first.run), str(second.run), "--cache", str(first.cache), "--device", "cpu"]
    for _ in range(2):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert ledger.read_text().count("\n") == before + 1, "the head that was never scored; the other is known"
    found = json.loads((first.run / "compare" / "compare.json").read_text())
    assert found["rows"][0]["mean"] == pytest.approx(first.metrics()["ccc"]["mean"], abs=1e-6)
    assert found["settings"] == {"stage3.head.d1": [str(small_recipe.stage3.head.d1), "32"]}
    assert f"scored with {before + 1} models" in result.output and "There is no interval" in result.output
    assert (first.run / "compare" / "compare.html").is_file()


def test_the_command_says_what_is_gone_in_a_sentence(two: tuple[Chain, Chain], tmp_path: Path) -> None:
    places = ["--cache", str(tmp_path / "gone"), "--device", "cpu", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, ["compare", *(str(chain.run) for chain in two), *places])
    assert result.exit_code == 1 and "error: Run first: There is no" in result.output, result.output
    assert not (tmp_path / "out").exists()
    assert CliRunner().invoke(main, ["compare"]).exit_code == 2
