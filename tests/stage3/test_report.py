"""The reports: what stands in them, what is escaped, what is missing and why, and that nothing breaks them."""

from __future__ import annotations

import base64
import math
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from common.curves import training_curves
from common.errors import DataError
from common.polar import to_polar
from stage3_mlp.predictions import ClipPrediction
from stage3_mlp.report.circumplex import stretches
from stage3_mlp.report.pictures import angle_distribution, circumplex_density, clip_timeline, intensity_distribution
from stage3_mlp.report.studied import Study
from stage3_mlp.report.test_page import write_test_report
from tests.stage3.emotional import PROVENANCE
from tests.stage3.read_page import EVIL, Page

pytestmark = pytest.mark.filterwarnings("error")

REMARK = "The encoders are miniatures & their weights are random."
SCORE = {"valence": 0.4, "arousal": 0.2, "mean": 0.3}


def clip(name: str, frames: int = 60, shift: float = 0.1, labels: bool = True) -> ClipPrediction:
    time_s = np.arange(frames) / 25
    true = np.stack([0.6 * np.sin(time_s), 0.5 * np.cos(2 * time_s)], axis=1)
    values = true + shift
    intensity, theta = to_polar(*values.T)
    return ClipPrediction(
        name,
        time_s,
        values.astype(np.float32),
        intensity.astype(np.float32),
        theta.astype(np.float32),
        (true if labels else np.full_like(true, np.nan)).astype(np.float32),
        {"visual": np.ones(frames, bool), "audio": np.arange(frames) < frames / 2, "text": np.zeros(frames, bool)},
    )


def figures(clips: dict[str, float | None], frames: int = 60, value: float | None = 0.5) -> dict[str, Any]:
    """Metrics of clips with these mean CCCs."""
    axes = {"valence": value, "arousal": value}
    return {
        "run": "demo",
        "split": "test",
        "ccc": {"valence": 0.4567, "arousal": -0.1234, "mean": 0.3} if value is not None else {**axes, "mean": None},
        "intervals": {f"ccc_{name}": [value, value] for name in ("valence", "arousal", "mean")},
        "rmse": axes,
        "pearson": axes,
        "sign_agreement": axes,
        "frames": frames,
        "clips": len(clips) if frames else 0,
        "per_clip": [
            {"clip": name, "frames": frames, "ccc_valence": mean, "ccc_arousal": mean, "ccc_mean": mean}
            for name, mean in clips.items()
        ],
        "references": [
            {"name": "constant (training mean)", "valence": 0.0, "arousal": 0.0, "mean": math.nan, "rmse": [0.3, 0.4]},
            {"name": "published", "valence": 0.24, "arousal": 0.2, "mean": 0.22},
        ],
        "ccc_unsmoothed": {"valence": 0.1, "arousal": 0.2, "mean": 0.15} if value is not None else None,
        "smoothing": {"text": "box, 0.5 s"},
        "remarks": [REMARK],
        "recipe": {"name": "demo", "stage3": {"head": {"d1": 64, "pool_frames": "clip"}}, "note": "<é>"},
        "provenance": PROVENANCE,
        "seed": 7,
        "data": "films & more",
    }


def epochs(count: int) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "loss": 1 / epoch, "eval_loss": None, "learning_rate": 1e-3 if epoch < 3 else 1e-4}
        | {f"eval_ccc_{name}": 0.1 * epoch for name in ("valence", "arousal", "mean")}
        for epoch in range(1, count + 1)
    ]


STUDIES = [
    Study(
        "ablation",
        [
            {"modalities": EVIL, "seeds": 2, **SCORE, "spread": 0.0123, "low": None, "high": None},
            {"modalities": "visual + text", "seeds": 2, **SCORE, "spread": 0.02, "low": -0.25, "high": 0.5},
        ],
        shares=[{"modality": "text", "shapley": 0.3141, "low": -0.1, "high": 0.5}],
    ),
    Study("missing", outdated="it was made with other settings"),
    Study("seeds", [{"seed": 7, **SCORE}], summary={**SCORE, "spread": None, "low": 0.1, "high": 0.2}),
]
PAGES = {EVIL: "../clips/%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E.html", "mid": "clips/mid.html"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    means = {"low": 0.1, EVIL: 0.9, "none": None, "mid": 0.5, "$x^2$ 名": -0.2}
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_test_report(
        path,
        metrics=figures(means),
        predictions=[clip(name) for name in means],
        histories={"Stage 2": epochs(4), "Stage 3": epochs(1)},
        labels={"training": clip("t").labels, "test": clip("u", 9).labels},
        studies=STUDIES,
        pages=PAGES,
    )
    return Page(path)


def test_a_page_needs_no_network_no_script_and_says_its_language(page: Page) -> None:
    assert page.raw.startswith("<!DOCTYPE html>") and page.of("html") == [{"lang": "en"}]
    assert "http://" not in page.raw and "https://" not in page.raw and "url(" not in page.raw
    assert not page.of("script")
    assert all(picture["src"].startswith("data:image/png") for picture in page.of("img"))
    assert "default-src 'none'" in page.raw and "prefers-color-scheme: dark" in page.raw


def test_every_picture_is_a_png_of_twice_its_size_with_a_text(page: Page) -> None:
    assert len(page.of("img")) == 4 + 2 + 4 + 4  # distributions, those of splits, timelines, two curves for each stage
    for picture in page.of("img"):
        png = base64.b64decode(picture["src"].removeprefix("data:image/png;base64,"), validate=True)
        assert png.startswith(b"\x89PNG")
        size = struct.unpack(">II", png[16:24])
        assert size == (2 * int(picture["width"]), 2 * int(picture["height"])) and picture["alt"]


def test_names_from_outside_are_text(page: Page) -> None:
    assert EVIL not in page.raw and EVIL in page.text
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert REMARK in page.text and PROVENANCE["command"] in page.text and "films & more" in page.text


def test_the_score_table_holds_the_figures(page: Page) -> None:
    assert page.row("CCC") == ["0.457", "−0.123", "0.300"]
    assert "1,000 draws of whole clips" in page.text
    assert page.row("95\u00a0% interval") == ["0.500 to 0.500"] * 3
    assert page.row("Sign agreement")[:2] == ["50\u00a0%", "50\u00a0%"]
    assert page.row("CCC of: constant (training mean)")[:2] == ["0.000", "0.000"]
    assert page.row("RMSE of: constant (training mean)")[:2] == ["0.300", "0.400"]
    assert page.row("CCC of: published") == ["0.240", "0.200", "0.220"] and "RMSE of: published" not in page.text
    assert page.row("CCC without smoothing (box, 0.5 s)") == ["0.100", "0.200", "0.150"]
    assert page.row("mid") == ["60", "0.500", "0.500", "0.500"]
    assert page.row("none")[1].startswith("—")


def test_the_chosen_clips_have_their_timelines_best_first(page: Page) -> None:
    shown = page.text[page.text.index("Timelines") : page.text.index("Studies")]
    names = ("Best clip", EVIL, "Second best", "mid", "Second worst", "low", "Worst clip", "$x^2$ 名")
    places = [shown.index(text) for text in names]
    assert places == sorted(places) and "none" not in shown


def test_a_clip_with_a_page_is_linked_where_it_is_shown_and_in_the_table(page: Page) -> None:
    links = [attributes["href"] for attributes in page.of("a")]
    assert links == [PAGES[EVIL], PAGES["mid"], PAGES[EVIL], PAGES["mid"]]
    assert 'href="../clips/%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E.html"' in page.raw


def test_studies_are_tables_and_those_left_out_say_why(page: Page) -> None:
    assert page.row("visual + text") == ["2", "0.400", "0.200", "0.300", "0.020", "−0.250 to 0.500"]
    evil = next(row for row in page.rows if row[0] == EVIL and len(row) == 7)
    assert evil[5] == "0.012" and evil[6].startswith("—")
    assert page.row("text") == ["0.314", "−0.100 to 0.500"]
    assert page.row("7")[:3] == ["0.400", "0.200", "0.300"] and page.row("7")[3].startswith("—")
    assert page.row("all") == ["0.400", "0.200", "0.300", "0.100 to 0.200"]
    assert "The study in missing/ is left out: it was made with other settings. Make it again with make missing." in (
        page.text
    )
    assert "None has been made" not in page.text


def test_the_recipe_can_be_read_back(page: Page) -> None:
    assert yaml.safe_load(page.pre) == figures({})["recipe"]


def test_the_best_epoch_and_the_lowered_rate_are_named(page: Page) -> None:
    assert "4 of 4, with a mean CCC of 0.400" in page.text and "learning rate was lowered" in page.text


@pytest.mark.parametrize("frames", [1, 200])
def test_constant_unlabelled_or_lonely_frames_still_make_a_page(tmp_path: Path, frames: int) -> None:
    prediction = clip("c", frames, labels=frames == 1)
    prediction = replace(prediction, values=np.zeros_like(prediction.values))
    metrics = figures({"c": None}, frames=frames == 1, value=None)
    write_test_report(
        tmp_path / "r.html", metrics=metrics, predictions=[prediction], histories={"Stage 2": []} if frames == 1 else {}
    )
    page = Page(tmp_path / "r.html")
    reasons = {attributes["title"] for attributes in page.of("span") if "title" in attributes}
    assert reasons >= {"fewer than two frames have labels", "fewer than two clips have labels"}
    assert "none has a CCC" in page.text and re.search("no (training )?history", page.text)
    assert ("only the predictions are shown" in page.text) == (frames == 200)


def test_a_run_without_studies_says_how_to_make_them(tmp_path: Path) -> None:
    write_test_report(tmp_path / "r.html", metrics=figures({"c": 0.1}), predictions=[clip("c")], histories={})
    page = Page(tmp_path / "r.html")
    assert "None has been made of this run" in page.text and "Labels of the splits" not in page.text
    assert not page.of("a") and "The only clip with a CCC" in page.text


def test_predictions_lost_where_nothing_is_annotated_do_not_stop_the_page(tmp_path: Path) -> None:
    prediction = clip("c")
    prediction.values[:20] = np.nan
    prediction.labels[:20] = np.nan
    write_test_report(tmp_path / "r.html", metrics=figures({"c": 0.1}), predictions=[prediction], histories={})
    assert "Predicted valence and arousal over 2.4 seconds against the labels." in (tmp_path / "r.html").read_text()


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        given = {"histories": {"Stage 2": epochs(3)}, "studies": STUDIES, "labels": {"test": clip("c").labels}}
        write_test_report(tmp_path / name, metrics=figures({"c": 0.1}), predictions=[clip("c")], **given)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: [], "no prediction to report"),
        (lambda p: [replace(p, clip="other")], "different clips"),
        (lambda p: [replace(p, labels=p.labels[1:])], r"Clip 'c' has 60 frame times.*\(59, 2\)"),
        (lambda p: [replace(p, present={"visual": np.ones(3, bool)})], r"masks of length \[3\]"),
        (lambda p: [replace(p, values=np.full_like(p.values, np.nan))], "Not one prediction is a finite number"),
    ],
)
def test_what_cannot_be_reported_is_an_error_and_no_file(tmp_path: Path, change: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        write_test_report(tmp_path / "r.html", metrics=figures({"c": 0.1}), predictions=change(clip("c")), histories={})
    assert not list(tmp_path.iterdir())


def test_a_long_clip_stays_small_and_says_how_it_is_drawn() -> None:
    prediction = clip("c", 100_000)
    prediction.values[:] += np.random.default_rng(0).normal(size=prediction.values.shape) * 0.2
    picture = clip_timeline(prediction, 400, 400)
    assert picture.note.startswith("100,000 frames: the line is the mean of 334 at a time")
    assert len(picture.png) < 200_000, len(picture.png)


def test_stretches_keep_means_and_extremes_and_skip_what_is_not_there() -> None:
    mean, low, high = stretches(np.array([1.0, 3.0, np.nan, 5.0, np.nan, np.inf, 7.0]), 2)
    assert mean == pytest.approx([2, 5, np.nan, 7], nan_ok=True)
    assert low == pytest.approx([1, 5, np.nan, 7], nan_ok=True) and high == pytest.approx(
        [3, 5, np.nan, 7], nan_ok=True
    )
    values = np.random.default_rng(1).normal(size=(1001, 2))
    mean, low, high = stretches(values, 7)
    assert len(mean) == 143 and (low <= mean).all() and (mean <= high).all()
    assert (low.min(axis=0) == values.min(axis=0)).all() and (high.max(axis=0) == values.max(axis=0)).all()


def test_points_that_a_picture_cannot_show_are_counted() -> None:
    inside, far = np.full((5, 2), 0.3), np.array([[0.3, 0.3], [0.0, 0.0], [4.0, 0.0]])
    assert [picture.note for picture in circumplex_density([("predicted", far), ("annotated", inside)])] == [
        "Outside of the picture: 1 of 3 predicted values.",
        "",
    ]
    assert angle_distribution([("annotated", far)]).note.startswith(
        "Without an angle and left out: 1 annotated value at"
    )


def test_each_split_has_a_look_of_its_own() -> None:
    points = clip("c").labels
    for draw in (angle_distribution, intensity_distribution):
        drawn = {draw([(name, points)]).png for name in ("predicted", "annotated", "training", "validation")}
        assert len(drawn) == 4


def test_curves_without_a_figure_are_left_out() -> None:
    assert training_curves([]) == [] and training_curves([{"epoch": 1, "loss": math.nan}]) == []
    assert [picture.alt for picture in training_curves([{"epoch": 1, "loss": 0.5}])] == ["Loss over 1 epoch."]
