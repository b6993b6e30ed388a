"""The report of a categorical run: what stands in it, what is escaped, what is missing and why, and its pictures."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from common.canvas import SCALE, Picture
from common.errors import DataError
from stage3_mlp.emotions.charts import (
    NAME_LETTERS,
    POINTS,
    cell_colours,
    confusion_matrix,
    drawn_names,
    fused_plane,
    nothing,
)
from stage3_mlp.emotions.pictures import PICTURES, sheet, write_pictures
from stage3_mlp.emotions.report import write_emotion_report
from stage3_mlp.report.studied import Study
from tests.stage3.emotional import CLASSES, emotional, epochs, metrics_of
from tests.stage3.read_page import EVIL, Page

pytestmark = pytest.mark.filterwarnings("error")

LEAKING = "LEAKING on purpose (--protocol published): copies of test rows are in training."


def write(path: Path, predictions: list, classes: tuple[str, ...] = CLASSES, **options: Any) -> Page:
    changes = options.pop("changes", {})
    metrics = metrics_of(predictions, classes, **changes)
    counts = np.arange(1, len(classes) + 1)
    given = {"histories": {"Stage 2": epochs(4), "Stage 3": []}, "distribution": {"train": counts, "test": counts}}
    write_emotion_report(path, metrics=metrics, predictions=predictions, classes=classes, **(given | options))
    return Page(path)


FIGURES = {"accuracy": 0.6, "macro_f1": 0.4, "weighted_f1": 0.5}
STUDIES = [
    Study(
        "ablation",
        [
            {
                "modalities": "visual + text",
                "seeds": 1,
                **FIGURES,
                "spread": None,
                "low": 0.25,
                "high": 0.75,
                "note": "x",
            }
        ],
        shares=[{"modality": "text", "shapley": 0.3141, "low": -0.1, "high": 0.5}],
    ),
    Study("sessions", [{"session": EVIL, **FIGURES}, {"session": "all sessions", **FIGURES}]),
    Study("folds", outdated="it was made with other settings"),
]


@pytest.fixture(scope="module")
def predictions() -> list:
    return [emotional(name, rows) for name, rows in (("dia0", 14), (EVIL, 20), ("dia2", 9), ("dia3", 1), ("dia4", 5))]


@pytest.fixture(scope="module")
def page(predictions: list, tmp_path_factory: pytest.TempPathFactory) -> Page:
    evil = replace(predictions[1], texts=[EVIL] * 20, speakers=[f"{EVIL}?"] * 20)
    return write(
        tmp_path_factory.mktemp("report") / "report.html",
        [predictions[0], evil, *predictions[2:]],
        changes={"remarks": [LEAKING, "a & b"]},
        studies=STUDIES,
    )


def test_a_page_needs_no_network_and_no_script(page: Page) -> None:
    assert page.raw.startswith("<!DOCTYPE html>") and page.of("html") == [{"lang": "en"}]
    assert "http://" not in page.raw and "https://" not in page.raw and "url(" not in page.raw
    assert not page.of("script") and "default-src 'none'" in page.raw and "prefers-color-scheme: dark" in page.raw


def test_every_picture_is_a_png_of_twice_its_size_with_a_text(page: Page) -> None:
    assert len(page.of("img")) == 2 + 2 + 2 + 2  # bars, confusions, components, curves of one stage
    for picture in page.of("img"):
        png = base64.b64decode(picture["src"].removeprefix("data:image/png;base64,"), validate=True)
        size = struct.unpack(">II", png[16:24])
        assert size == (SCALE * int(picture["width"]), SCALE * int(picture["height"])) and picture["alt"]


def test_names_and_texts_from_outside_are_text(page: Page) -> None:
    assert EVIL not in page.raw and f"{EVIL}?: {EVIL}" in " ".join(page.text.split())
    assert not any("onerror" in attributes for _, attributes in page.tags)


def test_class_names_from_outside_are_text(tmp_path: Path) -> None:
    classes = (EVIL, "$x^2$", "名前", "a\nb", "", "very very very long", "</style>")
    page = write(tmp_path / "r.html", [emotional("dia", 30)], classes, changes={"data": EVIL, "run": EVIL})
    assert EVIL not in page.raw and "</style><" not in page.raw and page.row(EVIL)
    assert drawn_names(classes)[1:6] == ["$x^2$", "class 3", "a b", "class 5", "very very ver…"]
    assert all(len(name) <= NAME_LETTERS for name in drawn_names(classes))


def test_a_leaking_remark_stands_alone_and_first(page: Page) -> None:
    boxes = [attributes["class"] for attributes in page.of("div") if "notice" in attributes.get("class", "")]
    assert boxes == ["notice loud", "notice"]
    assert page.text.index(LEAKING) < page.text.index("a & b") < page.text.index("Score")


def test_the_tables_hold_the_figures(page: Page, predictions: list) -> None:
    metrics = metrics_of(predictions)
    figures = [metrics[name] for name in ("accuracy", "weighted_f1", "macro_f1")]
    assert page.row("This run") == [f"{value:.3f}" for value in figures]
    low, high = metrics["intervals"]["macro_f1"]
    assert page.row("95\u00a0% interval")[2] == f"{low:.3f} to {high:.3f}"
    assert page.row("always neutral") == ["0.460", "0.290", "0.090"]
    assert page.row("published")[0] == "0.940" and page.row("published")[1].startswith("—")
    assert page.row("text") == ["0.314", "−0.100 to 0.500"]
    assert page.row("visual + text") == ["1", "0.600", "0.400", "0.500", "0.250 to 0.750"]
    assert page.row("all sessions") == ["0.600", "0.400", "0.500"] and "The study in folds/ is left out" in page.text
    neutral = metrics["per_class"][4]
    predicted = np.sum(metrics["confusion"], axis=0)[4]
    expected = [*(f"{neutral[name]:.3f}" for name in ("precision", "recall", "f1")), str(neutral["support"])]
    assert page.row("neutral") == [*expected, str(predicted), "14"]
    clip = metrics["per_clip"][2]
    assert page.row("dia2") == [str(clip["rows"]), f"{clip['accuracy']:.0%}".replace("%", "\u00a0%")]


def test_the_rest_is_said(page: Page) -> None:
    assert yaml.safe_load(page.pre) == metrics_of([emotional("c")])["recipe"]
    assert "Best epoch on the validation split: 4 of 4, with a weighted F1 of 0.525." in page.text
    assert "There is no history of this stage." in page.text
    assert "1,000 draws with replacement, each dialogue as a whole" in page.text


def test_worst_and_best_dialogues_are_shown_with_their_utterances(tmp_path: Path) -> None:
    def clip(name: str, right: int, rows: int = 4) -> Any:
        given = emotional(name, rows)
        labels = np.where(np.arange(rows) < right, given.predicted, (given.predicted + 1) % 7)
        return replace(given, labels=labels, texts=[f"{name} says {row}" for row in range(rows)])

    names = {"half": 2, "none": 0, "all": 4, "most": 3, "few": 1}
    page = write(tmp_path / "r.html", [clip(name, right) for name, right in names.items()])
    shown = page.text[page.text.index("Fewest right") : page.text.index("All clips")]
    places = [shown.index(f"{name} says 0") for name in ("none", "few", "half", "all", "most")]
    assert places == sorted(places) and shown.index("half says 0") < shown.index("Most right") < shown.index("all says")
    wrong = [row for row in page.of("tr") if row.get("class") == "wrong"]
    assert len(wrong) == 4 * 5 - sum(names.values())


def test_a_long_dialogue_is_cut_and_says_so(tmp_path: Path) -> None:
    page = write(tmp_path / "r.html", [emotional("dia", 100)])
    assert "40 more rows in predictions.csv" in page.text


def test_one_unlabelled_utterance_with_nothing_behind_it_still_makes_a_page(tmp_path: Path) -> None:
    one = emotional("dia", 1)
    nothing = {modality: np.zeros(1, bool) for modality in one.present}
    page = write(tmp_path / "r.html", [replace(one, labels=np.array([-1]), present=nothing)], histories={})
    reasons = {attributes["title"] for attributes in page.of("span") if "title" in attributes}
    assert reasons >= {"no utterance is labelled", "fewer than two clips have labels"}
    for sentence in ("No utterance is labelled.", "There is no training history.", "so there is no picture"):
        assert sentence in page.text


def test_the_same_data_give_the_same_bytes(tmp_path: Path, predictions: list) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, predictions)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("change", "classes", "match"),
    [
        (lambda p: [], CLASSES, "no prediction to report"),
        (lambda p: [replace(p, clip="other")], CLASSES, "different clips"),
        (lambda p: [p], CLASSES[1:], "are of 7 classes.*predictions are of 6"),
        (lambda p: [replace(p, texts=[])], CLASSES, r"has 12 rows.*lengths \[0, 12\]"),
        (lambda p: [replace(p, probabilities=p.probabilities[:, 1:])], CLASSES, r"shape \(12, 6\)"),
    ],
)
def test_what_cannot_be_reported_is_an_error_and_no_file(tmp_path: Path, change: Any, classes: Any, match: str) -> None:
    one = emotional("c")
    with pytest.raises(DataError, match=match):
        write_emotion_report(
            tmp_path / "r.html",
            metrics=metrics_of([one]),
            predictions=change(one),
            classes=classes,
            histories={},
            distribution={},
        )
    assert not list(tmp_path.iterdir())


def test_pictures_become_files_on_white(tmp_path: Path, predictions: list) -> None:
    import matplotlib.image

    given = {"metrics": metrics_of(predictions), "predictions": predictions, "classes": CLASSES}
    counts = {"train": np.arange(7), "test": np.arange(7)}
    histories = {"Stage 2": epochs(3), "Stage 3": epochs(3)}
    pictures = write_emotion_report(tmp_path / "r.html", **given, histories=histories, distribution=counts)
    write_pictures(tmp_path / "pictures", pictures)
    written = [tmp_path / "pictures" / name for name in PICTURES]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == sorted(PICTURES)
    for path in written:
        pixels = matplotlib.image.imread(path)
        assert (pixels[0, 0] == 1).all() and (pixels[..., 3] == 1).all() and pixels.min() < 0.3
    curves = matplotlib.image.imread(tmp_path / "pictures" / "training_curves.png")
    one = pictures.curves["Stage 2"][0]
    assert curves.shape[:2] == (2 * SCALE * one.height_px, 2 * SCALE * one.width_px)
    write_pictures(tmp_path / "none", replace(pictures, pca=[], curves={"Stage 2": []}))
    assert (tmp_path / "none" / "pca.png").read_bytes() == sheet([[nothing("nothing to draw")]])
    assert len(list((tmp_path / "none").iterdir())) == len(PICTURES)


def test_a_sheet_keeps_each_picture_and_fills_up_with_white() -> None:
    import io

    import matplotlib.image

    def square(side: int) -> Picture:
        buffer = io.BytesIO()
        matplotlib.image.imsave(buffer, np.zeros((side, side, 3), np.uint8), format="png")
        return Picture(buffer.getvalue(), side, side, "")

    pixels = matplotlib.image.imread(io.BytesIO(sheet([[square(4), square(2)], [square(3)]])))[..., 0]
    expected = np.ones((7, 6))
    expected[:4, :4] = expected[:2, 4:] = expected[4:, :3] = 0
    assert (pixels == expected).all()


def _luminance(colour: np.ndarray) -> float:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("dark_mode", [False, True])
def test_numbers_can_be_read_on_every_shade(dark_mode: bool) -> None:
    """Contrast of WCAG 2, on the page's light ground and through the filter of its dark mode."""
    from matplotlib.colors import to_rgb

    half_turn = np.array([[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]])  # hue-rotate(180deg)
    for share in np.linspace(0, 1, 201):
        colours = [np.array(to_rgb(colour)) for colour in cell_colours(share)]
        if dark_mode:
            colours = [np.clip(half_turn @ (1 - colour), 0, 1) for colour in colours]
        low, high = sorted(map(_luminance, colours))
        assert (high + 0.05) / (low + 0.05) >= 4.5, share


@pytest.mark.parametrize(("classes", "count"), [(1, 0), (8, 123456), (16, 0)])
def test_matrices_of_few_and_many_classes_and_of_none(classes: int, count: int) -> None:
    counts = np.full((classes, classes), count)
    picture = confusion_matrix(counts, [f"a long name {number}" for number in range(classes)], normalised=classes != 8)
    assert f"{np.trace(counts):,} of {counts.sum():,} utterances are on the diagonal" in picture.alt


def test_the_plane_shows_labelled_rows_with_something_behind_them_at_most_so_many() -> None:
    one = emotional("dia", POINTS + 500)
    many = fused_plane([one], CLASSES, seed=0)
    shown = int((one.anything & (one.labels >= 0)).sum())
    assert [picture.note for picture in many] == [f"3,000 of {shown:,} utterances, drawn by the seed."] * 2
    assert many == fused_plane([one], CLASSES, seed=0) != fused_plane([one], CLASSES, seed=1)
    few = emotional("dia", 30)
    shown = int((few.anything & (few.labels >= 0)).sum())
    assert f"{shown} utterances" in fused_plane([few], CLASSES, 0)[0].alt and 0 < shown < 30
    assert fused_plane([replace(few, fused=np.ones((30, 16), np.float32))], CLASSES, 0) == []
    assert fused_plane([replace(few, fused=few.fused[:, :1])], CLASSES, 0) == []
