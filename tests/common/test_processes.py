"""Who says and writes, what is refused, and how a launch ends; trainings together are in integration/."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner, Result
from small_fit import fitted
from torch.distributed import TCPStore
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from common import launch, processes
from common.command import StageGroup, say, shared
from common.device import torch_device
from common.errors import CacheError, UsageError
from common.training.parts import Part, emptied, part
from common.training.trainer import in_turn


@pytest.fixture
def of_three(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let this process pass for one of three, on a machine where a store listens."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for name, value in {"WORLD_SIZE": 3, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port}.items():
        monkeypatch.setenv(name, str(value))

    def become(rank: int) -> None:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("LOCAL_RANK", str(rank))

    become.store = store  # type: ignore[attr-defined]  # it listens as long as there is a name for it
    return become


@click.group(cls=StageGroup)
def group() -> None:
    pass


@shared
@group.command()
@click.argument("what")
def train(what: str) -> None:
    say("begun")
    if what == "fails":
        raise CacheError("There is no file.", "Make it.")
    if what == "lost":
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    if what == "bug":
        raise RuntimeError("a bug")


@group.command()
def score() -> None:
    say("scored")


def called(*words: str) -> Result:
    return CliRunner().invoke(group, words)


def test_the_first_process_speaks(of_three: Any) -> None:
    said = []
    for rank in range(3):
        of_three(rank)
        assert (processes.index(), processes.count(), processes.first()) == (rank, 3, rank == 0)
        said.append(called("train", "well").output)
    assert said == ["begun\n", "", ""]


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize(
    ("words", "sentence", "code"),
    [
        (("train", "fails"), "error: There is no file. Make it.", 1),
        (("train", "lost"), "error: Another process of this training ended.", 1),
        (("train", "--what"), "No such option", 2),
        (("score",), "error: score runs in one process, and 3 were started. Call it without torchrun", 2),
    ],
)
def test_one_process_says_what_went_wrong_and_all_end(
    of_three: Any, first: int, words: tuple[str, ...], sentence: str, code: int
) -> None:
    results = []
    for rank in sorted(range(3), key=lambda rank: rank != first):
        of_three(rank)
        results.append(called(*words))
    assert [result.exit_code for result in results] == [code] * 3
    assert [sentence in result.output for result in results] == [True, False, False]


def test_a_bug_is_shown_by_each(of_three: Any) -> None:
    of_three(1)
    with pytest.raises(RuntimeError, match="a bug"):
        CliRunner().invoke(group, ["train", "bug"], catch_exceptions=False)


def test_each_says_it_where_they_can_not_agree(of_three: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_PORT", str(closed.getsockname()[1]))
    monkeypatch.setattr(processes, "_ASK", processes.timedelta(seconds=0.1))
    of_three(2)
    assert processes.says_the_error()
    monkeypatch.delenv("MASTER_PORT")
    assert processes.says_the_error()


def test_each_process_has_a_gpu_of_its_own(of_three: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    of_three(1)
    with pytest.raises(UsageError, match="DEVICE=cuda:1 is one GPU, for 3 processes. Set DEVICE=cuda"):
        torch_device("cuda:1")
    assert processes.own_gpu(2) == 1
    of_three(2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(UsageError, match="3 processes were started on this machine, and it has 2 GPUs"):
        processes.own_gpu(2)
    monkeypatch.setattr("common.device.torch_device", lambda name: torch.device("mps"))
    with pytest.raises(UsageError, match="DEVICE=mps: several processes train"), processes.together("mps"):
        pass


def test_more_processes_than_items_in_a_batch(of_three: Any, tmp_path: Path) -> None:
    of_three(0)
    with pytest.raises(UsageError, match="3 processes share batches of 2: some would have nothing to do"):
        fitted(tmp_path, [0, 1, 2], batch_size=2)


def test_a_batch_is_dealt_out_evenly_and_a_copy_never_counts() -> None:
    assert [part([5, 3, 8, 1, 9], rank, 2) for rank in (0, 1)] == [Part([5, 3, 8], False), Part([1, 9], False)]
    assert [part([5, 3], rank, 3) for rank in range(3)] == [Part([5], False), Part([3], False), Part([5], True)]
    batch = {"visual": torch.ones(1, 4, 3), "present_visual": torch.ones(1, 4, dtype=torch.bool)}
    for labels in (torch.ones(1, 4, 2), torch.ones(1, 4, dtype=torch.int64)):
        found = emptied({**batch, "labels": labels})
        assert found["visual"].all() and not found["present_visual"].any()
        assert (found["labels"] == -1).all() or found["labels"].isnan().all()


def test_what_was_dealt_out_in_turn_comes_together_in_order() -> None:
    for world in (1, 2, 3, 8):
        assert in_turn([list(range(rank, 7, world)) for rank in range(world)]) == list(range(7))


@pytest.mark.parametrize(("exitcode", "code", "said"), [(2, 2, ""), (-9, 1, "ended by signal 9")])
def test_a_launch_ends_with_the_code_of_what_failed_first(
    monkeypatch: pytest.MonkeyPatch, exitcode: int, code: int, said: str
) -> None:
    asked = []

    def fails(arguments: Any) -> None:
        asked.append(arguments)
        failures = {
            rank: ProcessFailure(local_rank=rank, pid=1, exitcode=exitcode if rank else 1, error_file="")
            for rank in (0, 1)
        }
        failures[1].timestamp, failures[0].timestamp = 1, 2
        raise ChildFailedError("name", failures)

    monkeypatch.setattr("torch.distributed.run.run", fails)
    result = CliRunner().invoke(launch.main, ["2", "stage2_beit", "train", "--run", "a b", "--set", "x=1"])
    assert result.exit_code == code and said in result.output
    [arguments] = asked
    assert arguments.module and arguments.standalone and arguments.nproc_per_node == "2"
    words = [arguments.training_script, *arguments.training_script_args]
    assert words == ["stage2_beit", "train", "--run", "a b", "--set", "x=1"]


def test_a_launch_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: Any) -> None:
        raise SignalException("stopped", 2)

    monkeypatch.setattr("torch.distributed.run.run", interrupted)
    assert CliRunner().invoke(launch.main, ["2", "stage2_beit", "train"]).exit_code == 130
