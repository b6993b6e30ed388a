"""What became of each clip, also where a writer was killed, or where several machines write."""

from __future__ import annotations

import json
from pathlib import Path

from common.clip_log import ClipLog, log_files


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    log = ClipLog(tmp_path / "features")
    assert list(log) == []
    for clip in ("ö'", "b"):
        log.add(clip, "done", how="x")
    assert [(line["clip"], line["outcome"], line["how"]) for line in log] == [("ö'", "done", "x"), ("b", "done", "x")]
    assert log_files(tmp_path / "features") == [log.path]


def test_a_torn_line_costs_that_line_alone(tmp_path: Path) -> None:
    log = ClipLog(tmp_path)
    for clip in "abc":
        log.add(clip, "done")
    whole = log.path.read_bytes()
    for cut in range(1, len(whole)):
        log.path.write_bytes(whole[:cut])
        before = [line["clip"] for line in log]
        log.add("d", "done")
        assert [line["clip"] for line in log] == [*before, "d"], whole[:cut]


def test_what_is_no_line_of_a_log_says_nothing(tmp_path: Path) -> None:
    log = ClipLog(tmp_path)
    log.path.write_bytes(b'\xff\xfe\n[1]\n"x"\n' + b"[" * 100_000 + b'\n\0\n{"clip": "a"}\n')
    assert list(log) == [{"clip": "a"}]


def test_every_machine_has_a_log_of_its_own_and_all_are_read(tmp_path: Path) -> None:
    log = ClipLog(tmp_path)
    log.add("own", "done")
    for name in ("log.jsonl", "log.node7-0a1b2c3d4e5f.jsonl"):
        (tmp_path / name).write_text(json.dumps({"clip": name}) + "\n")
    (tmp_path / "log.jsonl.bak").write_text(json.dumps({"clip": "no log"}))
    assert {line["clip"] for line in log} == {"own", "log.jsonl", "log.node7-0a1b2c3d4e5f.jsonl"}
    assert len(list(log.by_machine())) == 3
