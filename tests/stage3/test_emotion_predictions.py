"""Predictions of classes: from the cache through the head, as rows of a file, and what they score."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from common.class_metrics import class_score
from common.errors import CacheError, DataError
from common.manifest import CachedClip, Manifest
from common.schema import EMOTION, EMOTION_DTYPE, MODALITIES, REFINED, TIME, WORD_SPEAKER, WORD_TEXT, present
from common.store import write_clip
from stage3_mlp.emotions.predictions import predict_clip, softmax, write_predictions
from stage3_mlp.emotions.scoring import (
    class_distribution,
    classification_report_text,
    figures,
    label_counts,
    references,
)
from tests.stage3.emotional import CLASSES, emotional, metrics_of

WIDTH = 6


class LinearHead:
    """A head that is a matrix: (N, d) to (N, K) logits."""

    device = torch.device("cpu")

    def __init__(self, classes: int = 7, fill: float = 0.0) -> None:
        self.weights = torch.from_numpy(np.random.default_rng(0).normal(size=(WIDTH, classes)).astype(np.float32))
        self.fill = fill

    def __call__(self, features: torch.Tensor) -> Any:
        return SimpleNamespace(prediction=features @ self.weights + self.fill)


def cached(cache: Path, labels: dict[str, list[int] | None], said: Any = None, **changes: Any) -> Manifest:
    """Clips in the cache as stage 2 exports them; a clip's split is what its name begins with."""
    clips = []
    for number, (clip, classes) in enumerate(labels.items()):
        rows = len(classes or [0, 0, 0])
        arrays: dict[str, Any] = {
            TIME: np.arange(rows, dtype=np.float64),
            REFINED: np.random.default_rng(number).normal(size=(rows, WIDTH)).astype(np.float32),
            **{present(modality): np.arange(rows) % (i + 2) == 0 for i, modality in enumerate(MODALITIES)},
        }
        arrays |= said or {}
        if classes is not None:
            arrays[EMOTION] = np.array(classes, dtype=EMOTION_DTYPE)
        write_clip(cache / "fused" / f"{clip}.h5", arrays, {"clip": clip, "content": clip})
        split: Any = clip.split("_")[0]
        clips.append(CachedClip(clip, split, "table.csv", rows, classes is not None, clip))
    given = {"data": "d", "data_kind": "tables", "classes": CLASSES, "rows": "utterances"} | changes
    return Manifest(folder="fused", fingerprints={}, encoders={}, clips=tuple(clips), **given)


def test_a_clip_goes_from_the_cache_through_the_head(tmp_path: Path) -> None:
    manifest = cached(tmp_path, {"test_a": [4, -1, 0]}, {WORD_TEXT: ["x", "y", "z"], WORD_SPEAKER: ["A", "", "B"]})
    head = LinearHead()
    found = predict_clip(head, tmp_path, manifest, manifest.clips[0], CLASSES)
    logits = found.fused.astype(np.float64) @ head.weights.numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.probabilities == pytest.approx(expected, abs=1e-6) and found.probabilities.dtype == np.float32
    assert found.predicted.tolist() == logits.argmax(axis=1).tolist() and found.predicted.dtype == np.int64
    assert found.labels.tolist() == [4, -1, 0] and found.labels.dtype == np.int64
    assert found.order.tolist() == [0, 1, 2] and (found.texts, found.speakers) == (["x", "y", "z"], ["A", "", "B"])
    assert found.anything.tolist() == [True, False, True]


def test_a_clip_without_labels_or_texts_is_predicted_all_the_same(tmp_path: Path) -> None:
    manifest = cached(tmp_path, {"test_a": None})
    found = predict_clip(LinearHead(), tmp_path, manifest, manifest.clips[0], CLASSES)
    assert found.labels.tolist() == [-1] * 3 and found.texts == found.speakers == [""] * 3


@pytest.mark.parametrize(
    ("labels", "head", "error", "match"),
    [
        ([0, 1], LinearHead(classes=8), CacheError, "8 classes apart; its record names 7: anger"),
        ([0, 7], LinearHead(), CacheError, "labels from 0 to 7, but there are 7 classes"),
        ([0, 1], LinearHead(fill=float("nan")), DataError, "On 2 of 2 rows of test_a"),
    ],
)
def test_what_cannot_be_predicted_is_an_error(
    tmp_path: Path, labels: list[int], head: Any, error: Any, match: str
) -> None:
    manifest = cached(tmp_path, {"test_a": labels})
    with pytest.raises(error, match=match):
        predict_clip(head, tmp_path, manifest, manifest.clips[0], CLASSES)


def test_probabilities_of_extreme_logits_are_finite() -> None:
    found = softmax(np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]]))
    assert found.tolist() == [[1, 0, 0], pytest.approx([1 / 3] * 3)]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_read_back_exactly(tmp_path: Path) -> None:
    texts = ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", 'a, "b"\r\nc', "", "ü 名", " x "]
    one = replace(emotional('dia "1",\n', len(texts)), texts=texts)
    classes = ('joy, "high"', *CLASSES[1:])
    assert write_predictions(tmp_path / "p.csv", [one, one], classes) == 2 * len(texts)
    rows = read(tmp_path / "p.csv")
    masks = [f"present_{modality}" for modality in MODALITIES]
    columns = ["clip", "row", "text", "speaker", "label", "predicted", *(f"p_{name}" for name in classes), *masks]
    assert list(rows[0]) == columns
    assert [row["text"] for row in rows] == texts * 2 and {row["clip"] for row in rows} == {one.clip}
    assert [row["row"] for row in rows] == [str(number) for number in range(len(texts))] * 2
    for row, number in zip(rows, [*range(len(texts))] * 2, strict=True):
        if one.anything[number]:
            back = [np.float32(row[f"p_{name}"]) for name in classes]
            assert back == one.probabilities[number].tolist() and row["predicted"] == classes[one.predicted[number]]
        assert row["label"] == ("" if one.labels[number] == -1 else classes[one.labels[number]])
        assert [row[name] for name in masks] == [str(int(one.present[modality][number])) for modality in MODALITIES]


def test_rows_with_nothing_behind_them_have_no_prediction(tmp_path: Path) -> None:
    one = emotional("dia", 4)
    seen = np.array([True, False, True, False])
    one = replace(one, present=dict.fromkeys(MODALITIES, seen), labels=np.array([1, 2, -1, -1]))
    write_predictions(tmp_path / "p.csv", [one], CLASSES)
    rows = read(tmp_path / "p.csv")
    for name in ("predicted", *(f"p_{each}" for each in CLASSES)):
        assert [row[name] != "" for row in rows] == seen.tolist()
    assert [row["label"] for row in rows] == ["disgust", "fear", "", ""]


def test_figures_are_of_all_labelled_rows(tmp_path: Path) -> None:
    clips = [emotional(f"dia{number}", 15, seed=number) for number in range(6)]
    clips.append(replace(emotional("none", 3), labels=np.full(3, -1)))
    found = figures(clips, CLASSES, seed=3)
    score = class_score([(clip.predicted, clip.labels) for clip in clips], 7)
    assert [found[name] for name in ("accuracy", "weighted_f1", "macro_f1")] == [
        score.accuracy,
        score.weighted_f1,
        score.macro_f1,
    ]
    assert found["confusion"] == score.confusion.tolist() and (found["rows"], found["clips"]) == (score.rows, 6)
    assert found["per_class"][3] == {
        "class": "joy",
        "precision": score.precision[3],
        "recall": score.recall[3],
        "f1": score.f1[3],
        "support": score.support[3],
    }
    one = found["per_clip"][0]
    right = clips[0].predicted == clips[0].labels
    assert one == {
        "clip": "dia0",
        "rows": int((clips[0].labels >= 0).sum()),
        "accuracy": pytest.approx(right.sum() / (clips[0].labels >= 0).sum()),
    }
    assert found["per_clip"][6]["rows"] == 0 and np.isnan(found["per_clip"][6]["accuracy"])
    assert all(low <= found[name] <= high for name, (low, high) in found["intervals"].items())
    assert found["intervals"] == figures(clips, CLASSES, seed=3)["intervals"]


def test_references_are_guesses_by_the_training_labels(tmp_path: Path) -> None:
    manifest = cached(tmp_path, {"train_a": [4, 4, 4, 3, -1], "train_b": None, "test_a": [4, 3, 3, -1, 0]})
    test = predict_clip(LinearHead(), tmp_path, manifest, manifest.clips[2], CLASSES)
    counts = label_counts(tmp_path, manifest, manifest.of("train"), 7)
    always, draw = references("table", [test], CLASSES, counts.tolist())
    assert always["name"] == "always neutral, the most frequent in training"
    assert always["accuracy"] == pytest.approx(1 / 4)  # of neutral, joy, joy, anger
    assert always["weighted_f1"] == pytest.approx(0.4 / 4) and always["macro_f1"] == pytest.approx(0.4 / 3)
    assert draw["accuracy"] == pytest.approx((0.75 * 1 + 0.25 * 2) / 4)
    rng = np.random.default_rng(0)
    drawn = [np.mean(rng.choice([4, 3], 4, p=[0.75, 0.25]) == [4, 3, 3, 0]) for _ in range(4000)]
    assert draw["accuracy"] == pytest.approx(np.mean(drawn), abs=0.02)
    assert counts.tolist() == [0, 0, 0, 1, 3, 0, 0]
    assert {split: counts.tolist() for split, counts in class_distribution(tmp_path, manifest).items()} == {
        "train": [0, 0, 0, 1, 3, 0, 0],
        "test": [1, 0, 0, 2, 1, 0, 0],
    }


def test_the_published_figure_is_for_meld_alone_and_says_that_it_leaks(tmp_path: Path) -> None:
    manifest = cached(tmp_path, {"test_a": [4, 3]}, data_kind="meld")
    test = predict_clip(LinearHead(), tmp_path, manifest, manifest.clips[0], CLASSES)
    (published,) = references("meld", [test], CLASSES, [0] * 7)
    assert published["accuracy"] == 0.94 and published["weighted_f1"] is None
    assert "leaking: copies of test rows in training" in published["name"]
    assert references("table", [test], CLASSES, [0] * 7) == []


def test_the_text_report_holds_every_remark_and_the_figures() -> None:
    clips = [emotional(f"dia{number}", 30, seed=number) for number in range(4)]
    metrics = metrics_of(clips, remarks=["LEAKING: copies of\ntest rows.", "Miniatures."])
    text = classification_report_text(metrics)
    lines = text.splitlines()
    assert lines[0].startswith("Run demo, test split of films & more (honest protocol): ")
    assert lines[1:3] == ["Note: LEAKING: copies of test rows.", "Note: Miniatures."]
    row = next(line.split() for line in lines if line.strip().startswith("neutral"))
    neutral = metrics["per_class"][4]
    assert row[1:] == [*(f"{neutral[name]:.4f}" for name in ("precision", "recall", "f1")), str(neutral["support"])]
    assert next(line.split()[1] for line in lines if line.startswith("macro_f1")) == f"{metrics['macro_f1']:.4f}"
    average = next(line.split() for line in lines if line.strip().startswith("weighted avg"))
    assert average[4] == f"{metrics['weighted_f1']:.4f}"


def test_the_text_report_of_classes_that_do_not_occur_and_of_no_label_at_all() -> None:
    one = emotional("dia", 10)
    some = metrics_of([replace(one, labels=np.where(one.predicted == 4, 4, 0))])
    text = classification_report_text(some)
    assert "macro_f1 is over the 2 of 7 classes that occur" in text and " accuracy " in text
    text = classification_report_text(metrics_of([replace(one, labels=np.full(10, -1))]))
    assert "No row is labelled" in text and "accuracy     -   95 % interval [-, -]" in text
    one = replace(one, labels=np.zeros(10, np.int64))
    assert "class 1 " in classification_report_text(metrics_of([one], ("", "x\ny", *CLASSES[2:])))
