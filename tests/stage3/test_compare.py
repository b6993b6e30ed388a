"""Comparing runs: planted answers, what several comparisons cost, what can't be compared, and what the page shows."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from common.errors import CacheError, DataError, MavenError, UsageError
from common.files import write_json
from common.manifest import CachedClip, Manifest, made_of, read_manifest, write_manifest
from common.recipe import Recipe, load_recipe
from stage3_mlp.cli import main
from stage3_mlp.compare.compare import compare
from stage3_mlp.compare.paired import REPEATS, differences, draws_for, number_of_pairs
from stage3_mlp.compare.runs import MAX_RUNS, read_runs, seeds_of
from stage3_mlp.compare.settings import differing_settings
from stage3_mlp.train import head_fingerprint
from tests.integration.chain import Chain
from tests.stage3.emotional import CLASSES, emotional
from tests.stage3.predicted import predicted
from tests.stage3.read_page import EVIL, Page

CLIPS = tuple(f"clip{number}" for number in (1, 2, 10, 11, 12, 20))
LEAK = "LEAKING: copies of the same rows are in training & test."


def made(folder: Path, *settings: str, seed: int = 7, clips: tuple[str, ...] = CLIPS, **about: Any) -> Path:
    """A run as it is after its training, but for the models: what a comparison reads before it predicts."""
    recipe = load_recipe("meld" if about.get("classes") else "demo", (*settings, f"seed={seed}"))
    split, labelled = about.pop("split", "test"), about.pop("labelled", True)
    every = [CachedClip(name, split, f"{name}.mp4", 50, labelled, f"c-{name}") for name in clips]
    every += [CachedClip(f"t{n}", "train", "t.mp4", 50, True, f"t{n}") for n in range(about.pop("training", 3))]
    known = {"data": "films & more", "data_kind": "folder", "folder": "fused/0", "fingerprints": {}, "encoders": {}}
    manifest = Manifest(**{**known, "clips": tuple(every), **about})
    record = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "fingerprint": head_fingerprint(recipe, manifest),
        "weights_sha256": str(folder),
        "smoothing": {"chosen": {"kind": "none", "width_s": 0.0}, "tried": []},
        "remarks": list(manifest.remarks),
    }
    write_json(folder / "head" / "record.json", record)
    write_manifest(folder / "fused", manifest)
    return folder


def moving(clip: str, noise: float, seed: int = 0, shift: float = 0.0) -> Any:
    """Predictions of a clip that are so far from its labels; the labels are the same for all."""
    rng = np.random.default_rng([seed, sum(map(ord, clip))])
    time_s = np.arange(50)[:, None] / 10
    true = 0.6 * np.sin(time_s + np.arange(2)) + 0.02 * len(clip)
    return predicted(clip, true + shift + noise * rng.normal(size=true.shape), true)


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> dict[Path, Callable[[str], Any]]:
    """What the head of a made run predicts for a clip; stands in for loading and running a model."""
    known: dict[Path, Callable[[str], Any]] = {}

    def predict(head: Path, cache: Path, manifest: Manifest, clips: Any, device: str) -> list[Any]:
        return [known[head.parent](clip.id) for clip in clips]

    monkeypatch.setattr("stage3_mlp.compare.compare.predict_clips", predict)
    return known


def compared(folder: Path, *runs: Path) -> tuple[dict[str, Any], str]:
    said: list[str] = []
    found = compare(runs, folder / "cache", "cpu", folder / "out", said.append)
    return found, "\n".join(said)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Differences of draws.

some_draws = st.integers(2, 5).flatmap(
    lambda runs: st.builds(
        lambda seed, scale: np.random.default_rng(seed).normal(np.arange(runs)[:, None] * scale, 0.1, (runs, 400)),
        st.integers(0, 2**20),
        st.sampled_from([0.0, 0.05, 1.0]),
    )
)


@given(some_draws)
def test_every_pair_is_compared_once_and_widening_only_widens(draws: np.ndarray) -> None:
    names, scores = [f"run{n}" for n in range(len(draws))], draws.mean(axis=1).tolist()
    found = differences(names, scores, draws, 9)
    assert len(found) == len({(one.one, one.other) for one in found}) == number_of_pairs(len(draws))
    for one in found:
        alone = differences([names[one.one], names[one.other]], [0.0, 0.0], draws[[one.one, one.other]], 9)[0]
        assert alone.interval == alone.widened == one.interval
        assert one.widened[0] <= one.interval[0] <= one.interval[1] <= one.widened[1]
        clear = one.widened[0] > 0 or one.widened[1] < 0
        assert (one.better is not None) == clear == one.verdict.endswith("is better.")
        if clear:
            assert one.better == (one.one if one.widened[0] > 0 else one.other)
        assert one.ahead == pytest.approx(np.mean(draws[one.one] > draws[one.other]))


@given(some_draws)
def test_the_other_way_round_is_the_same_with_the_other_sign(draws: np.ndarray) -> None:
    names, scores = ["a", "b"], draws[:2].mean(axis=1).tolist()
    (one,), (back,) = (differences(names[::s], scores[::s], draws[:2][::s], 9) for s in (1, -1))
    assert back.difference == -one.difference
    assert back.interval == pytest.approx((-one.interval[1], -one.interval[0]), abs=1e-12)
    assert back.ahead == pytest.approx(1 - one.ahead)


def test_widened_intervals_are_bonferronis() -> None:
    draws = np.stack([np.linspace(0, 1, 100_001), np.zeros(100_001), np.zeros(100_001)])
    first = differences(["a", "b", "c"], [0.5, 0.0, 0.0], draws, 9)[0]
    assert first.interval == pytest.approx((0.025, 0.975))
    assert first.widened == pytest.approx((0.025 / 3, 1 - 0.025 / 3))


def test_three_runs_without_a_difference_are_told_apart_in_one_study_of_twenty_at_most() -> None:
    rng = np.random.default_rng(1)
    wrong = {"interval": 0, "widened": 0}
    for _ in range(400):
        seen = rng.normal(size=(3, 1))  # what this study's clips happened to give
        found = differences(["a", "b", "c"], [0, 0, 0], seen + rng.normal(size=(3, 1000)), 9)
        for kind in wrong:
            wrong[kind] += any(getattr(one, kind)[0] > 0 or getattr(one, kind)[1] < 0 for one in found)
    assert wrong["widened"] <= 0.07 * 400 < 0.1 * 400 < wrong["interval"], wrong


def test_clear_alone_but_not_among_many_is_said() -> None:
    draws = np.zeros((4, 1000))
    draws[0] = np.linspace(-0.02, 1, 1000)
    first = differences(list("abcd"), [0.5, 0, 0, 0], draws, 9)[0]
    assert first.better is None and first.interval[0] > 0 > first.widened[0]
    assert first.verdict == "a would be better if this were the only comparison; as one of 6, it can't be told."


def test_without_draws_there_is_no_interval_and_no_winner() -> None:
    (one,) = differences(["a", "b"], [0.9, 0.1], np.full((2, 10), np.nan), 1)
    assert one.better is None and np.isnan([one.ahead, *one.interval]).all() and "no interval" in one.verdict


def test_more_comparisons_take_more_draws() -> None:
    assert [draws_for(runs) for runs in (2, 5, 6, MAX_RUNS)] == [REPEATS, REPEATS, 15_000, 66_000]


# Settings.


def test_only_settings_that_differ_and_shape_a_result_are_named() -> None:
    one = load_recipe("demo", ("seed=1", "stage2.training.workers=3", "name=a"))
    assert differing_settings([one, load_recipe("demo")]) == {}
    other = load_recipe("demo", ("stage2.training.plateau=null", "stage3.head.d1=9", "stage2.modalities=[text]"))
    assert differing_settings([one, other, one]) == {
        "stage2.modalities": ['["visual", "audio", "text"]', '["text"]', '["visual", "audio", "text"]'],
        "stage2.training.plateau": ["", "null", ""],
        "stage2.training.plateau.factor": ["0.5", "", "0.5"],
        "stage2.training.plateau.patience": ["3", "", "3"],
        "stage3.head.d1": ["128", "9", "128"],
    }


def test_the_settings_of_a_section_stand_together() -> None:
    keys = list(differing_settings([load_recipe("meld-dialogue"), load_recipe("meld")]))
    sections = [key.rpartition(".")[0] for key in keys]
    assert len(set(sections)) == sum(a != b for a, b in zip(sections, ["", *sections], strict=False))


# A whole comparison.


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


# What can't be compared.


def spoilt(folder: Path, **changes: Any) -> Path:
    path = folder / "head" / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.mark.parametrize(
    ("second", "error", "match"),
    [
        (lambda p: made(p / "a"), UsageError, r"/a is named twice"),
        (lambda p: p / "none", CacheError, "Run none: There is no folder"),
        (lambda p: p, CacheError, "There is no trained run in"),
        (lambda p: (p / "x" / "checkpoints").mkdir(parents=True) or p / "x", CacheError, "Run x: It was stopped"),
        (lambda p: made(p / "x", labelled=False), DataError, "Run x: films & more has no labelled test or validation"),
        (lambda p: made(p / "x", split="validation"), DataError, "on the test split, x was .* validation split"),
        (lambda p: made(p / "x", classes=("joy", "anger")), DataError, "predicts valence and arousal, x .* joy, anger"),
        (lambda p: made(p / "x", protocol="published"), DataError, "honest protocol, x is split by the published"),
        (lambda p: made(p / "x", clips=(*CLIPS[1:], "<new>")), DataError, "only a has clip1; only x has <new>"),
        (lambda p: made(p / "x", clips=CLIPS[:1]), DataError, "6 and 1: only a has clip10, clip11, clip12 and 2 more"),
        (lambda p: spoilt(made(p / "x"), fingerprint="0"), CacheError, "Run x: The head in .* on other clips"),
        (lambda p: spoilt(made(p / "x"), recipe={"name": "old"}), CacheError, "trained by another version"),
        (lambda p: made(p / "a\nb"), UsageError, "can't be printed"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_a_sentence_and_no_file(
    tmp_path: Path, second: Callable[[Path], Path], error: type[MavenError], match: str
) -> None:
    first = made(tmp_path / "a")
    with pytest.raises(error, match=match):
        compared(tmp_path, first, second(tmp_path))
    assert not (tmp_path / "out").exists()


def test_the_number_of_runs_is_limited(tmp_path: Path) -> None:
    for number in (1, MAX_RUNS + 1):
        with pytest.raises(UsageError, match=rf"{number} run\(s\) can't be compared. Name 2 to {MAX_RUNS}"):
            read_runs([tmp_path / str(one) for one in range(number)])


def test_labels_that_changed_are_named(tmp_path: Path, heads: Any) -> None:
    heads[made(tmp_path / "a")] = lambda clip: moving(clip, 0.1)
    heads[made(tmp_path / "b")] = lambda clip: replace(moving(clip, 0.1), labels=moving(clip, 0.1).labels + 0.01)
    with pytest.raises(DataError, match="Clip clip1 has different labels in a and b"):
        compared(tmp_path, *heads)
    heads[tmp_path / "b"] = lambda clip: predicted(clip, np.zeros((9, 2)), np.zeros((9, 2)))
    with pytest.raises(DataError, match="Clip clip1 has 50 and 9 rows in a and b"):
        compared(tmp_path, *heads)


def test_seeds_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    for seed in (1, 20, 3):
        made(tmp_path / "r" / "seeds" / str(seed), seed=seed)
    assert [path.name for path in seeds_of(tmp_path / "r")] == ["1", "3", "20"]
    (tmp_path / "r" / "seeds" / "notes").mkdir()
    assert len(seeds_of(tmp_path / "r")) == 3
    made(tmp_path / "r" / "seeds" / "3", "stage3.head.d1=9", seed=3)
    with pytest.raises(DataError, match="Run r: Its seeds 1 and 3 have different settings"):
        read_runs([tmp_path / "r", made(tmp_path / "a")])
    (tmp_path / "r" / "seeds" / "4").mkdir()
    with pytest.raises(CacheError, match="with seed 4 was stopped before its end"):
        seeds_of(tmp_path / "r")


def test_seeds_of_an_earlier_state_of_the_run_are_refused_with_a_cure(tmp_path: Path) -> None:
    run, other = tmp_path / "r", made(tmp_path / "a")
    made(run / "seeds" / "7", "stage3.training.epochs=1", seed=7)
    made(run, "stage3.training.epochs=30", seed=7)
    with pytest.raises(
        DataError, match=r"(?s)Run r: Its seeds .* other settings .*: stage3.training.epochs.*r/seeds/7"
    ):
        read_runs([run, other])
    assert read_runs([run / "seeds" / "7", other])[0].seeds == [7], "what the message says"
    for seed in (7, 8):
        made(run / "seeds" / str(seed), "stage3.training.epochs=30", seed=seed)
    assert read_runs([run, other])[0].seeds == [7, 8]
    features = Manifest("films", "folder", "features", {}, {}, (CachedClip("a", "train", "a", 9, True, "of a"),))
    for folder in (run, run / "seeds" / "7", run / "seeds" / "8"):
        write_manifest(folder, features)
    assert read_runs([run, other])[0].seeds == [7, 8]
    write_manifest(run, replace(features, clips=(replace(features.clips[0], content="anew"),)))
    with pytest.raises(DataError, match=r"Its seeds .* on other clips, labels, splits or features than it has now"):
        read_runs([run, other])


def test_a_run_whose_fusion_is_newer_than_its_refined_features_is_refused(tmp_path: Path) -> None:
    run, other = made(tmp_path / "r"), made(tmp_path / "a")
    features = Manifest("films", "folder", "features", {}, {}, ())
    write_manifest(run, features)
    write_json(run / "fusion" / "record.json", {"weights_sha256": "new"})
    fused = read_manifest(run / "fused")
    write_manifest(run / "fused", replace(fused, made_of=made_of(features, "new")))
    assert len(read_runs([run, other])) == 2
    write_manifest(run / "fused", replace(fused, made_of=made_of(features, "old")))
    with pytest.raises(CacheError, match=r"Run r: The refined features .* are of an earlier state of the run"):
        read_runs([run, other])


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
