"""Fixtures of stage 1's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_cache import TWO, name, put


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two used clips, one that no run names, and a folder that no run uses."""
    root = tmp_path / "cache"
    for clip in ("a", "b", "c"):
        put(root, clip)
    put(root, "a", f"features/{TWO}")
    name(root, "demo", "a", "b")
    return root
