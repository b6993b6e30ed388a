"""Stage 1 by its own command line: ready and kept crops, several faces, failures, parts of a data set, two at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.media import decode
from common.schema import FACE_BOX, TIME, present
from common.store import read_attributes, read_clip, validate
from stage1_embeddings import front_end
from stage1_embeddings.faces.detect import Face
from stage1_embeddings.faces.tracking import Frame, Tracked
from tests.conftest import SMALL
from tests.integration.chain import Chain

PROJECT = Path(__file__).resolve().parent.parent.parent
CLIPS = 6


@pytest.fixture
def chain(corpus: Path, models: Path, tmp_path: Path) -> Chain:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models / "models")
    return Chain(corpus, tmp_path / "cache", tmp_path / "runs" / "extract")


@pytest.fixture
def one_video(corpus: Path, tmp_path: Path) -> Path:
    """A folder with a single video of the corpus, without labels: ``talk.mp4`` and its transcript."""
    folder = tmp_path / "videos"
    folder.mkdir()
    video = sorted(corpus.rglob("*.mp4"))[0]
    for path in video.parent.glob(f"{video.stem}.*"):
        shutil.copy(path, folder / f"talk{path.suffix}")
    return folder


def arrays_of(chain: Chain, clip: str) -> dict[str, np.ndarray]:
    validate(chain.features(clip))
    return {name: np.asarray(rows) for name, rows in read_clip(chain.features(clip)).items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray], *but: str) -> None:
    assert set(one) == set(other)
    for name in set(one) - set(but):
        assert one[name].tolist() == other[name].tolist() or one[name].tobytes() == other[name].tobytes(), name


def write_crops(folder: Path, numbers: list[int], size: int = 112) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), np.full((size, size, 3), number * 5 % 250, np.uint8))


def test_ready_crops_take_the_videos_clock_and_leave_gaps_absent(chain: Chain, one_video: Path) -> None:
    assert chain.embeddings(data=one_video).exit_code == 0
    found = arrays_of(chain, "talk")
    write_crops(one_video / "cropped_aligned" / "talk", [1, 2, 3, 7, 9])
    result = chain.embeddings("stage1.faces.detector=crops", data=one_video)
    assert result.exit_code == 0 and "computed visual" in result.output, result.output
    ready = arrays_of(chain, "talk")
    assert np.array_equal(ready[TIME], found[TIME])
    assert np.flatnonzero(ready[present("visual")]).tolist() == [0, 1, 2, 6, 8]
    same(ready, found, "visual", present("visual"), FACE_BOX, "face/landmarks", "face/score")
    assert "nothing to do" in chain.embeddings("stage1.faces.detector=crops", data=one_video).output


def test_ready_crops_without_a_video_need_a_rate(chain: Chain, tmp_path: Path) -> None:
    write_crops(tmp_path / "data" / "cropped_aligned" / "Grüße 1", [2, 3, 5], size=96)
    crops = ("stage1.faces.detector=crops",)
    refused = chain.embeddings(*crops, data=tmp_path / "data")
    assert refused.exit_code == 1 and "crops_rate_hz" in refused.output
    assert chain.embeddings(*crops, "stage1.faces.crops_rate_hz=30", data=tmp_path / "data").exit_code == 0
    arrays = arrays_of(chain, "Grüße 1")
    assert arrays[TIME].tolist() == pytest.approx([0, 1 / 30, 2 / 30, 3 / 30, 4 / 30])
    assert arrays[present("visual")].tolist() == [False, True, True, False, True]
    assert not arrays[present("audio")].any()
    without = chain.embeddings(data=tmp_path / "data")
    assert without.exit_code == 1 and "Set stage1.faces.detector: crops" in without.output


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "00002.jpg").write_bytes(b"no image"), "00002.jpg can't be read as an image"),
        (lambda folder: write_crops(folder, [90]), "up to number 90, but talk.mp4 has"),
        (lambda folder: write_crops(folder, [0]), "numbered from 1"),
        (lambda folder: shutil.copy(folder / "00001.jpg", folder / "1.jpg"), "are one frame"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "holds no crop"),
    ],
)
def test_bad_crops_are_named(chain: Chain, one_video: Path, spoil: object, says: str) -> None:
    folder = one_video / "cropped_aligned" / "talk"
    write_crops(folder, [1, 2])
    spoil(folder)  # type: ignore[operator]
    result = chain.embeddings("stage1.faces.detector=crops", data=one_video)
    assert result.exit_code == 1 and says in result.output, result.output


def test_kept_crops_serve_the_next_visual_encoder(
    chain: Chain, one_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = Chain(chain.data, tmp_path / "fresh", tmp_path / "runs" / "fresh")
    other = "stage1.visual.precision=bfloat16"
    assert fresh.embeddings(other, data=one_video).exit_code == 0
    assert chain.embeddings("stage1.faces.keep_crops=true", data=one_video).exit_code == 0
    (kept,) = (chain.cache / "crops").glob("*/talk.h5")
    validate(kept)

    def refuse(*_: object, **__: object) -> Iterator[object]:
        raise AssertionError("the video was decoded again")

    monkeypatch.setattr(decode, "frames", refuse)
    result = chain.embeddings(other, data=one_video)
    assert result.exit_code == 0 and "computed visual" in result.output, result.output
    same(arrays_of(chain, "talk"), arrays_of(fresh, "talk"))


def scripted(faces: dict[int, range]) -> object:
    """A tracker that sees these tracks on these frames, one beside the other."""

    def track(frames: Iterator[tuple[float, np.ndarray]], *_: object, **__: object) -> Iterator[Frame]:
        points = np.array([[2, 2], [8, 2], [5, 5], [3, 8], [7, 8]], np.float32)
        for index, (time_s, picture) in enumerate(frames):
            shown = [number for number, during in faces.items() if index in during]
            places = {number: np.float32([20 * number, 10]) for number in shown}
            found = [
                Tracked(number, Face(np.float32([*place, 10, 10]), points + place, 0.9), True)
                for number, place in places.items()
            ]
            yield Frame(time_s, picture, tuple(found))

    return track


def test_each_face_track_can_be_a_clip(chain: Chain, one_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = ("stage1.faces.policy=all", "stage1.faces.min_track_s=0.3")
    monkeypatch.setattr(front_end, "track", scripted({1: range(12), 2: range(5, 20), 3: range(8, 10)}))
    result = chain.embeddings(*everyone, data=one_video)
    assert result.exit_code == 0, result.output
    assert [clip["id"] for clip in chain.manifest()["clips"]] == ["talk.face1", "talk.face2"]
    one, two = arrays_of(chain, "talk.face1"), arrays_of(chain, "talk.face2")
    assert len(one[TIME]) == 12 and len(two[TIME]) == 15 and one[TIME][5] == two[TIME][0]
    assert one[present("visual")].all() and two[FACE_BOX][0].tolist() == [40, 10, 10, 10]
    assert np.array_equal(one["audio"][5:12], two["audio"][:7], equal_nan=True)
    assert "nothing to do" in chain.embeddings(*everyone, data=one_video).output
    chain.features("talk.face2").unlink()
    assert chain.embeddings(*everyone, data=one_video).exit_code == 0
    same(arrays_of(chain, "talk.face2"), two)


def test_nobody_to_follow_is_a_failure_of_the_clip(
    chain: Chain, one_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_end, "track", scripted({}))
    result = chain.embeddings("stage1.faces.policy=all", data=one_video)
    assert result.exit_code == 1 and "no face that can be followed for 1 s" in result.output
    assert chain.embeddings(data=one_video).exit_code == 0
    assert not arrays_of(chain, "talk")[present("visual")].any()


def test_labels_are_one_persons(chain: Chain) -> None:
    result = chain.embeddings("stage1.faces.policy=all")
    assert result.exit_code == 2 and "labels are one person's" in result.output


def test_two_people_of_one_video_are_two_clips(
    chain: Chain, one_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aff-Wild2: ``talk_left.txt`` and ``talk_right.txt`` annotate the two people in ``talk.mp4``."""
    frames = sum(1 for _ in decode.times(one_video / "talk.mp4"))
    labels = one_video / "VA_Estimation_Challenge" / "Train_Set"
    labels.mkdir(parents=True)
    for side, value in (("left", 0.25), ("right", -0.5)):
        (labels / f"talk_{side}.txt").write_text("valence,arousal\n" + f"{value},0\n" * frames)
    monkeypatch.setattr(front_end, "track", scripted({1: range(frames), 4: range(frames)}))
    result = chain.embeddings(data=one_video)
    assert result.exit_code == 0, result.output
    left, right = arrays_of(chain, "talk_left"), arrays_of(chain, "talk_right")
    assert (left[FACE_BOX][:, 0] == 20).all() and (right[FACE_BOX][:, 0] == 80).all()
    assert (left["label/valence"] == 0.25).all() and (right["label/valence"] == -0.5).all()
    assert read_attributes(chain.features("talk_left"))["side"] == "left"


def test_a_broken_clip_is_set_aside_until_asked_for_or_mended(chain: Chain, one_video: Path) -> None:
    good = (one_video / "talk.mp4").read_bytes()
    (one_video / "bad 'ü'.mp4").write_bytes(good[: len(good) // 2])
    first = chain.embeddings(data=one_video)
    assert first.exit_code == 1 and "bad 'ü': FAILED" in first.output and "retry-failed" in first.output
    again = chain.embeddings(data=one_video)
    assert again.exit_code == 1 and "set aside before" in again.output and "FAILED:" not in again.output
    assert [failure["id"] for failure in chain.manifest()["failures"]] == ["bad 'ü'"]
    retried = chain.embeddings(data=one_video, flags=("--retry-failed",))
    assert retried.exit_code == 1 and "bad 'ü': FAILED" in retried.output
    assert chain.embeddings(data=one_video, flags=("--allow-failed",)).exit_code == 0
    (one_video / "bad 'ü'.mp4").write_bytes(good)
    mended = chain.embeddings(data=one_video)
    assert mended.exit_code == 0 and len(chain.manifest()["clips"]) == 2


def test_shards_share_a_cache_and_the_last_one_writes_the_manifest(chain: Chain) -> None:
    first = chain.embeddings(flags=("--shard", "1/2"))
    assert first.exit_code == 0 and "3 of 6 clips are other shards'" in first.output
    assert not (chain.run / "manifest.json").exists()
    assert chain.embeddings(flags=("--shard", "2/2")).exit_code == 0
    assert len(chain.manifest()["clips"]) == CLIPS
    assert "nothing to do" in chain.embeddings().output


def test_a_run_can_be_about_a_few_clips(chain: Chain) -> None:
    assert chain.embeddings(flags=("--limit", "2")).exit_code == 0
    two = [clip["id"] for clip in chain.manifest()["clips"]]
    assert len(two) == 2
    assert chain.embeddings(flags=("--only", two[1])).exit_code == 0
    assert [clip["id"] for clip in chain.manifest()["clips"]] == two[1:]
    wrong = chain.embeddings(flags=("--only", "nobody"))
    assert wrong.exit_code == 2 and "fits no clip" in wrong.output


def test_a_setting_that_only_keeps_more_changes_no_fingerprint(chain: Chain) -> None:
    assert chain.embeddings().exit_code == 0
    assert "nothing to do" in chain.embeddings("stage1.faces.keep_crops=true", "stage1.visual.batch_size=3").output


def test_two_processes_share_the_work_and_do_nothing_twice(chain: Chain) -> None:
    sets = [part for setting in SMALL for part in ("--set", setting)]
    command = [sys.executable, "-m", "stage1_embeddings", "extract", "--data", str(chain.data), "--recipe", "demo"]
    runs = [chain.run.with_name(name) for name in ("one", "other")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [*command, *sets, "--cache", str(chain.cache), "--run", str(run), "--device", "cpu"],
            cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )
        for run in runs
    ]  # fmt: skip
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    (log,) = chain.cache.glob("features/*/log.*.jsonl")
    done = Counter(json.loads(line)["clip"] for line in log.read_text().splitlines())
    assert len(done) == CLIPS and set(done.values()) == {1}, done
    for run in runs:
        assert len(json.loads((run / "manifest.json").read_text())["clips"]) == CLIPS


def test_other_crops_or_other_numbers_of_them_are_noticed(chain: Chain, one_video: Path) -> None:
    folder, crops = one_video / "cropped_aligned" / "talk", "stage1.faces.detector=crops"
    write_crops(folder, [1, 2, 9])
    assert chain.embeddings(crops, data=one_video).exit_code == 0
    (folder / "00009.jpg").rename(folder / "00010.jpg")
    assert chain.embeddings(crops, data=one_video).exit_code == 0
    moved = arrays_of(chain, "talk")
    assert np.flatnonzero(moved[present("visual")]).tolist() == [0, 1, 9]
    (folder / "00002.jpg").write_bytes((folder / "00010.jpg").read_bytes())
    assert chain.embeddings(crops, data=one_video).exit_code == 0
    assert np.array_equal(arrays_of(chain, "talk")["visual"][1], moved["visual"][9])


@pytest.mark.parametrize("damage", [slice(0, 8), slice(9, 40), slice(60, 200), slice(-400, None)])
def test_a_damaged_file_is_made_again(chain: Chain, one_video: Path, damage: slice) -> None:
    assert chain.embeddings(data=one_video).exit_code == 0
    path, before = chain.features("talk"), arrays_of(chain, "talk")
    content = bytearray(path.read_bytes())
    content[damage] = bytes(len(content[damage]))
    path.write_bytes(content)
    result = chain.embeddings(data=one_video)
    assert result.exit_code == 0 and "1 written now" in result.output, result.output
    same(arrays_of(chain, "talk"), before)


def test_damaged_kept_crops_are_made_again(chain: Chain, one_video: Path) -> None:
    keep = "stage1.faces.keep_crops=true"
    assert chain.embeddings(keep, data=one_video).exit_code == 0
    (kept,) = (chain.cache / "crops").glob("*/talk.h5")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 255
    kept.write_bytes(content)
    result = chain.embeddings(keep, "stage1.visual.precision=bfloat16", data=one_video)
    assert result.exit_code == 0, result.output
    validate(kept)


def test_a_full_disk_ends_the_run_in_one_sentence(
    chain: Chain, one_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    result = chain.embeddings(data=one_video)
    assert result.exit_code == 1 and "talk.h5: no room for" in result.output, result.output
    monkeypatch.undo()
    assert not list(chain.cache.glob("features/*/.failed/*"))
    assert chain.embeddings(data=one_video).exit_code == 0
