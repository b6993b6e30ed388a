"""Runs as they are after their training, but for the models, and their comparison."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from common.files import write_json
from common.manifest import CachedClip, Manifest, write_manifest
from common.recipe import load_recipe
from stage3_mlp.compare.compare import compare
from stage3_mlp.train import head_fingerprint
from tests.stage3.predicted import predicted

CLIPS = tuple(f"clip{number}" for number in (1, 2, 10, 11, 12, 20))
LEAK = "LEAKING: copies of the same rows are in training & test."


def made(folder: Path, *settings: str, seed: int = 7, clips: tuple[str, ...] = CLIPS, **about: Any) -> Path:
    """A run as it is after its training, but for the models: what a comparison reads before it predicts."""
    recipe = load_recipe("meld" if about.get("classes") else "demo", (*settings, f"seed={seed}"))
    split, labelled = about.pop("split", "test"), about.pop("labelled", True)
    every = [CachedClip(name, split, f"{name}.mp4", 50, labelled, f"c-{name}") for name in clips]
    every += [CachedClip(f"t{n}", "train", "t.mp4", 50, True, f"t{n}") for n in range(about.pop("training", 3))]
    known = {"data": "films & more", "data_kind": "folder", "folder": "fused/0", "fingerprints": {}, "encoders": {}}
    manifest = Manifest(**{**known, "clips": tuple(every), **about})
    record = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "fingerprint": head_fingerprint(recipe, manifest),
        "weights_sha256": str(folder),
        "smoothing": {"chosen": {"kind": "none", "width_s": 0.0}, "tried": []},
        "remarks": list(manifest.remarks),
    }
    write_json(folder / "head" / "record.json", record)
    write_manifest(folder / "fused", manifest)
    return folder


def moving(clip: str, noise: float, seed: int = 0, shift: float = 0.0) -> Any:
    """Predictions of a clip that are so far from its labels; the labels are the same for all."""
    rng = np.random.default_rng([seed, sum(map(ord, clip))])
    time_s = np.arange(50)[:, None] / 10
    true = 0.6 * np.sin(time_s + np.arange(2)) + 0.02 * len(clip)
    return predicted(clip, true + shift + noise * rng.normal(size=true.shape), true)


def compared(folder: Path, *runs: Path) -> tuple[dict[str, Any], str]:
    said: list[str] = []
    found = compare(runs, folder / "cache", "cpu", folder / "out", said.append)
    return found, "\n".join(said)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
