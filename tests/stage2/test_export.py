"""Refining one clip: windows overlap, results come one batch late, and each ends up in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_fusion import DIMS, make
from torch import Tensor

from common.manifest import CachedClip, Manifest
from common.recipe import Window
from common.schema import MODALITIES, REFINED_DTYPE, TIME, present
from common.store import write_clip
from common.windows import FeatureWindows
from stage2_beit.export import refine
from stage2_beit.inputs import placed
from stage2_beit.words import collate

FRAMES = 23


@pytest.fixture
def data(tmp_path: Path) -> FeatureWindows:
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {TIME: np.arange(FRAMES) / 25}
    for modality in MODALITIES:
        arrays[modality] = random.normal(size=(FRAMES, DIMS[modality])).astype(np.float16)
        arrays[present(modality)] = np.ones(FRAMES, dtype=np.bool_)
    write_clip(tmp_path / "f" / "a.h5", arrays, {"content": "c"})
    clip = CachedClip("a", "train", "", FRAMES, False, "c")
    return FeatureWindows(tmp_path, Manifest("", "", "f", {}, {}, (clip,)), [clip], Window(frames=6, hop_frames=4))


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_overlapping_windows_are_averaged_whatever_the_batch(data: FeatureWindows, batch: int) -> None:
    model = make()
    total, count = np.zeros((FRAMES, 8)), np.zeros((FRAMES, 1))
    for index, place in enumerate(data.places):
        inputs = collate([data[index]])
        del inputs["labels"]
        with torch.no_grad():
            total[place.start : place.start + 6] += model(**inputs).refined[0].numpy()
        count[place.start : place.start + 6] += 1
    assert count.max() > 1
    found = refine(model, data, batch)
    assert found.dtype == REFINED_DTYPE
    np.testing.assert_allclose(found, total / count, rtol=2e-3, atol=2e-3)


def test_a_gpu_is_given_batches_through_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: asked.append(("pinned", {})) or self)
    monkeypatch.setattr(Tensor, "to", lambda self, device, **how: asked.append((str(device), how)) or self)
    placed({"visual": torch.ones(2)}, torch.device("cuda"))
    assert asked == [("pinned", {}), ("cuda", {"non_blocking": True})]
    asked.clear()
    placed({"visual": torch.ones(2)}, torch.device("mps"))
    assert asked == [("mps", {})]
