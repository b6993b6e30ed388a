"""What is there is told truly: clips, uses, failures, what is due and why."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_cache import ONE, call, put

from common.owner import this_process
from common.recipe import load_recipe
from common.schema import (
    MODALITIES,
)
from stage1_embeddings.upkeep.due import differences, due, due_in_words
from stage1_embeddings.upkeep.folders import failures


def test_status_counts_and_says_who_uses_what(cache: Path) -> None:
    dead = cache / "features" / ONE / f".x.h5.partial-{replace(this_process(), process=999999999)}"
    dead.write_bytes(bytes(7))
    result = call(cache, "status", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    used, unused = found["folders"]
    assert (used["clips"], used["frames"], used["used_by"]) == (3, 24, {"demo": 2})
    assert used["hours"] == pytest.approx(24 / 25 / 3600)
    assert used["bytes"] == sum(path.stat().st_size for path in (cache / "features" / ONE).glob("*.h5"))
    assert used["unused_clips"] == ["c"]
    assert unused["used_by"] == {}
    assert found["leftover_bytes"] == 7
    assert "used by  no run" in call(cache, "status").stdout


def test_status_tells_files_that_another_run_replaced(cache: Path) -> None:
    put(cache, "a", content="another")
    assert json.loads(call(cache, "status", "--json").stdout)["folders"][0]["replaced"] == ["demo: a"]


def test_status_goes_on_after_what_cannot_be_read_and_exits_with_1(cache: Path) -> None:
    (cache / "features" / ONE / "b.h5").write_bytes(b"nonsense")
    (cache.parent / "runs" / "broken").mkdir()
    (cache.parent / "runs" / "broken" / "manifest.json").write_text("{")
    result = call(cache, "status")
    assert result.exit_code == 1
    assert "b.h5 can't be read as HDF5" in result.stdout
    assert "isn't a manifest of this program" in result.stdout
    assert "2 clips" not in result.stdout.splitlines()[2]


def test_failures_come_from_quarantine_and_log_and_end_with_success(cache: Path) -> None:
    folder = cache / "features" / ONE
    lines = [
        {"time": "2001-01-01T00:00:00+00:00", "clip": "a", "outcome": "failed", "problem": "over since"},
        {"time": "2101-01-01T00:00:00+00:00", "clip": "d", "outcome": "failed", "problem": "no frame"},
        {"time": "2101-01-01T00:00:00+00:00", "clip": "e", "outcome": "failed", "problem": "x"},
        {"time": "2101-01-01T00:00:01+00:00", "clip": "e", "outcome": "done"},
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"clip": "f", "outc')
    (folder / ".failed").mkdir()
    aside = {"id": "g", "problem": "g.mp4 is empty.", "cure": "Fetch it.", "content": "1", "time": "2101"}
    (folder / ".failed" / "g.json").write_text(json.dumps(aside))
    assert [(item.id, item.problem) for item in failures(folder)] == [("d", "no frame"), ("g", "g.mp4 is empty.")]


def test_a_cache_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    for command in (["status"], ["verify"], ["inspect", "a"], ["prune"]):
        assert call(tmp_path / "nowhere", *command).exit_code == 2
        result = call(tmp_path / "other", *command)
        assert (result.exit_code, "doesn't look like a cache" in result.stderr) == (2, True)


@pytest.fixture
def planned(models: Path, tmp_path: Path) -> Callable[..., tuple[list[Any], Path]]:
    """States of the clips v1 and v2, whose files say what a run of this recipe would have written."""
    from common.datasets import open_dataset
    from stage1_embeddings.plan import FeaturePlan

    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    cache.mkdir()
    (cache / "models").symlink_to(models / "models")
    for clip in ("v1", "v2"):
        (data / f"{clip}.mp4").write_bytes(clip.encode())
    plan = FeaturePlan(load_recipe("demo").stage1, cache)
    for clip in open_dataset(data, cache, lambda text: None).clips:
        status = clip.source.stat()
        put(
            cache,
            clip.id,
            f"features/{plan.folder.name}",
            source_size=status.st_size,
            source_mtime_ns=status.st_mtime_ns,
            settings=plan.settings.model_dump(mode="json"),
            **{f"fingerprint_{modality}": plan.fingerprints[modality] for modality in MODALITIES},
            **{f"encoder_{modality}": plan.resolved[modality].describe() for modality in MODALITIES},
        )

    def states(*overrides: str) -> tuple[list[Any], Path]:
        return due(load_recipe("demo", overrides).stage1, data, cache)[1], plan.folder

    return states


def test_clips_are_done_touched_stale_or_damaged(planned: Any, tmp_path: Path) -> None:
    assert [clip.state for clip in planned()[0]] == ["done", "done"]
    os.utime(tmp_path / "data" / "v1.mp4", ns=(5, 5))
    assert [clip.state for clip in planned()[0]] == ["touched", "done"]
    (tmp_path / "data" / "v1.mp4").write_bytes(b"longer")
    (tmp_path / "data" / "v2.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nyes\n")
    found, folder = planned()
    assert found[0].reasons == ("the source is another: 2 bytes then, 6 now",)
    assert found[1].reasons == ("transcript: none then, v2.srt now",)
    (folder / "v2.h5").write_bytes(b"nonsense")
    (folder / "v1.h5").unlink()
    assert [clip.state for clip in planned()[0]] == ["never", "damaged"]
    (folder / ".failed").mkdir()
    (folder / ".failed" / "v1.json").write_text(json.dumps({"problem": "v1.mp4 is empty."}))
    assert (planned()[0][0].state, planned()[0][0].reasons) == ("failed", ("v1.mp4 is empty.",))


def test_a_changed_setting_is_named_and_what_stays_is_carried_over(planned: Any) -> None:
    found, _ = planned("stage1.text.alignment=interpolate", "stage1.text.batch_size=3")
    assert {clip.state for clip in found} == {"stale"}
    assert found[0].reasons == ("text: stage1.text.alignment: words then, interpolate now",)
    assert found[0].kept == ("visual", "audio")
    lines = "\n".join(due_in_words("features/x", found))
    assert "2 of 2 stale" in lines
    assert "v1, v2" in lines
    found, _ = planned("stage1.faces.min_score=0.7", "stage1.audio.chunk_s=5")
    assert found[0].reasons == (
        "visual: stage1.faces.min_score: 0.6 then, 0.7 now",
        "audio: stage1.audio.chunk_s: 30.0 then, 5.0 now",
    )


def test_face_tracks_are_looked_up_in_their_index(planned: Any, tmp_path: Path) -> None:
    from stage1_embeddings.plan import FeaturePlan

    settings = load_recipe("demo", ("stage1.faces.policy=all",)).stage1
    plan = FeaturePlan(settings, tmp_path / "cache")
    plan.folder.mkdir()
    (plan.folder / "v1.tracks.json").write_text(json.dumps({"clips": ["v1.face0", "v1.face1"]}))
    found, _ = planned("stage1.faces.policy=all")
    assert found[0].reasons == ("2 of 2 face tracks are missing: v1.face0, v1.face1",)
    assert found[1].reasons == ("visual: stage1.faces.policy: largest then, all now",)


def test_settings_of_another_version_are_named() -> None:
    section = load_recipe("demo").stage1.faces
    stored = section.model_dump(mode="json") | {"gone": 1, "keep_crops": True}
    del stored["crop_px"]
    assert differences(stored, section, "s") == [
        "s.crop_px: no such setting then, 112 now",
        "s.gone: 1 then, no such setting now",
    ]


def test_status_makes_no_miniature_encoder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "v.mp4").touch()
    cache = tmp_path / "cache"
    (cache / "features").mkdir(parents=True)
    result = call(cache, "status", "--recipe", "demo", "--data", str(tmp_path / "data"))
    assert (result.exit_code, "1 of 1 never computed" in result.stdout) == (0, True)
    assert "isn't rendered yet" in call(cache, "status", "--recipe", "demo").stdout
    assert [path.name for path in cache.iterdir()] == ["features"]
    assert call(cache, "status", "--data", "x").exit_code == 2
