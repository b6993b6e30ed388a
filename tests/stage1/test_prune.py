"""What is used is never removed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from small_cache import ONE, TWO, age, call, kept_crops, name, put

from common.claims import Claim, is_held
from common.owner import Owner, this_process
from common.partials import partial_name
from common.schema import (
    TIME,
    present,
)
from common.sizes import in_bytes
from stage1_embeddings.upkeep.prune import prune_plan


def dead_owner() -> Owner:
    return replace(this_process(), process=999999999)


def paths(cache: Path) -> set[str]:
    return {path.relative_to(cache).as_posix() for path in cache.rglob("*")}


def test_prune_touches_nothing_without_yes_and_nothing_in_use_with_it(cache: Path) -> None:
    age(cache)
    before = paths(cache)
    result = call(cache, "prune")
    assert (result.exit_code, paths(cache)) == (0, before)
    assert f"features/{TWO}  (features that no run uses)" in result.stdout
    assert "nothing is removed without --yes" in result.stdout
    assert call(cache, "prune", "--yes").exit_code == 0
    assert paths(cache) == {"features", f"features/{ONE}", f"features/{ONE}/a.h5", f"features/{ONE}/b.h5"}
    assert call(cache, "prune", "--yes").stdout == "Nothing can go.\n"


def test_prune_takes_whole_folders_but_never_what_it_does_not_know(cache: Path, tmp_path: Path) -> None:
    folder = cache / "features" / TWO
    (folder / ".failed").mkdir()
    (folder / ".failed" / "x.json").write_text("{}")
    (folder / ".claims").mkdir()
    (folder / ".claims" / "x.lock").touch()  # of an earlier version, as the log is
    (folder / ".claims" / "y.claim").mkdir()
    (folder / ".claims" / "y.claim" / f"{dead_owner()}-0a1b2c3d").touch()
    (folder / "log.jsonl").write_text("")
    (folder / "log.node7-0a1b2c3d4e5f.jsonl").write_text("")
    (folder / "v.tracks.json").write_text("{}")
    (cache / "features" / "my notes").mkdir()
    (cache / "features" / "my notes" / "a.h5").touch()
    outside = tmp_path / "outside"
    put(outside.parent, "z", "outside")
    (cache / "features" / ("a" * 16)).symlink_to(outside)
    kept_crops(cache, "gone", 8, 2)
    kept_crops(cache, "a", 8, 2)
    (cache / "models").mkdir()
    (cache / "models" / "weights.safetensors").touch()
    age(cache)
    (folder / "notes.txt").touch()
    assert call(cache, "prune", "--yes").exit_code == 0
    assert paths(cache) == {
        *("features", f"features/{ONE}", f"features/{ONE}/a.h5", f"features/{ONE}/b.h5"),
        *(f"features/{TWO}", f"features/{TWO}/notes.txt"),
        *("features/my notes", "features/my notes/a.h5", f"features/{'a' * 16}"),
        *("crops", f"crops/{ONE}", f"crops/{ONE}/a.h5", "models", "models/weights.safetensors"),
    }
    assert (outside / "z.h5").exists()
    (folder / "notes.txt").unlink()


def test_prune_leaves_folders_where_a_process_is_at_work(cache: Path) -> None:
    folder = cache / "features" / TWO
    claim = Claim(folder / ".claims" / "a.claim")
    assert claim.take() and is_held(folder / ".claims" / "a.claim")
    age(cache)
    plan = prune_plan(cache, [cache.parent / "runs"], 0)
    assert {item.path.parent.name for item in plan.spare} == {ONE}
    assert plan.kept == [f"features/{TWO}: a process is at work here"]
    claim.release()
    elsewhere = replace(this_process(), host="elsewhere", process=999999999)
    for called in (partial_name("b.h5"), f".b.h5.partial-{elsewhere}", ".b.h5.partial-of-an-earlier-version-1"):
        partial = folder / called
        partial.touch()
        assert prune_plan(cache, [cache.parent / "runs"], 0).kept == [f"features/{TWO}: a process is at work here"]
        partial.unlink()
    assert not prune_plan(cache, [cache.parent / "runs"], 0).kept


def test_prune_removes_what_dead_processes_left(cache: Path) -> None:
    folder = cache / "features" / ONE
    dead = f"partial-{dead_owner()}"
    (folder / f".x.h5.{dead}").touch()
    (cache / "corpus" / f".demo.{dead}").mkdir(parents=True)
    (cache / "corpus" / f".demo.{dead}" / "file").touch()
    (folder / ".claims" / "b.claim").mkdir(parents=True)
    (folder / ".claims" / "b.claim" / f"{dead_owner()}-0a1b2c3d").touch()
    assert call(cache, "prune", "--yes", "--keep-days", "30").exit_code == 0
    assert not (folder / f".x.h5.{dead}").exists()
    assert list((cache / "corpus").iterdir()) == []
    assert not (folder / ".claims").exists()
    assert len(list(cache.rglob("*.h5"))) == 4


def test_prune_keeps_what_is_young(cache: Path) -> None:
    age(cache, 3)
    assert call(cache, "prune", "--keep-days", "4").stdout.count("changed too lately") == 2
    assert "Nothing can go" not in call(cache, "prune", "--keep-days", "2").stdout


def test_prune_refuses_to_guess(cache: Path) -> None:
    age(cache)
    (cache.parent / "runs" / "other").mkdir()
    (cache.parent / "runs" / "other" / "manifest.json").write_text("{")
    before = paths(cache)
    result = call(cache, "prune", "--yes")
    assert (result.exit_code, "isn't known what that run uses" in result.stderr) == (1, True)
    for run in ("other", "demo"):
        (cache.parent / "runs" / run / "manifest.json").unlink()
    result = call(cache, "prune", "--yes")
    assert (result.exit_code, "everything would seem unused" in result.stderr) == (2, True)
    assert paths(cache) == before


def test_prune_knows_refined_features_and_runs_with_a_cache_of_their_own(cache: Path) -> None:
    mask = np.ones(2, dtype=np.bool_)
    refined = {TIME: np.arange(2) / 25, "refined": np.ones((2, 3), np.float32), present("visual"): mask}
    for folder in (ONE, TWO):
        put(cache, "a", f"fused/{folder}", arrays=refined)
    name(cache, "demo/fused", "a", folder=f"fused/{ONE}")
    own = cache.parent / "runs" / "demo" / "predict" / "talk"
    put(own / "cache", "a", f"features/{TWO}")
    name(cache, "demo/predict/talk", "a", folder=f"features/{TWO}")
    age(cache)
    groups = {item.group for item in prune_plan(cache, [cache.parent / "runs"], 1).spare}
    assert groups == {f"features/{TWO}", f"features/{ONE}/c.h5", f"fused/{TWO}"}


@pytest.mark.parametrize(("size", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")])
def test_sizes_in_words(size: float, words: str) -> None:
    assert in_bytes(int(size)) == words


def test_json_answers_are_json(cache: Path) -> None:
    for arguments in (["status"], ["verify"], ["inspect", "a"], ["prune"]):
        assert isinstance(json.loads(call(cache, *arguments, "--json").stdout), dict)
    assert asdict(prune_plan(cache, [cache.parent / "runs"], 1))["spare"] == []
