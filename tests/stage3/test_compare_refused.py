"""What can't be compared: a sentence, and no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import CacheError, DataError, MavenError, UsageError
from common.files import write_json
from common.manifest import CachedClip, Manifest, made_of, read_manifest, write_manifest
from stage3_mlp.compare.runs import MAX_RUNS, read_runs, seeds_of
from tests.stage3.compared_runs import CLIPS, compared, made, moving
from tests.stage3.predicted import predicted


def spoilt(folder: Path, **changes: Any) -> Path:
    path = folder / "head" / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.mark.parametrize(
    ("second", "error", "match"),
    [
        (lambda p: made(p / "a"), UsageError, r"/a is named twice"),
        (lambda p: p / "none", CacheError, "Run none: There is no folder"),
        (lambda p: p, CacheError, "There is no trained run in"),
        (lambda p: (p / "x" / "checkpoints").mkdir(parents=True) or p / "x", CacheError, "Run x: It was stopped"),
        (lambda p: made(p / "x", labelled=False), DataError, "Run x: films & more has no labelled test or validation"),
        (lambda p: made(p / "x", split="validation"), DataError, "on the test split, x was .* validation split"),
        (lambda p: made(p / "x", classes=("joy", "anger")), DataError, "predicts valence and arousal, x .* joy, anger"),
        (lambda p: made(p / "x", protocol="published"), DataError, "honest protocol, x is split by the published"),
        (lambda p: made(p / "x", clips=(*CLIPS[1:], "<new>")), DataError, "only a has clip1; only x has <new>"),
        (lambda p: made(p / "x", clips=CLIPS[:1]), DataError, "6 and 1: only a has clip10, clip11, clip12 and 2 more"),
        (lambda p: spoilt(made(p / "x"), fingerprint="0"), CacheError, "Run x: The head in .* on other clips"),
        (lambda p: spoilt(made(p / "x"), recipe={"name": "old"}), CacheError, "trained by another version"),
        (lambda p: made(p / "a\nb"), UsageError, "can't be printed"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_a_sentence_and_no_file(
    tmp_path: Path, second: Callable[[Path], Path], error: type[MavenError], match: str
) -> None:
    first = made(tmp_path / "a")
    with pytest.raises(error, match=match):
        compared(tmp_path, first, second(tmp_path))
    assert not (tmp_path / "out").exists()


def test_the_number_of_runs_is_limited(tmp_path: Path) -> None:
    for number in (1, MAX_RUNS + 1):
        with pytest.raises(UsageError, match=rf"{number} run\(s\) can't be compared. Name 2 to {MAX_RUNS}"):
            read_runs([tmp_path / str(one) for one in range(number)])


def test_labels_that_changed_are_named(tmp_path: Path, heads: Any) -> None:
    heads[made(tmp_path / "a")] = lambda clip: moving(clip, 0.1)
    heads[made(tmp_path / "b")] = lambda clip: replace(moving(clip, 0.1), labels=moving(clip, 0.1).labels + 0.01)
    with pytest.raises(DataError, match="Clip clip1 has different labels in a and b"):
        compared(tmp_path, *heads)
    heads[tmp_path / "b"] = lambda clip: predicted(clip, np.zeros((9, 2)), np.zeros((9, 2)))
    with pytest.raises(DataError, match="Clip clip1 has 50 and 9 rows in a and b"):
        compared(tmp_path, *heads)


def test_seeds_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    for seed in (1, 20, 3):
        made(tmp_path / "r" / "seeds" / str(seed), seed=seed)
    assert [path.name for path in seeds_of(tmp_path / "r")] == ["1", "3", "20"]
    (tmp_path / "r" / "seeds" / "notes").mkdir()
    assert len(seeds_of(tmp_path / "r")) == 3
    made(tmp_path / "r" / "seeds" / "3", "stage3.head.d1=9", seed=3)
    with pytest.raises(DataError, match="Run r: Its seeds 1 and 3 have different settings"):
        read_runs([tmp_path / "r", made(tmp_path / "a")])
    (tmp_path / "r" / "seeds" / "4").mkdir()
    with pytest.raises(CacheError, match="with seed 4 was stopped before its end"):
        seeds_of(tmp_path / "r")


def test_seeds_of_an_earlier_state_of_the_run_are_refused_with_a_cure(tmp_path: Path) -> None:
    run, other = tmp_path / "r", made(tmp_path / "a")
    made(run / "seeds" / "7", "stage3.training.epochs=1", seed=7)
    made(run, "stage3.training.epochs=30", seed=7)
    with pytest.raises(
        DataError, match=r"(?s)Run r: Its seeds .* other settings .*: stage3.training.epochs.*r/seeds/7"
    ):
        read_runs([run, other])
    assert read_runs([run / "seeds" / "7", other])[0].seeds == [7], "what the message says"
    for seed in (7, 8):
        made(run / "seeds" / str(seed), "stage3.training.epochs=30", seed=seed)
    assert read_runs([run, other])[0].seeds == [7, 8]
    features = Manifest("films", "folder", "features", {}, {}, (CachedClip("a", "train", "a", 9, True, "of a"),))
    for folder in (run, run / "seeds" / "7", run / "seeds" / "8"):
        write_manifest(folder, features)
    assert read_runs([run, other])[0].seeds == [7, 8]
    write_manifest(run, replace(features, clips=(replace(features.clips[0], content="anew"),)))
    with pytest.raises(DataError, match=r"Its seeds .* on other clips, labels, splits or features than it has now"):
        read_runs([run, other])


def test_a_run_whose_fusion_is_newer_than_its_refined_features_is_refused(tmp_path: Path) -> None:
    run, other = made(tmp_path / "r"), made(tmp_path / "a")
    features = Manifest("films", "folder", "features", {}, {}, ())
    write_manifest(run, features)
    write_json(run / "fusion" / "record.json", {"weights_sha256": "new"})
    fused = read_manifest(run / "fused")
    write_manifest(run / "fused", replace(fused, made_of=made_of(features, "new")))
    assert len(read_runs([run, other])) == 2
    write_manifest(run / "fused", replace(fused, made_of=made_of(features, "old")))
    with pytest.raises(CacheError, match=r"Run r: The refined features .* are of an earlier state of the run"):
        read_runs([run, other])
