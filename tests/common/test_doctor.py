"""The doctor: what it finds missing, what it says about it, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from common.doctor import machine, networks, room
from common.doctor.check import Check, looked_at
from common.doctor.cli import main
from common.doctor.found import DataSize, Found
from common.doctor.screen import screen
from common.errors import DataError
from common.recipe import load_recipe

Usage = namedtuple("Usage", "total used free")


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["--no-self-test", "--device", "cpu", *arguments])


def only(checks: list[Check], name: str) -> Check:
    found = [check for check in checks if check.name == name]
    assert len(found) == 1, found
    return found[0]


def test_runs_the_three_stages_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, scratch = tmp_path / "ü b'\"c", tmp_path / "scratch"
    for folder in (cache, scratch):
        folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    done = CliRunner().invoke(main, ["--cache", str(cache), "--device", "cpu", "--json"])
    answer = json.loads(done.output)
    steps = {check["name"]: check for check in answer["checks"] if check["section"] == "self-test"}
    assert list(steps) == ["clips", "imports", "stage 1", "stage 2", "stage 3"]
    assert {check["state"] for check in steps.values()} == {"ok"}, steps
    assert all(steps[f"stage {number}"]["facts"]["seconds"] > 0 for number in (1, 2, 3))
    assert not any(check["state"] in ("missing", "failed") for check in answer["checks"]), done.output
    assert (done.exit_code, answer["exit_code"]) == (0, 0)
    assert list(cache.iterdir()) == [] and list(scratch.iterdir()) == []


def test_every_fault_of_a_recipe_is_shown_and_the_exit_code_is_2() -> None:
    done = doctor("--set", "stage1.visual.precision=float17", "--set", "no.such=1")
    assert done.exit_code == 2
    assert "stage1.visual.precision: Input should be 'float32'" in done.output
    assert "no: isn't a setting" in done.output


def test_data_that_isnt_there_is_wrong_usage(tmp_path: Path) -> None:
    done = doctor("--data", str(tmp_path / "none"))
    assert done.exit_code == 2
    assert "There is nothing at" in done.output


def test_what_is_missing_is_named_with_one_command_that_fetches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No file of a model is there, and nothing may be asked of a network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    done = doctor("--recipe", "maven", "--set", "stage2.window.frames=64", "--set", "stage2.window.hop_frames=32")
    assert done.exit_code == 1
    for name in ("visual", "audio", "text", "BEiT", "faces", "speech"):
        assert f"  MISSING  {name} " in done.output, done.output
    assert "6 things in the way of a run of recipe maven:" in done.output
    command = "-m common.doctor --recipe maven --set stage2.window.frames=64 --set stage2.window.hop_frames=32 --fetch"
    assert done.output.count(command) == 1
    assert (
        max(len(line) for line in done.output.splitlines() if command not in line and str(tmp_path) not in line) <= 100
    )


def test_device_and_precision_that_arent_there_stop_a_run() -> None:
    done = CliRunner().invoke(main, ["--no-self-test", "--device", "mps"])
    assert done.exit_code == 1 and "FAILED   device     DEVICE=mps isn't available" in done.output
    checks = list(networks.precisions("cpu", ["float16", "float32"]))
    assert [check.state for check in checks] == ["failed"] and "float16 doesn't run on a CPU" in checks[0].text


def test_emulated_bfloat16_is_a_warning_where_the_recipe_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.device.has_bfloat16", lambda kind: False)
    assert [check.state for check in networks.precisions("cpu", ["float32"])] == ["ok"]
    assert [check.state for check in networks.precisions("cpu", ["bfloat16", "float32"])] == ["warning"]


def test_packages_are_compared_with_their_pins(tmp_path: Path) -> None:
    pins = tmp_path / "requirements.txt"
    pins.write_text(
        "# comment\n-i https://example.org\nclick==0.0.1  # other\nno-such-package-here==1.0\n"
        "numpy>1\nno-such-either==2; sys_platform == 'none'\n"
    )
    missing, other = machine.packages(pins)
    assert (missing.state, missing.text) == ("missing", "1 of 3 missing: no-such-package-here==1.0")
    assert other.state == "warning" and other.text.startswith("1 of 3 other than pinned: click ")
    assert missing.command.endswith(f"-m pip install -r {pins}")
    pins.write_text("numpy>1\n")
    assert [check.state for check in machine.packages(pins)] == ["ok"]


def test_a_local_version_is_the_pinned_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0+cpu")
    pins = tmp_path / "requirements.txt"
    pins.write_text("torch==2.13.0\n")
    assert [check.state for check in machine.packages(pins)] == ["ok"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_open_files_are_compared_with_the_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, 1024))
    check = only(list(machine.limits(700, 0)), "limits")
    assert check.state == "failed" and int(check.command.removeprefix("ulimit -Hn ")) >= 700
    assert only(list(machine.limits(500, 0)), "limits").state == "ok"
    assert only(list(machine.limits(None, 0)), "limits").state == "ok"


def test_room_is_what_the_frames_will_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = DataSize(clips=10, trained=8, frames=1_000_000, hours=9.3)
    recipe, found = load_recipe("maven"), Found(size=size, widths={"visual": 1024, "audio": 768, "text": 768})
    each = room.frame_bytes(recipe, found)
    assert 2560 * 2 + 768 * 4 < each < 2560 * 2 + 768 * 4 + 200

    def state(free: float) -> str:
        monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(0, 0, int(free)))
        return only(list(room.room(recipe, tmp_path, found)), "room").state

    assert state(1.2 * each * 1e6) == "ok"
    assert state(0.5 * each * 1e6) == "missing"
    there = tmp_path / "features" / "f" / "clip.h5"
    there.parent.mkdir(parents=True)
    there.touch()
    os.truncate(there, int(each * 1e6))  # a hole: it takes no room here
    assert state(0.5 * each * 1e6) == "warning"


def test_data_are_counted_by_their_headers(corpus: Path, tmp_path: Path) -> None:
    known = Found()
    check = only(list(room.survey(corpus, tmp_path, known)), "data")
    assert check.state == "ok"
    rows = sum(len(path.read_text().splitlines()) - 1 for path in corpus.rglob("*_Set/*.txt"))
    assert known.size is not None
    assert (known.size.clips, known.size.frames, known.size.trained) == (6, rows, 5)
    assert known.size.hours == pytest.approx(6 / 3600, rel=0.2)


def test_videos_that_cant_be_opened_are_a_warning(corpus: Path, tmp_path: Path) -> None:
    shutil.copy(next(corpus.rglob("*.mp4")), tmp_path / "good.mp4")
    (tmp_path / "bäd's.mp4").write_bytes(b"no video")
    check = only(list(room.survey(tmp_path, tmp_path / "scratch", Found())), "data")
    assert check.state == "warning" and "bäd's.mp4" in check.text and "check-data" in check.cure


def test_one_symptom_doesnt_hide_the_others() -> None:
    def fail(error: Exception) -> Callable[[], list[Check]]:
        def look() -> list[Check]:
            raise error

        return look

    for error, said in (
        (DataError("Problem.", "Cure."), "Problem."),
        (PermissionError(13, "Permission denied", "/some/file"), "/some/file: Permission denied."),
        (ImportError("libGL.so.1 is missing"), "libGL.so.1"),
        (TypeError("odd"), "TypeError: odd"),
    ):
        (check,) = looked_at("machine", "thing", fail(error))
        assert check.state == "failed" and said in check.text and check.cure


def test_cures_are_numbered_once_and_commands_stay_whole() -> None:
    command = "python " + "very " * 40 + "long"
    checks = [
        Check("machine", "one", "warning", "doubt", "See to it."),
        Check("machine", "two", "missing", "gone", "Fetch it:", command),
        Check("models", "three", "missing", "gone too", "Fetch it:", command),
    ]
    shown = screen(checks, "recipe x")
    assert shown.count("Fetch it:") == 1 and f"          {command}\n" in shown
    assert "gone (1)" in shown and "gone too (1)" in shown and "doubt (2)" in shown
    assert "2 things in the way of a run of recipe x:" in shown and "1 warning:" in shown
    assert "Nothing is in the way" in screen([Check("machine", "one", "ok", "fine")], "recipe x")
