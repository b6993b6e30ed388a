"""The doctor's look at folders, and at a child that dies, hangs or fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.doctor import places, selftest
from common.doctor.check import Check


def look(folder: Path, name: str = "cache") -> list[Check]:
    return list(places.place(name, folder))


def test_a_folder_that_isnt_there_is_tried_where_it_would_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "ü b'\"c" / "cache"
    (check,) = look(folder)
    assert check.state == "ok" and "(would be made)" in check.text and check.facts["exists"] is False
    assert list(tmp_path.iterdir()) == []  # and isn't made


def test_a_file_in_its_place_stops_a_run(tmp_path: Path) -> None:
    file = tmp_path / "cache"
    file.touch()
    for folder in (file, file / "below"):
        (check,) = look(folder)
        assert check.state == "failed" and f"{file} is a file, not a folder" in check.text and "--cache" in check.cure
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    assert "link is a link to nothing" in look(link / "cache")[0].text


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_folder_nobody_may_write_to_stops_a_run() -> None:
    (check,) = look(Path("/proc/maven-cache"))
    assert check.state == "failed" and "can't make a folder in /proc" in check.text and "ls -ld" in check.cure


def test_each_step_is_named_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        (check,) = look(tmp_path)
        assert "can't write, flush and rename a file" in check.text and "No space left" in check.text
    with monkeypatch.context() as patched:
        patched.setattr("h5py.File", full)
        (check,) = look(tmp_path)
        assert "can't write HDF5" in check.text
    with monkeypatch.context() as patched:
        patched.setattr("numpy.memmap", full)
        assert "can't map a file into memory" in look(tmp_path)[0].text
    assert list(tmp_path.iterdir()) == []


def test_claims_that_exclude_nobody_stop_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(made: Path, path: Path) -> None:
        path.mkdir(exist_ok=True)
        for file in made.iterdir():
            (path / file.name).touch()

    monkeypatch.setattr("common.claims._marks", lambda path: [])
    monkeypatch.setattr(Path, "rename", moved)
    (check,) = look(tmp_path)
    assert "two claims are granted at once" in check.text and "a local disk, NFS or Lustre" in check.cure


def test_a_clock_that_differs_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    now = time.time
    monkeypatch.setattr("time.time", lambda: now() - 3600)
    found = {check.state: check.text for check in look(tmp_path, "runs")}
    assert "+3600 s from this machine's clock" in found["warning"] and "writable" in found["ok"]


def test_the_kind_of_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    space = str(tmp_path.resolve()).replace(" ", "\\040") + "/a\\040b"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"2 1 0:50 / {space} rw,relatime shared:1 - nfs4 server:/x rw\n"
        "3 1 0:51 / /elsewhere rw - tmpfs tmpfs rw\n"
    )
    below = tmp_path / "a b" / "cache"
    below.mkdir(parents=True)
    assert places.file_system(below, mounts) == "nfs4"
    assert places.file_system(tmp_path, mounts) == "ext4"
    assert places.file_system(tmp_path, tmp_path / "none") == ""


def test_a_network_mount_and_one_in_memory_are_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, name, states in (
        ("nfs4", "cache", ["ok", "warning"]),
        ("tmpfs", "cache", ["ok", "warning"]),
        ("tmpfs", "temporary", ["ok"]),
        ("xfs", "cache", ["ok"]),
    ):
        monkeypatch.setattr(places, "file_system", lambda folder, kind=kind: kind)
        assert [check.state for check in look(tmp_path, name)] == states


def child(script: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    lines = f"import json, os, signal, sys, time\ndef tell(**v): print(json.dumps(v), flush=True)\n{script}"
    return subprocess.Popen([sys.executable, "-c", lines], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_a_child_that_dies_is_said_with_what_it_was_at() -> None:
    found = json.dumps(Check("computing", "torch", "ok", "2").as_json())
    dying = child(
        f"tell(begin='torch'); tell(check={found}); tell(begin='device'); os.kill(os.getpid(), signal.SIGSEGV)"
    )
    first, last = selftest.result(dying)
    assert (first.name, first.state) == ("torch", "ok")
    assert (last.section, last.name, last.state) == ("computing", "device", "failed") and "SIGSEGV" in last.text


def test_a_child_that_cant_start_shows_its_last_word() -> None:
    (check,) = selftest.result(child("raise RuntimeError('no such thing')"))
    assert check.state == "failed" and "exit code 1" in check.text and "no such thing" in check.text


def test_a_child_that_hangs_is_stopped() -> None:
    hanging = child("tell(begin='device'); time.sleep(600)")
    (check,) = selftest.result(hanging, patience_s=1.0)
    assert check.state == "failed" and "hung" in check.text and hanging.poll() is not None


def test_a_stage_that_fails_is_named_with_its_message() -> None:
    told = (
        "print('a library talks'); tell(imports=1.0)\n"
        "tell(begin='stage 1'); tell(step='stage 1', seconds=1.5, code=0, tail=[])\n"
        "tell(begin='stage 2'); tell(step='stage 2', seconds=0.5, code=1, tail=['epoch', 'error: full. Cure.', 'x'])\n"
        "tell(end=True)"
    )
    imports, one, two = selftest.result(child(told))
    assert (imports.name, one.state, two.state) == ("imports", "ok", "failed")
    assert one.facts["seconds"] == 1.5 and two.text == "error: full. Cure" and two.facts["said"][0] == "epoch"


def test_the_real_child_names_the_stage_that_fails(tmp_path: Path) -> None:
    from common.recipe import load_recipe

    working = selftest.start(stages=True, fetching=False)
    selftest.ask(working, load_recipe("demo"), "cpu", tmp_path, fetching=False)
    corpus = tmp_path / "corpus"
    corpus.write_text("no clips here")
    assert working.stdin is not None
    working.stdin.write("go\n")
    working.stdin.flush()
    failed = [check for check in selftest.result(working) if check.stops]
    assert [(check.section, check.name) for check in failed] == [("self-test", "stage 1")]
    assert "can't be read as a video" in failed[0].text
