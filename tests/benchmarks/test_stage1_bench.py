"""The published way of stage 1, and that the benchmark's ways come to the same features."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.published.embeddings import Published, Segment
from benchmarks.stage1_ways import Bench, Size, padding
from common.errors import DataError
from common.schema import MODALITIES, Modality
from stage1_embeddings.encoders.miniature import miniature_folder


@pytest.fixture
def encoders(models: Path) -> dict[Modality, Path]:
    return {modality: miniature_folder(modality, models) for modality in MODALITIES}


def segment(folder: Path, frames: int, seconds: float, text: str) -> Segment:
    rng = np.random.default_rng(frames)
    paths = [folder / f"{frames}-{index}.png" for index in range(frames)]
    for path in paths:
        cv2.imwrite(str(path), rng.integers(0, 256, (112, 112, 3), dtype=np.uint8))
    samples = 0.1 * rng.standard_normal(round(16_000 * seconds)).astype(np.float32)
    return Segment(tuple(paths), samples, text)


def test_padding_changes_neither_pictures_nor_words(encoders: dict[Modality, Path], tmp_path: Path) -> None:
    published = Published(encoders, torch.device("cpu"))
    parts = [segment(tmp_path, 2, 0.2, "well"), segment(tmp_path, 5, 0.5, "that was a long day")]
    together = published(parts)
    for index, part in enumerate(parts):
        alone = published([part])
        np.testing.assert_allclose(together.visual[index], alone.visual[0], atol=1e-5)
        np.testing.assert_allclose(together.text[index], alone.text[0], atol=1e-5)
        assert together.audio[index].shape == alone.audio[0].shape
        assert len(together.visual[index]) == len(part.crops)
    np.testing.assert_allclose(together.audio[1], published([parts[1]]).audio[0], atol=1e-4)  # the longest has none


def test_the_ways_come_to_the_same_features(
    corpus: Path, encoders: dict[Modality, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    videos = sorted(corpus.rglob("*.mp4"))[:2]
    bench = Bench(tmp_path, videos, encoders, Size(frames=12, batch=8, turns=2), "float32", "cpu")
    assert len(bench.crops) == 24
    bench.stage()
    bench.published()
    bench.bare()
    assert bench.check() > 0.999
    bench._kept["bare"][3] += 0.01
    with pytest.raises(DataError, match="bare encoder differ"):
        bench.check()


def test_padding_goes_by_batches_of_sixteen() -> None:
    assert padding([10, 30]) == pytest.approx(0.5)
    assert padding([10] * 16 + [30] * 16) == 0
