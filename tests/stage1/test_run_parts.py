"""The parts of a run that decide what is done, by whom, and in which batches."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from common.errors import UsageError
from common.manifest import Clip, Failure
from stage1_embeddings.batches import Batches, BatchFailed
from stage1_embeddings.claims import Claims
from stage1_embeddings.progress import Progress
from stage1_embeddings.quarantine import Quarantine
from stage1_embeddings.selection import Selection, read_shard


class Doubled:
    """An encoder whose feature is twice the first pixel; it remembers the sizes of its batches."""

    batch_size = 4

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        self.sizes.append(len(crops))
        return 2.0 * crops[:, 0, 0, :1].astype(np.float32)


def crops(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def test_batches_reach_across_clips_and_give_each_its_own_rows_in_order() -> None:
    encode = Doubled()
    batches = Batches(encode)
    got: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    for name, values in [("a", (1, 2, 3)), ("b", (10,) * 6), ("c", ()), ("a", (4,)), ("c", (7, 8))]:
        batches.add(crops(*values), lambda rows, name=name: got[name].extend(rows[:, 0].tolist()))
    assert encode.sizes == [4, 4, 4]
    batches.flush()
    batches.flush()
    assert encode.sizes == [4, 4, 4]
    assert got == {"a": [2, 4, 6, 8], "b": [20] * 6, "c": [14, 16]}


def test_what_is_left_over_waits_for_the_flush() -> None:
    encode, got = Doubled(), []
    batches = Batches(encode)
    batches.add(crops(1, 2, 3), got.append)
    assert got == []
    batches.flush()
    assert encode.sizes == [3] and got[0].tolist() == [[2], [4], [6]]


CLIPS = [Clip(name, Path(f"{name}.mp4"), "unsplit") for name in ("a1", "a2", "b1", "b2", "c")]


def names(clips: list[Clip]) -> str:
    return " ".join(clip.id for clip in clips)


def test_a_selection_takes_patterns_then_the_limit_then_the_shard() -> None:
    assert names(Selection().chosen(CLIPS)) == "a1 a2 b1 b2 c"
    assert names(Selection(only=("c", "a*")).chosen(CLIPS)) == "a1 a2 c"
    assert names(Selection(only=("?2",), limit=1).chosen(CLIPS)) == "a2"
    parts = [names(Selection(shard=(i, 3)).mine(CLIPS)) for i in (1, 2, 3)]
    assert sorted(" ".join(parts).split()) == ["a1", "a2", "b1", "b2", "c"]
    assert Selection().mine(CLIPS) == CLIPS


def test_a_pattern_that_fits_nothing_says_what_is_near() -> None:
    with pytest.raises(UsageError, match=r"'speaker_3' fits no clip.*Did you mean speaker_1"):
        Selection(only=("speaker_3",)).chosen([*CLIPS, Clip("speaker_1", Path("x"), "unsplit")])
    with pytest.raises(UsageError, match=r"There are: a1, a2, b1, \.\.\.\."):
        Selection(only=("zzzzzz",)).chosen(CLIPS)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "-1/2", "1/2/3"])
def test_a_shard_is_one_of_n(text: str) -> None:
    with pytest.raises(UsageError, match="isn't i/n"):
        read_shard(text)
    assert read_shard("2/3") == (2, 3)


def _hold(folder: Path, ready: object, go: object) -> None:
    claims = Claims(folder)
    assert claims.take("talk")
    ready.set()  # type: ignore[attr-defined]
    go.wait(30)  # type: ignore[attr-defined]


def test_a_claim_holds_between_processes_and_ends_with_its_process(tmp_path: Path) -> None:
    fresh = multiprocessing.get_context("spawn")
    ready, go = fresh.Event(), fresh.Event()
    other = fresh.Process(target=_hold, args=(tmp_path, ready, go))
    other.start()
    assert ready.wait(30)
    claims = Claims(tmp_path)
    assert not claims.take("talk") and claims.take("Gespräch 'eins'")
    other.kill()
    other.join()
    assert claims.take("talk"), "a dead process holds nothing"
    claims.release("talk")
    claims.release("talk")
    assert claims.take("talk")
    claims.release_all()


def test_a_quarantine_ends_when_the_clip_changes(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    failure = Failure("clip ö", "It broke.", "Mend it.")
    assert quarantine.find("clip ö", "content") is None
    quarantine.put(failure, "content")
    assert quarantine.find("clip ö", "content") == failure
    assert quarantine.find("clip ö", "other") is None
    quarantine.release("clip ö")
    quarantine.release("clip ö")
    assert quarantine.find("clip ö", "content") is None
    (tmp_path / ".failed" / "clip ö.json").write_text("{")
    assert quarantine.find("clip ö", "content") is None


def test_progress_is_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    progress = Progress(lines.append, 3, terminal=False)
    progress.frames("a", 64)
    progress.clip("a: done")
    progress.clip("", quiet=True)
    monkeypatch.setattr("stage1_embeddings.progress._LINE_EVERY_S", 0.0)
    progress.frames("b", 36)
    progress.clip("b: done")
    progress.close()
    assert lines[0] == "[1/3] a: done" and lines[2] == "[3/3] b: done"
    assert lines[1].startswith("... b: 100 frames so far")


def test_progress_is_a_bar_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    progress = Progress(print, 2, terminal=True)
    progress.frames("a", 64)
    progress.clip("a: done", quiet=True)
    progress.clip("b: FAILED: no frame")
    progress.close()
    out, err = capfd.readouterr()
    assert "a: done" not in out and "b: FAILED" in out
    assert "0/2" in err


def test_a_batch_that_fails_names_all_whose_crops_were_in_it() -> None:
    class Failing(Doubled):
        def __call__(self, crops: np.ndarray) -> np.ndarray:
            if len(self.sizes) == 1:
                self.sizes.append(0)
                raise RuntimeError("the device is gone")
            return super().__call__(crops)

    one, other, third = [], [], []
    batches = Batches(Failing())
    batches.add(crops(1, 2, 3, 4, 5), one.append)
    with pytest.raises(BatchFailed) as failed:
        batches.add(crops(6, 7, 8, 9), other.append)
    assert failed.value.delivers == [one.append, other.append] and "device is gone" in str(failed.value.__cause__)
    batches.add(crops(1, 2, 3), third.append)
    batches.flush()
    assert [rows.tolist() for rows in other] == [[[18]]] and len(third) == 1
