"""What runs and caches leave behind: manifests, records, training states, scores, logs, clips set aside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from common.artefacts import read_record, recipe_of
from common.curves import run_curves
from common.datasets.demo.corpus import RECORD_NAME, _read_record
from common.history import history_so_far
from common.manifest import CachedClip, Failure, Manifest, read_manifest, write_manifest
from common.recipe import load_recipe
from common.splits import check_labels, check_splits
from stage1_embeddings.quarantine import Quarantine
from stage1_embeddings.upkeep.folders import failures, how_made
from stage3_mlp.report.state import State, state_of
from tests.fuzz.changes import changed_file, changed_json
from tests.fuzz.target import Target, written

CLIPS = tuple(
    CachedClip(f"talk{number}", split, f"/data/talk{number}.mp4", 32, True, f"c{number}", f"v{number}")
    for number, split in enumerate(("train", "validation", "test"))
)
MANIFEST = Manifest(
    "/data", "folder", "features/abc", {"visual": "1", "audio": "2", "text": "3"},
    {"visual": {"identity": "x", "width": 4}},
    CLIPS, (Failure("talk9", "It is broken.", "Restore it."),), ("A remark.",),
)  # fmt: skip
HISTORY = [
    {"epoch": epoch, "loss": 1.5, "learning_rate": 1e-3, "eval_loss": 1.25, "eval_ccc_mean": 0.5} for epoch in (1, 2)
]
RECORD = {
    "stage": 3, "fingerprint": "abc", "recipe": load_recipe("demo").model_dump(mode="json"), "seed": 7,
    "history": HISTORY,
    "remarks": [], "classes": [], "features": {"visual": "1"}, "encoders": {"visual": {"identity": "x"}},
    "smoothing": {"chosen": {"kind": "none", "width_s": 0.0}, "tried": []}, "weights_sha256": "ab",
}  # fmt: skip
LOG = [
    {"epoch": 1.0, "loss": 2.0, "grad_norm": 1.0, "learning_rate": 1e-3, "step": 10},
    {"epoch": 1.0, "eval_loss": 3.0, "step": 10},
]
STATE = {"epoch": 1.0, "num_train_epochs": 60, "global_step": 10, "log_history": LOG, "best_metric": None}
CCC = {"valence": 0.1, "arousal": 0.2, "mean": 0.15}
METRICS = {
    "fingerprint": "abc", "classes": [], "ccc": CCC, "intervals": {"ccc_mean": [0.1, 0.2], "draws": 1000}, "recipe": {},
    "split": "test", "remarks": [], "frames": 96, "clips": 3,
}  # fmt: skip
SEEDS = {
    "rows": [{"seed": 1, **CCC}, {"seed": "all", **CCC}],
    "summary": {"mean": 0.1, "spread": 0.0},
    "about": "x",
    "recipe": {},
}
LINES = [

    {"time": "2026-01-02T03:04:05+00:00", "clip": "talk1", "outcome": "failed", "problem": "Broken.", "cure": "Mend."},
    {"time": "2026-01-02T03:04:06+00:00", "clip": "talk2", "outcome": "done", "seconds": 2.5, "content": "abc"},
]  # fmt: skip
ASIDE = {"id": "talk1", "problem": "It is broken.", "cure": "Restore it.", "content": "abc", "time": LINES[0]["time"]}
WHEN = (
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59-23:59",
    "2026-13-01",
    "x" * 300,
    "a/b",
    "\\u0000",
    "NaN",
    "[[",
    "{}",
)


def _manifest_holds(manifest: Manifest) -> None:
    assert all(
        isinstance(clip.frames, int) and clip.split in ("train", "validation", "test", "unsplit")
        for clip in manifest.clips
    )
    for text in (manifest.data, manifest.folder, *manifest.remarks, *manifest.classes):
        assert isinstance(text, str)
    for clip in manifest.clips:
        assert all(isinstance(text, str) for text in (clip.id, clip.source, clip.content, clip.video, clip.group))


def _manifest(content: bytes, folder: Path) -> Manifest:
    """Read, checked as stages 2 and 3 do, written, read again."""
    written("manifest.json")(content, folder)
    manifest = read_manifest(folder)
    try:
        check_splits(manifest)
        check_labels(manifest, categorical=False)
    except Exception as error:  # what is wrong with the data is no fault of the file
        assert type(error).__name__ == "DataError", error
    again = folder / "again"
    try:
        json.dumps(asdict(manifest), allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        return manifest  # numbers and signs that JSON has no words for
    write_manifest(again, manifest)
    assert read_manifest(again) == manifest
    return manifest


def _record(content: bytes, folder: Path) -> dict[str, Any]:
    written("record.json")(content, folder)
    record = read_record(folder, made_by="make train-mlp")
    recipe_of(folder, record, made_by="make train-mlp")
    assert record["weights_sha256"] is not None and isinstance(record["seed"], int)
    return record


def _history(content: bytes, folder: Path, name: str) -> Any:
    for place in ("head/record.json", "checkpoints/fusion-x/checkpoint-10/trainer_state.json"):
        (folder / place).unlink(missing_ok=True)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    (folder / "checkpoints/fusion-x/checkpoint-tmp").mkdir(parents=True, exist_ok=True)
    return history_so_far(folder)


def _history_holds(histories: Any) -> None:
    """Rows in the order of their epochs, of figures that can be drawn."""
    for rows in histories.values():
        assert rows
        for row in rows:
            assert np.isfinite(row["epoch"])
            np.array([value for value in row.values()], dtype=np.float64)
    assert not histories or callable(run_curves)


def _state(given: tuple[str, bytes], folder: Path) -> State:
    """A run of which one file is changed."""
    name, content = given
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    write_manifest(run, MANIFEST)
    for place, values in RUN.items():
        (run / place).parent.mkdir(parents=True, exist_ok=True)
        (run / place).write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    (run / name).write_bytes(content)
    return state_of(run, folder / "cache")


RUN: dict[str, Any] = {
    "fused/manifest.json": json.loads(json.dumps(asdict(MANIFEST))),
    "head/record.json": RECORD,
    "fusion/record.json": {**RECORD, "stage": 2},
    "checkpoints/head-x/checkpoint-10/trainer_state.json": STATE,
    "test/metrics.json": METRICS,
    "seeds/seeds.json": SEEDS,
    "seeds/metrics.json": METRICS,
    "recipe.yaml": "name: x\nstage1: {}\n",
}


def _state_holds(state: State) -> None:
    for sentence in state.missing:
        assert isinstance(sentence, str) and len(sentence) < 2000
    assert isinstance(state.recipe, dict)
    _history_holds(state.histories)


def _failures(content: bytes, folder: Path) -> Any:
    written("log.jsonl")(content, folder)
    return failures(folder), how_made(folder, "talk2")


def _failures_hold(found: Any) -> None:
    for failed in found[0]:
        assert all(isinstance(text, str) for text in (failed.id, failed.problem, failed.cure))


def _aside(content: bytes, folder: Path) -> Any:
    (folder / ".failed").mkdir(exist_ok=True)
    (folder / ".failed" / "talk1.json").write_bytes(content)
    return failures(folder), Quarantine(folder).find("talk1", "abc")


def _in_run(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
    values = RUN[name]
    changed = changed_file(values, odd=WHEN) if isinstance(values, str) else changed_json(values)
    return changed.map(lambda content: (name, content))


def _named(name: str) -> Callable[[bytes, Path], Any]:
    return lambda content, folder: _history(content, folder, name)


LOG_LINES = "".join(f"{json.dumps(line)}\n" for line in LINES)

TARGETS = (
    Target("manifest", changed_json(RUN["fused/manifest.json"]), _manifest, _manifest_holds, file="manifest.json"),
    Target("record.json", changed_json(RECORD), _record, file=""),
    Target("history of a record", changed_json(RECORD), _named("head/record.json"), _history_holds, file="record.json"),
    Target(
        "trainer_state.json",
        changed_json(STATE),
        _named("checkpoints/fusion-x/checkpoint-10/trainer_state.json"),
        _history_holds,
        refuses=False,
    ),
    Target("state of a run", st.one_of(*map(_in_run, RUN)), _state, _state_holds, refuses=False),
    Target("log.jsonl", changed_file(LOG_LINES, odd=WHEN), _failures, _failures_hold, refuses=False),
    Target("clip set aside", changed_json(ASIDE), _aside, _failures_hold, refuses=False),
    Target(
        "record of the demo corpus",
        changed_json({"kind": "maven demo corpus", "version": 1}),
        lambda content, folder: (written(RECORD_NAME)(content, folder), _read_record(folder)),
        file=RECORD_NAME,
    ),
)
