"""Of finished clips a look believes exactly those of which neither the file nor an input has changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.scaling_set import Places, plan_of
from common.manifest import Clip
from stage1_embeddings.cache_index import index, inputs
from stage1_embeddings.cache_index.inputs import seen
from stage1_embeddings.cache_index.record import Record
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.transcript import SUFFIXES
from stage1_embeddings.unchanged import unchanged, unchanged_lines

#: More than a folder is asked for before it is listed.
CLIPS = 150


def put(path: Path, content: bytes = b"x", age_s: float = 3600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


def clip_of(root: Path, number: int) -> Clip:
    """In one of two folders, the name with what names may hold; every third with labels, every fourth told apart."""
    name = f"{number} it's Grüße"
    labels = root / "labels" / f"{name}.txt" if number % 3 == 0 else None
    return Clip(
        name, root / f"folder {number % 2}" / f"{name}.mp4", "train", labels, side="left" if number % 4 else None
    )


@pytest.fixture(params=["listed", "one by one", "bits for few", "blocks of 7"])
def done(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[FeaturePlan, list[Clip]]:
    """A plan and its clips, all finished."""
    if request.param == "one by one":
        monkeypatch.setattr(inputs, "_WORTH_LISTING", CLIPS + 1)
    elif request.param == "bits for few":
        monkeypatch.setattr(inputs, "_BITS", 32)
    elif request.param == "blocks of 7":
        monkeypatch.setattr(index.blocks_of, "__defaults__", (7,))
    plan, clips = plan_of(Places(tmp_path)), [clip_of(tmp_path, number) for number in range(CLIPS)]
    plan.index.keep()
    for number, clip in enumerate(clips):
        put(clip.source)
        if clip.annotation is not None:
            put(clip.annotation)
        if number % 5 == 0:
            put(clip.source.with_suffix(SUFFIXES[number // 5 % len(SUFFIXES)]))
        put(plan.path(clip), b"a clip")
        where = plan.index.identity(clip.id)
        assert where is not None
        plan.index.add(Record(*where, seen(clip), clip.id, 25, True, 25.0, "content", "pictured", ""))
    plan.index.close()
    return plan, clips


def test_what_is_finished_is_believed_in_whatever_order(done: tuple[FeaturePlan, list[Clip]]) -> None:
    plan, clips = done
    for some in (clips, clips[::-1], clips[::7]):
        assert [clip for clip, line in unchanged_lines(plan, some) if line is None] == []
        assert all(record and record.name == clip.id for clip, record in unchanged(plan, some))


def same_age(path: Path, content: bytes) -> None:
    """Another file in its place, as long and as old."""
    before = path.stat()
    put(path.with_name("new"), content)
    os.utime(path.with_name("new"), ns=(before.st_atime_ns, before.st_mtime_ns))
    path.with_name("new").rename(path)


CHANGES: dict[str, Callable[[FeaturePlan, Clip], object]] = {
    "file gone": lambda plan, clip: plan.path(clip).unlink(),
    "file replaced": lambda plan, clip: same_age(plan.path(clip), b"a clIp"),
    "file longer": lambda plan, clip: put(plan.path(clip), b"a clip of more"),
    "file touched": lambda plan, clip: os.utime(plan.path(clip)),
    "video gone": lambda _, clip: clip.source.unlink(),
    "video longer": lambda _, clip: put(clip.source, b"longer"),
    "video touched": lambda _, clip: os.utime(clip.source, (time.time() - 60, time.time() - 60)),
    "video just written": lambda _, clip: os.utime(clip.source),
    "video a folder": lambda _, clip: (clip.source.unlink(), clip.source.mkdir()),
    "labels gone": lambda _, clip: clip.annotation and clip.annotation.unlink(),
    "labels longer": lambda _, clip: clip.annotation and put(clip.annotation, b"more"),
    "labels touched": lambda _, clip: clip.annotation and os.utime(clip.annotation, (1, 1)),
    "transcript gone": lambda _, clip: [clip.source.with_suffix(suffix).unlink(True) for suffix in SUFFIXES],
    "transcript longer": lambda _, clip: [
        put(path, b"more") for suffix in SUFFIXES if (path := clip.source.with_suffix(suffix)).exists()
    ],
    **{
        f"new {suffix}": lambda _, clip, suffix=suffix: put(clip.source.with_suffix(suffix), b"new")
        for suffix in SUFFIXES
    },
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_noticed_and_no_other_clip_is_done_again(
    done: tuple[FeaturePlan, list[Clip]], change: str
) -> None:
    plan, clips = done
    changed = [clips[number] for number in (0, 15, 90, CLIPS - 15)]  # each has labels and a transcript
    for clip in changed:
        CHANGES[change](plan, clip)
    assert [clip for clip, line in unchanged_lines(plan, clips) if line is None] == changed


def test_another_person_and_other_labels_are_changes(done: tuple[FeaturePlan, list[Clip]]) -> None:
    plan, clips = done
    (one, two, three) = clips[2], clips[4], clips[6]
    others = [
        Clip(one.id, one.source, "train", side="right"),
        Clip(two.id, two.source, "train", put(two.source.with_name("labels of two")), side=two.side),
        Clip(three.id, three.source, "train", None, side=three.side),
    ]
    assert [clip for clip, line in unchanged_lines(plan, others) if line is None] == others
