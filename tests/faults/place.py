"""A cache and a run where faults happen: the stages' commands, states to begin from, and what is found afterwards."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from common.artefacts import WEIGHTS, read_record
from common.clip_log import ClipLog
from common.errors import MavenError
from common.files import sha256
from common.manifest import read_manifest
from common.sealed import read_sealed
from common.store import validate
from tests.conftest import SMALL

STAGES = ("stage 1", "stage 2", "stage 3")

#: Of a record or of metrics: what differs from run to run.
_PASSING = {"time", "command", "provenance", "versions", "commit", "machine", "sha256", "files_sha256"}
_TIMED = ("runtime", "per_second")


@dataclass(frozen=True)
class Place:
    """Always the same folder, so that names in results are the same."""

    root: Path
    data: Path

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def run(self) -> Path:
        return self.root / "runs" / "small"

    def commands(self, stage: str, *settings: str) -> list[list[str]]:
        """What ``make`` runs in a stage."""
        recipe = ["--recipe", "demo", *(part for one in (*SMALL, *settings) for part in ("--set", one))]
        places = ["--cache", str(self.cache), "--run", str(self.run), "--device", "cpu"]
        extract = ["extract", "--workers", "0", "--data", str(self.data)]
        return {
            "stage 1": [["stage1_embeddings", *extract, *recipe, *places]],
            "stage 2": [["stage2_beit", "train", *recipe, *places], ["stage2_beit", "export", *places]],
            "stage 3": [["stage3_mlp", "train", *recipe, *places], ["stage3_mlp", "test", "--no-video", *places]],
        }[stage]

    def all(self, *settings: str) -> list[list[str]]:
        return [command for stage in STAGES for command in self.commands(stage, *settings)]

    def restore(self, template: Path) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(template, self.root, symlinks=True)

    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file())

    def names(self) -> set[str]:
        """All files but claims, the index and what TensorBoard shows, whose number and names say nothing."""
        passing = {".claims", ".index", "tensorboard"}
        return {path.relative_to(self.root).as_posix() for path in self.files() if not passing & set(path.parts)}

    def logged_twice(self) -> list[str]:
        """Clips of which more than one line of the logs speaks."""
        clips = [line["clip"] for folder in self.cache.glob("features/*/") for line in ClipLog(folder)]
        return sorted({clip for clip in clips if clips.count(clip) > 1})

    def partials(self) -> list[str]:
        return [str(path) for path in self.root.rglob("*.partial-*")]

    def done(self) -> dict[Path, tuple[int, int]]:
        """What is finished and must not be made again: clips, models, scores."""
        patterns = ("cache/features/*/*.h5", "cache/fused/*/*.h5", "runs/small/*/record.json")
        found = [path for pattern in (*patterns, "runs/small/test/metrics.json") for path in self.root.glob(pattern)]
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found if path.name[0] != "."}


def corrupt(place: Place) -> list[str]:
    """Files that are neither whole nor marked as partial."""
    found = []
    for path in place.files():
        relative = path.relative_to(place.root)
        if any(".partial-" in part or part in (".claims", "checkpoints") for part in relative.parts):
            continue  # told to be partial; of checkpoints the stages find out themselves
        try:
            _check(path)
        except (MavenError, ValueError, OSError) as error:
            found.append(f"{relative}: {error}")
    return found


def _check(path: Path) -> None:
    if path.suffix == ".h5":
        validate(path)
    elif path.name == "manifest.json":
        read_manifest(path.parent)
    elif path.name == "record.json":
        record = read_record(path.parent, made_by="make test")
        if sha256(path.parent / WEIGHTS) != record["weights_sha256"]:
            raise ValueError("its weights are others")
    elif path.suffix == ".json":
        read_sealed(path, cure="")
    elif path.suffix == ".jsonl":
        for line in path.read_text().splitlines():
            json.loads(line)


def results(place: Place) -> dict[str, Any]:
    """What a run comes to: every number of cache and run, without times and paths."""
    found: dict[str, Any] = {}
    for kind in ("features", "fused"):
        for path in sorted((place.cache / kind).glob("*/*.h5")):
            found[path.relative_to(place.cache).as_posix()] = _datasets(path)
    for part in ("fusion", "head"):
        if (place.run / part).is_dir():
            found[f"{part} weights"] = sha256(place.run / part / WEIGHTS)
            found[f"{part} record"] = _lasting(json.loads((place.run / part / "record.json").read_text()))
    for name in ("test/predictions.csv", "manifest.json", "fused/manifest.json"):
        if (place.run / name).is_file():
            found[name] = sha256(place.run / name)
    if (place.run / "test" / "metrics.json").is_file():
        found["metrics"] = _lasting(json.loads((place.run / "test" / "metrics.json").read_text()))
    return found


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _datasets(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            values = item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]
            content = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
            found[name] = f"{item.shape} {item.dtype} {hashlib.sha256(content).hexdigest()}"

    with h5py.File(path, "r") as file:
        file.visititems(add)
    return found


def _lasting(values: Any) -> Any:
    if isinstance(values, dict):
        kept = {key: value for key, value in values.items() if key not in _PASSING}
        return {key: _lasting(value) for key, value in kept.items() if not any(part in key for part in _TIMED)}
    return [_lasting(value) for value in values] if isinstance(values, list) else values
