"""Predicted emotion classes of a clip, utterance by utterance, and how they are written down."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import CacheError, DataError
from common.files import written_whole
from common.labels import read_labels
from common.manifest import LEAKS, CachedClip, Manifest, Protocol
from common.schema import MODALITIES, NO_EMOTION, REFINED, TIME, WORD_SPEAKER, WORD_TEXT, Modality, present
from common.store import read_texts
from common.windows import CachedArrays

Floats = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]

#: Rows that go through the head at once.
_BATCH = 65_536


@dataclass(frozen=True)
class EmotionPrediction:
    """One clip's predictions, a row per utterance.

    Attributes
    ----------
    order : (T,) float64, the utterances' place in the dialogue
    probabilities : (T, K) float32, in [0, 1], each row's sum is 1
    labels : (T,) int64, 0 to K-1, or -1 where not annotated
    present : modality to (T,) bool
    texts, speakers : T strings each, possibly empty
    fused : (T, d) float32, F_refined: what the probabilities were made from
    """

    clip: str
    order: npt.NDArray[np.float64]
    probabilities: Floats
    labels: Classes
    present: dict[Modality, npt.NDArray[np.bool_]]
    texts: list[str]
    speakers: list[str]
    fused: Floats

    @property
    def predicted(self) -> Classes:
        """(T,) int64: the most probable class, the first of those that are equally probable."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def anything(self) -> npt.NDArray[np.bool_]:
        """(T,) bool: is there a face, sound or a word behind the row?"""
        return np.logical_or.reduce([self.present[modality] for modality in MODALITIES])


def predict_clip(
    head: Any,
    cache: Path,
    manifest: Manifest,
    clip: CachedClip,
    classes: Sequence[str],
) -> EmotionPrediction:
    """Run the classifier's head over a clip's F_refined.

    Parameters
    ----------
    head : ClassifierHead, in evaluation mode
    manifest : of the fused features
    classes : K names, those the head was trained on

    Raises
    ------
    CacheError
        If the head tells another number of classes apart, or a label is none of them.
    DataError
        If the head's output isn't finite.
    """
    import torch

    arrays = CachedArrays(cache / manifest.folder / f"{clip.id}.h5", clip.content, clip.frames)
    said = read_texts(arrays.path)
    fused = np.asarray(arrays[REFINED], dtype=np.float32)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(fused), _BATCH):
            rows = torch.from_numpy(np.array(fused[start : start + _BATCH])).to(head.device)
            parts.append(head(rows).prediction.double().cpu().numpy())
    return EmotionPrediction(
        clip.id,
        np.asarray(arrays[TIME], dtype=np.float64),
        softmax(_checked(np.concatenate(parts), classes, clip)),
        clip_classes(arrays, len(fused), len(classes)),
        {modality: np.asarray(arrays[present(modality)]) for modality in MODALITIES},
        said.get(WORD_TEXT, [""] * len(fused)),
        said.get(WORD_SPEAKER, [""] * len(fused)),
        fused,
    )


def softmax(logits: npt.NDArray[np.float64]) -> Floats:
    """Probabilities (T, K) float32 of logits (T, K), however large they are; computed in float64."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def clip_classes(arrays: CachedArrays, rows: int, classes: int) -> Classes:
    """(T,) int64 labels of a clip; -1 where not annotated.

    Raises
    ------
    CacheError
        If a label isn't one of the ``classes``.
    """
    labels = read_labels(arrays, slice(None), rows, categorical=True)
    if len(labels) and not (labels.min() >= NO_EMOTION and labels.max() < classes):
        raise CacheError(
            f"{arrays.path} has labels from {labels.min()} to {labels.max()}, but there are {classes} classes.",
            "Run `make embeddings` and `make train-beit` again with this RUN.",
        )
    return labels


def write_predictions(
    path: Path, predictions: Iterable[EmotionPrediction], classes: Sequence[str], protocol: Protocol = "honest"
) -> int:
    """Write one row per utterance at full precision, whole or not at all; say how many rows.

    ``row`` counts from 0; an absent label is an empty cell, and so are class and probabilities with nothing behind
    them: no face, no sound, no word. The last three columns say what was there, 1 or 0; of data that is split by the
    published protocol, one more says that it leaks.

    Texts and names are those of the data set, unchanged, quoted as the csv format asks, so that they read back exactly.
    A spreadsheet that opens the file would run one that begins with ``=``, ``+``, ``-`` or ``@`` as a formula: import
    the columns as text there.
    """
    masks = [f"present_{modality}" for modality in MODALITIES]
    rows = 0
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        probabilities = [f"p_{name}" for name in classes]
        mark = (LEAKS,) if protocol == "published" else ()
        note = ("note",) if mark else ()
        writer.writerow(("clip", "row", "text", "speaker", "label", "predicted", *probabilities, *masks, *note))
        for prediction in predictions:
            writer.writerows((*cells, *mark) for cells in _cells(prediction, classes))
            rows += len(prediction.order)
    return rows


def _cells(prediction: EmotionPrediction, classes: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    seen, predicted = prediction.anything, prediction.predicted
    nothing = ("",) * (1 + len(classes))
    for row, (text, speaker) in enumerate(zip(prediction.texts, prediction.speakers, strict=True)):
        label = prediction.labels[row]
        yield (
            prediction.clip,
            row,
            text,
            speaker,
            "" if label == NO_EMOTION else classes[label],
            # str of a float32 is the shortest decimal that gives it back
            *((classes[predicted[row]], *map(str, prediction.probabilities[row])) if seen[row] else nothing),
            *(int(prediction.present[modality][row]) for modality in MODALITIES),
        )


def _checked(logits: npt.NDArray[np.float64], classes: Sequence[str], clip: CachedClip) -> npt.NDArray[np.float64]:
    if logits.shape[1] != len(classes):
        raise CacheError(
            f"The head tells {logits.shape[1]} classes apart; its record names {len(classes)}: {', '.join(classes)}.",
            "Run `make train-mlp` again with this RUN.",
        )
    lost = int((~np.isfinite(logits)).any(axis=1).sum())
    if lost:
        raise DataError(
            f"On {lost} of {len(logits)} rows of {clip.id} the head's output is NaN or infinite.",
            "Look for where the features or the head lost their values.",
        )
    return logits
