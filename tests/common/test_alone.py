"""One process at a part of a run; and what ends a command from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from common.alone import alone
from common.command import StageGroup
from common.owner import this_process


def test_a_second_process_waits_and_says_so(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from common.alone import alone\n"
        "with alone(Path(sys.argv[1]), lambda text: print(text, flush=True)): print('in', flush=True)"
    )
    with alone(tmp_path / "fusion", print):
        other = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "fusion")], stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None and "Another process is making" in other.stdout.readline()
    assert other.communicate(timeout=60)[0] == "in\n"


def test_the_processes_of_one_training_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with alone(tmp_path / "fusion", said.append):
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        with alone(tmp_path / "fusion", said.append):
            assert not said


def test_halves_of_killed_processes_are_removed(tmp_path: Path) -> None:
    half = tmp_path / f".fusion.partial-{replace(this_process(), process=999999999)}"
    half.mkdir()
    with alone(tmp_path / "fusion", print):
        assert not half.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_command_with_a_sentence(number: signal.Signals, code: int) -> None:
    @click.group(cls=StageGroup)
    def group() -> None: ...

    @group.command()
    def wait() -> None:
        os.kill(os.getpid(), number)
        signal.pause()

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        result = CliRunner().invoke(group, ["wait"])
    finally:
        signal.signal(signal.SIGINT, before[1])
    assert (result.exit_code, "the same command goes on" in result.output) == (code, True)
    assert signal.getsignal(signal.SIGTERM) == before[0]


def test_memory_that_runs_out_is_said() -> None:
    @click.group(cls=StageGroup)
    def group() -> None: ...

    @group.command()
    def fill() -> None:
        raise MemoryError

    result = CliRunner().invoke(group, ["fill"])
    assert result.exit_code == 1 and "Memory ran out. Take fewer --workers" in result.output


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"), RuntimeError("can't start new thread")],
)
def test_memory_that_runs_out_ends_a_command_with_a_sentence(error: Exception) -> None:
    @click.group(cls=StageGroup)
    def group() -> None: ...

    @group.command()
    def work() -> None:
        raise error

    result = CliRunner().invoke(group, ["work"])
    assert result.exit_code == 1 and "error: Memory ran out. Take fewer --workers" in result.output
