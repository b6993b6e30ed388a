"""What many tests share: a small rendered corpus, a cache of it, and the real data where it lies beside the project."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from common.datasets.demo import render_corpus
from common.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from tests.integration.chain import Chain

# The same examples in every run: a change is judged by what it changed. HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", max_examples=1000, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"

#: The demo, smaller: what the chain needs to run in seconds.
SMALL = (
    "name=small",
    "stage2.window={frames: 16, hop_frames: 8}",
    "stage2.training.epochs=2",
    "stage2.fusion.d_proj=16",
    "stage2.fusion.d_k=8",
    "stage3.training.epochs=2",
)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of one second in Aff-Wild2's layout; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("corpus") / "small"
    render_corpus(folder, clips=6, seconds=1.0)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the miniature encoders."""
    from common.schema import MODALITIES
    from stage1_embeddings.encoders.miniature import miniature_folder

    cache = tmp_path_factory.mktemp("models")
    for modality in MODALITIES:
        miniature_folder(modality, cache)
    return cache


@pytest.fixture(scope="session")
def finished(corpus: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A chain that has been run once, by its own commands; tests that change it copy it first."""
    from tests.integration.chain import Chain

    folder = tmp_path_factory.mktemp("chain")
    shutil.copytree(models, folder / "cache")
    chain = Chain(corpus, folder / "cache", folder / "runs" / "small")
    for result in chain.all():
        assert result.exit_code == 0, result.output
    return chain


@pytest.fixture(scope="session")
def small_recipe() -> Recipe:
    return load_recipe("demo", SMALL)


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """The path of a real file beside the project; the test is skipped where there is none."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"{name} isn't beside the project")
        return path

    return find
