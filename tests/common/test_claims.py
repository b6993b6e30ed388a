"""Claims by rename alone: one wins, the dead hold nothing, the living keep what they have, whatever the clocks say."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common import claims
from common.claims import STALE_S, Claim, is_held, one_at_a_time, sweep
from common.owner import Owner, read_owner, this_process

proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def put(path: Path, owner: Owner | str, token: str = "0a1b2c3d") -> Path:
    """A claim that somebody else has made."""
    path.mkdir(parents=True)
    mark = path / f"{owner}-{token}"
    mark.touch()
    return mark


def elsewhere(**other: str) -> Owner:
    return replace(this_process(), **(other or {"host": "node7"}))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".claims" / "Gespräch 'eins'.claim"


@pytest.fixture
def pass_s(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass on this machine's monotonic clock."""
    now = [1000.0]
    monkeypatch.setattr(claims.time, "monotonic", lambda: now[0])

    def ahead(seconds: float) -> None:
        now[0] += seconds

    return ahead


def test_an_owner_is_read_as_it_is_written() -> None:
    own = this_process()
    assert read_owner(str(own)) == own and own.life == "alive"
    bare = Owner("a-host.of-many", "", "", 7, "")
    assert read_owner(str(bare)) == bare
    for text in ("", "host-1", "host-zz-1-2-3", f"{own}-", "../x-0a-1-2-3", "host-0a-1-0-3"):
        assert read_owner(text) is None, text


@proc
def test_a_process_is_dead_when_it_ended_even_if_nobody_waited_for_it_or_its_number_is_another() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    owner = replace(this_process(), process=child.pid, started="")
    assert owner.life == "alive"
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert owner.life == "dead", "a zombie"
    child.wait()
    assert owner.life == "dead"
    assert replace(this_process(), started="1").life == "dead", "the number was given out again"


@pytest.mark.parametrize("other", [{"host": "node7"}, {"boot": "0a1b2c3d4e5f"}, {"space": "1"}], ids=str)
def test_what_is_of_another_machine_boot_or_container_is_not_judged_by_its_number(other: dict[str, str]) -> None:
    assert elsewhere(**other).life == "elsewhere"


def test_one_has_it_until_it_is_given_back(path: Path) -> None:
    one, other = Claim(path), Claim(path)
    assert one.take() and not other.take() and not one.take() and is_held(path)
    other.release()
    assert not other.take()
    one.release()
    one.release()
    assert other.take() and not one.take()
    other.release()
    assert not is_held(path) and list(path.parent.iterdir()) == []


def test_of_many_that_want_it_at_once_one_has_it_also_after_a_dead_one(path: Path) -> None:
    dead = replace(this_process(), process=999999999)
    with ThreadPoolExecutor(8) as pool:
        for turn in range(40):
            if turn % 2:
                put(path, dead)
            wanting = [Claim(path) for _ in range(8)]
            begin = threading.Barrier(8)

            def take(claim: Claim, begin: threading.Barrier = begin) -> bool:
                begin.wait()
                return claim.take()

            had = list(pool.map(take, wanting))
            assert sum(had) == 1, had
            wanting[had.index(True)].release()
    assert list(path.parent.iterdir()) == []


def _count(path: Path, turns: int) -> None:
    for _ in range(turns):
        with one_at_a_time(path):
            path.write_text(str(int(path.read_text()) + 1))


def test_processes_and_threads_go_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a 'name'"
    path.write_text("0")
    fresh = multiprocessing.get_context("spawn")
    others = [fresh.Process(target=_count, args=(path, 5)) for _ in range(2)]
    for other in others:
        other.start()
    monkeypatch.setattr(claims, "_NAP_S", 0.001)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: _count(path, 5), range(2)))
    for other in others:
        other.join()
    assert path.read_text() == "20" and list(tmp_path.iterdir()) == [path]


def test_a_claim_of_another_machine_holds_as_long_as_it_is_touched(path: Path, pass_s: Callable[[float], None]) -> None:
    mark, claim = put(path, elsewhere()), Claim(path)
    for time_s in (0.0, 4e9, 1.0, -1.0):  # its clock jumps: all that counts is that it moves
        os.utime(mark, (time_s, time_s))
        assert not claim.take()
        pass_s(STALE_S - 1)
        assert not claim.take()
    assert is_held(path)
    pass_s(2)
    assert claim.take(), "untouched for too long"
    assert not mark.exists() and is_held(path)


def test_a_first_look_never_finds_a_claim_too_old(path: Path, pass_s: Callable[[float], None]) -> None:
    mark = put(path, elsewhere())
    os.utime(mark, (0, 0))
    pass_s(1e9)
    assert not Claim(path).take()


def test_another_owner_is_watched_anew(path: Path, pass_s: Callable[[float], None]) -> None:
    mark, claim = put(path, elsewhere()), Claim(path)
    os.utime(mark, (5, 5))
    assert not claim.take()
    pass_s(STALE_S + 1)
    mark.rename(mark.with_name(f"{elsewhere(host='node8')}-ffffffff"))
    assert not claim.take()


def test_this_machines_own_is_alive_however_long_it_is_untouched(path: Path, pass_s: Callable[[float], None]) -> None:
    put(path, this_process())
    claim = Claim(path)
    assert not claim.take()
    pass_s(STALE_S * 10)
    assert not claim.take()


def test_what_names_no_owner_goes_like_one_of_another_machine(path: Path, pass_s: Callable[[float], None]) -> None:
    put(path, "nobody")
    claim = Claim(path)
    assert not claim.take() and is_held(path)
    pass_s(STALE_S + 1)
    assert claim.take()


def test_an_empty_claim_is_nobodys(path: Path) -> None:
    path.mkdir(parents=True)
    assert not is_held(path) and Claim(path).take()


def test_two_that_find_the_same_dead_one_dont_take_over_from_each_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, replace(this_process(), process=999999999))
    slow, quick = Claim(path), Claim(path)
    real = Claim._is_over

    def judged(self: Claim, mark: Path) -> bool:
        over = real(self, mark)
        if self is slow:
            assert quick.take()
        return over

    monkeypatch.setattr(Claim, "_is_over", judged)
    assert not slow.take()
    assert is_held(path)
    quick.release()


def test_a_holder_that_was_taken_over_leaves_the_others_claim(path: Path) -> None:
    one = Claim(path)
    assert one.take()
    (mark,) = path.iterdir()
    mark.rename(mark.with_name(f"{elsewhere()}-ffffffff"))
    one.release()
    assert is_held(path)


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EIO])
def test_an_answer_that_gets_lost_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    real = Path.rename

    def lost(made: Path, target: Path) -> Any:
        real(made, target)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "rename", lost)
    assert Claim(path).take() and is_held(path)


@pytest.mark.parametrize("call", ["mkdir", "touch", "rename"])
def test_a_disk_that_refuses_is_said(path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path.parent.mkdir()

    def full(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        real = Path.mkdir
        patched.setattr(Path, call, full)
        if call == "mkdir":
            patched.setattr(Path, call, lambda self, *a, **n: real(self, *a, **n) if self == path.parent else full())
        Claim(path).take()
    assert list(path.parent.iterdir()) == []
    assert Claim(path).take()


def test_the_dead_are_swept_and_the_living_are_not(path: Path) -> None:
    put(path, replace(this_process(), process=999999999))
    sweep(path)
    assert not path.exists()
    for owner in (this_process(), elsewhere()):
        mark = put(path, owner)
        sweep(path)
        assert mark.exists()
        mark.unlink()
        path.rmdir()


def test_what_is_held_is_touched_and_what_was_given_back_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BEAT_S", 0.001)
    pulse = claims._Pulse()
    kept, gone = tmp_path / "kept", tmp_path / "gone"
    for mark in (kept, gone):
        mark.touch()
        os.utime(mark, (5, 5))
        pulse.keep(mark)
    pulse.drop(gone)
    os.utime(gone, (5, 5))
    pulse.keep(tmp_path / "taken over")
    until_s = time.monotonic() + 60
    while kept.stat().st_mtime == 5 and time.monotonic() < until_s:
        time.sleep(0.001)
    assert kept.stat().st_mtime > 5 and gone.stat().st_mtime == 5
    assert not (tmp_path / "taken over").exists()


@proc
def test_a_forked_process_keeps_no_claim_of_its_parent_alive(path: Path) -> None:
    assert Claim(path).take()
    child = os.fork()
    if child == 0:
        os._exit(len(claims._PULSE._marks) or (claims._PULSE._thread is not None))
    assert os.waitpid(child, 0)[1] == 0
