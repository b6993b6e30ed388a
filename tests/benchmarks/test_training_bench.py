"""The three ways of training compute the same; shuffled weights would be noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.published.training import Segments
from benchmarks.training import Size, Ways
from common.windows import FeatureWindows

SMALL = {"d_k": 8, "heads": 2, "d_proj": 8, "mlp_ratio": 2.0}


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    return Ways(tmp_path, Size(frames=5, batch=2, steps=2, turns=2), torch.device("cpu"), **SMALL)


def test_the_three_ways_have_the_same_losses(ways: Ways) -> None:
    ways.check()


def test_other_losses_are_noticed(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Ways.published
    monkeypatch.setattr(Ways, "published", lambda self, *given: (0.0, [one * 1.001 for one in first(self, *given)[1]]))
    with pytest.raises(AssertionError, match="published loop: other losses"):
        ways.check()


def test_each_way_reads_every_window_once(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[str, list[int]] = {}

    def noted(kind: type, name: str) -> None:
        inner: Any = kind.__getitem__  # type: ignore[attr-defined]

        def noting(self: Any, index: int) -> Any:
            if self is not ways.validation:
                read.setdefault(name, []).append(index)
            return inner(self, index)

        monkeypatch.setattr(kind, "__getitem__", noting)

    noted(Segments, "published")
    noted(FeatureWindows, "ours")
    assert ways.ours()[0] > 0 and ways.published()[0] > 0
    assert {name: sorted(found) for name, found in read.items()} == {"ours": [0, 1, 2, 3], "published": [0, 1, 2, 3]}
