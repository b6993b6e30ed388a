"""The sides of the benchmarks of stage 3, the cache, windows and starting read, write and compute the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cache, windows
from benchmarks.head_training import HeadTraining
from benchmarks.scored_run import make_run
from benchmarks.scoring import check_scored
from benchmarks.start import PACKAGES, commands
from benchmarks.window_sources import make_files
from common.errors import MavenError
from common.manifest import read_manifest
from common.recipe import load_recipe
from stage3_mlp.train import FUSED, LabelledFrames


def test_windows_of_all_sides_are_the_same_to_the_bit(tmp_path: Path) -> None:
    data, picked = windows.sources(make_files(tmp_path, clips=2, frames=450), 5)
    windows.check(data)
    assert len(data) == 5 and all(len(side) == len(picked) == 5 for side in data.values())


def test_a_side_that_hands_out_other_windows_is_noticed(tmp_path: Path) -> None:
    data, _ = windows.sources(make_files(tmp_path, clips=1, frames=310), 3)
    read = data[windows.LIMIT].read
    object.__setattr__(data[windows.LIMIT], "read", lambda clip, start: read(clip, (start + 1) % 10))
    with pytest.raises(MavenError, match="differs between"):
        windows.check(data)


def test_a_clip_is_read_as_it_was_written_by_all(tmp_path: Path) -> None:
    arrays = cache.clip_arrays(310)  # a segment and a bit
    cache.write_clip(tmp_path / "clip.h5", arrays, cache.attributes())
    cache.write_segments(tmp_path / "pt", arrays)
    cache.write_payload(tmp_path / "payload.f16", arrays)
    cache.check(tmp_path, arrays)
    assert cache.size(tmp_path / "payload.f16") == 310 * 2 * 2560 < cache.size(tmp_path / "clip.h5")
    (tmp_path / "payload.f16").write_bytes(bytes(310 * 2 * 2560))
    with pytest.raises(MavenError, match="the payload"):
        cache.check(tmp_path, arrays)


def test_the_trainer_and_the_bare_loop_take_the_same_step(tmp_path: Path) -> None:
    made = make_run(tmp_path, clips=1, frames=80)
    manifest, recipe = read_manifest(made.run / FUSED), load_recipe("strong", ())
    train, validation = (
        LabelledFrames(made.cache, manifest, manifest.of(split), 15)  # type: ignore[arg-type]
        for split in ("train", "validation")
    )
    assert made.frames == {"train": 80, "validation": 80, "test": 80}
    both = HeadTraining(recipe, train, validation, "cpu")
    both.check()
    other = both.settings.model_copy(update={"learning_rate": 0.1, "batch_size": len(train)})
    one, two = (both.looped(both.head(0.0), settings).fc1.weight for settings in (other, both.settings))
    assert (one - two).abs().max() > 0.01  # it would be noticed


def test_a_score_that_its_table_does_not_have_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "test"
    folder.mkdir()
    rng = np.random.default_rng(0)
    true, noise = rng.normal(size=(2, 50))
    lines = [f"{t + n},{t},{t},{t}" for t, n in zip(true.tolist(), noise.tolist(), strict=True)]
    header = "valence,label_valence,arousal,label_arousal"
    (folder / "predictions.csv").write_text("\n".join([header, *lines]) + "\n")
    p, t = true + noise, true
    ccc = 2 * np.cov(p, t, bias=True)[0, 1] / (p.var() + t.var() + (p.mean() - t.mean()) ** 2)
    reported = {"ccc": {"valence": ccc, "arousal": 1.0}, "intervals": {"ccc_mean": [0.1, 0.2]}}
    (folder / "metrics.json").write_text(json.dumps(reported))
    check_scored(tmp_path, 50)
    with pytest.raises(MavenError, match="50 rows are written of 51"):
        check_scored(tmp_path, 51)
    (folder / "metrics.json").write_text(json.dumps(reported | {"ccc": {"valence": ccc + 1e-3, "arousal": 1.0}}))
    with pytest.raises(MavenError, match="CCC of valence"):
        check_scored(tmp_path, 50)


def test_help_is_asked_of_every_command() -> None:
    found = commands()
    assert {(package,) for package in PACKAGES} < set(found)
    assert {("stage1_embeddings", "prune"), ("stage3_mlp", "test"), ("studies", "missing")} < set(found)


def test_a_command_line_is_read_without_anything_heavy() -> None:
    """What `--help` would wait for."""
    program = (
        "import importlib, sys\n"
        f"for name in {PACKAGES}: importlib.import_module(f'{{name}}.cli')\n"
        "print([name for name in ('numpy', 'pydantic', 'h5py', 'torch', 'av', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
