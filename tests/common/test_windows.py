"""Windows over cached clips: every frame seen, padding and absence masked, each label counted once."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import CacheError
from common.manifest import CachedClip, Manifest
from common.recipe import Window
from common.schema import AROUSAL, EMOTION, MODALITIES, TIME, VALENCE, present
from common.store import read_clip, write_clip
from common.windows import FeatureWindows, collate, feature_statistics, window_starts


def cached(cache: Path, lengths: list[int], labelled: bool = True) -> Manifest:
    """A cache whose visual features say which clip and which frame they are."""
    clips = []
    for number, frames in enumerate(lengths):
        arrays: dict[str, Any] = {TIME: np.arange(frames) / 25}
        for modality in MODALITIES:
            mask = np.ones(frames, dtype=bool) if modality != "text" else np.arange(frames) % 2 == 0
            rows = np.stack([np.full(frames, number), np.arange(frames)], axis=1).astype(np.float16)
            rows[~mask] = np.nan
            arrays |= {modality: rows, present(modality): mask}
        if labelled:
            arrays |= {VALENCE: np.arange(frames, dtype=np.float32) / 32, AROUSAL: np.zeros(frames, np.float32)}
            arrays[VALENCE][0] = np.nan
        name = f"clip {number}"
        write_clip(cache / "features" / "f" / f"{name}.h5", arrays, {"content": f"c{number}"})
        clips.append(CachedClip(name, "train", f"{name}.mp4", frames, labelled, f"c{number}"))
    return Manifest("data", "folder", "features/f", {}, {}, tuple(clips))


@pytest.mark.parametrize("frames", [1, 2, 9, 10, 11, 15, 20, 21, 99])
@pytest.mark.parametrize(("length", "hop"), [(10, 10), (10, 5), (10, 3), (2, 1)])
def test_windows_cover_every_frame_and_stay_inside(frames: int, length: int, hop: int) -> None:
    starts = window_starts(frames, Window(frames=length, hop_frames=hop))
    seen = np.zeros(frames, dtype=int)
    for start in starts:
        assert start >= 0 and (start + length <= frames or start == 0)
        seen[start : start + length] += 1
    assert (seen > 0).all() and len(set(starts)) == len(starts)


def test_items_hold_the_right_frames_with_masks(tmp_path: Path) -> None:
    manifest = cached(tmp_path, [7, 3])
    data = FeatureWindows(tmp_path, manifest, manifest.clips, Window(frames=4, hop_frames=2))
    assert [(p.clip, p.start, p.frames) for p in data.places] == [(0, 0, 4), (0, 2, 4), (0, 3, 4), (1, 0, 3)]
    item = data[1]
    assert item["visual"].dtype == np.float32
    assert item["visual"][:, 1].tolist() == [2, 3, 4, 5]
    assert item["present_text"].tolist() == [True, False, True, False]
    assert item["text"][1].tolist() == [0, 0]  # NaN in the file, masked here
    padded = data[3]
    assert padded["frame_mask"].tolist() == [True, True, True, False]
    assert not padded["present_visual"][3] and np.isnan(padded["labels"][3]).all()


def test_scoring_counts_each_frame_once(tmp_path: Path) -> None:
    manifest = cached(tmp_path, [7, 3, 12])
    data = FeatureWindows(tmp_path, manifest, manifest.clips, Window(frames=4, hop_frames=3), once=True)
    labels = 32 * np.concatenate([data[i]["labels"][:, 0] for i in range(len(data))])
    expected = [*range(1, 7), *range(1, 3), *range(1, 12)]  # frame 0 has no label
    assert sorted(labels[np.isfinite(labels)].tolist()) == sorted(expected)


def test_modalities_not_asked_for_are_absent(tmp_path: Path) -> None:
    manifest = cached(tmp_path, [6])
    item = FeatureWindows(tmp_path, manifest, manifest.clips, Window(frames=4, hop_frames=4), modalities=("audio",))[0]
    assert item["present_audio"].all() and not item["present_visual"].any() and (item["visual"] == 0).all()


def test_windows_without_labels_are_left_out_of_training(tmp_path: Path) -> None:
    manifest = cached(tmp_path, [8], labelled=False)
    window = Window(frames=4, hop_frames=4)
    assert len(FeatureWindows(tmp_path, manifest, manifest.clips, window, labelled_only=True)) == 0
    assert len(FeatureWindows(tmp_path, manifest, manifest.clips, window)) == 2


def test_a_batch_stacks_windows_and_workers_can_map_for_themselves(tmp_path: Path) -> None:
    manifest = cached(tmp_path, [9])
    data = FeatureWindows(tmp_path, manifest, manifest.clips, Window(frames=4, hop_frames=4))
    _ = data[0]
    again = pickle.loads(pickle.dumps(data))  # noqa: S301
    batch = collate([again[0], again[1]])
    assert batch["visual"].shape == (2, 4, 2) and batch["labels"].shape == (2, 4, 2)
    assert batch["visual"][1, :, 1].tolist() == [4, 5, 6, 7]


def test_a_file_of_another_run_is_refused(tmp_path: Path) -> None:
    manifest = cached(tmp_path, [5])
    write_clip(
        tmp_path / "features/f/clip 0.h5",
        {
            TIME: np.arange(2) / 25,
            **{m: np.ones((2, 2), np.float16) for m in MODALITIES},
            **{present(m): np.ones(2, bool) for m in MODALITIES},
        },
        {"content": "other"},
    )
    with pytest.raises(CacheError, match=r"clip 0.h5 isn't the file the manifest speaks of.*other.*expected c0"):
        FeatureWindows(tmp_path, manifest, manifest.clips, Window(frames=4, hop_frames=4))


def test_statistics_are_those_of_the_present_frames(tmp_path: Path) -> None:
    manifest = cached(tmp_path, [7, 20])
    data = FeatureWindows(tmp_path, manifest, manifest.clips, Window(frames=4, hop_frames=4))
    mean, std = feature_statistics(data, "text")
    rows = np.concatenate([np.stack([np.full(n, c), np.arange(n)], 1)[::2] for c, n in enumerate([7, 20])])
    np.testing.assert_allclose(mean, rows.mean(0))
    np.testing.assert_allclose(std, rows.std(0))


def test_class_labels_are_counted_once_and_padded_with_minus_one(tmp_path: Path) -> None:
    manifest = cached(tmp_path, [5], labelled=False)
    path = tmp_path / manifest.folder / "clip 0.h5"
    arrays: dict[str, Any] = {**read_clip(path), EMOTION: np.array([2, -1, 0, 1, 2], dtype=np.int16)}
    write_clip(path, arrays, {"content": "c0"})
    manifest = replace(manifest, classes=("a", "b", "c"))
    data = FeatureWindows(tmp_path, manifest, manifest.clips, Window(frames=4, hop_frames=4), once=True)
    assert [item["labels"].tolist() for item in map(data.__getitem__, range(len(data)))] == [
        [2, -1, 0, 1],
        [-1, -1, -1, 2],
    ]
    assert collate([data[0], data[1]])["labels"].dtype == torch.int64
    alone = FeatureWindows(tmp_path, manifest, manifest.clips, Window(frames=1, hop_frames=1), labelled_only=True)
    assert [alone.labels(index).tolist() for index in range(len(alone))] == [[2], [0], [1], [2]]
    longer = FeatureWindows(tmp_path, manifest, manifest.clips, Window(frames=7, hop_frames=7))
    assert longer[0]["labels"].tolist() == [2, -1, 0, 1, 2, -1, -1]


def test_more_clips_than_open_files_are_allowed_at_first(tmp_path: Path) -> None:
    """Each mapped clip keeps its file open; Linux lets a process have 1,024 at first."""
    script = """
import resource, sys
from pathlib import Path
import numpy as np
from common.manifest import CachedClip, Manifest
from common.recipe import Window
from common.schema import MODALITIES, TIME, present
from common.store import write_clip
from common.windows import FeatureWindows

cache, hard = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
arrays = {TIME: np.arange(40) / 25} | {present(m): np.ones(40, bool) for m in MODALITIES}
arrays |= {m: np.ones((40, 1024), np.float16) for m in MODALITIES}
path = cache / "f" / "0.h5"
write_clip(path, arrays, {"content": "c"})
for number in range(1, 90):
    path.with_name(f"{number}.h5").hardlink_to(path)
clips = tuple(CachedClip(str(number), "train", "", 40, False, "c") for number in range(90))
data = FeatureWindows(cache, Manifest("", "folder", "f", {}, {}, clips), clips, Window(frames=40, hop_frames=40))
items = [data[index] for index in range(90)]
print(sum(array._map is not None for array in data.arrays), resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 490)
"""
    for hard, said in ((4096, "90 True"), (300, "may have 300 files open")):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / str(hard)), str(hard)], capture_output=True, text=True
        )
        assert said in done.stdout + done.stderr, done.stderr
