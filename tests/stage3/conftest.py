"""Fixtures of stage 3's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.manifest import Manifest


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> dict[Path, Callable[[str], Any]]:
    """What the head of a made run predicts for a clip; stands in for loading and running a model."""
    known: dict[Path, Callable[[str], Any]] = {}

    def predict(head: Path, cache: Path, manifest: Manifest, clips: Any, device: str) -> list[Any]:
        return [known[head.parent](clip.id) for clip in clips]

    monkeypatch.setattr("stage3_mlp.compare.compare.predict_clips", predict)
    return known
