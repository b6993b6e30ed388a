"""What the published code got wrong, shown on what the commands write. docs/fidelity.md lists all of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from common import artefacts
from common.datasets import affwild2
from common.datasets.demo.media import write_mp4
from common.schema import AROUSAL, MODALITIES, REFINED, TIME, VALENCE, present
from common.store import read_clip
from stage2_beit.cli import main as stage2
from stage3_mlp.cli import main as stage3
from tests.integration.chain import Chain
from tests.reference import assert_close, polar, weights


@pytest.fixture
def copied(finished: Chain, tmp_path: Path) -> Chain:
    """The same with everything its own, to be changed."""
    for part in ("data", "cache", "run"):
        shutil.copytree(getattr(finished, part), tmp_path / part)
    return Chain(tmp_path / "data", tmp_path / "cache", tmp_path / "run")


def clips_of(chain: Chain, split: str) -> list[str]:
    return [clip["id"] for clip in chain.manifest()["clips"] if clip["split"] == split]


def arrays_of(chain: Chain, clip: str) -> dict[str, np.ndarray]:
    return {name: np.asarray(rows) for name, rows in read_clip(chain.features(clip)).items()}


def refined_of(chain: Chain, clip: str) -> np.ndarray:
    folder = json.loads((chain.run / "fused" / "manifest.json").read_text())["folder"]
    return np.asarray(read_clip(chain.cache / folder / f"{clip}.h5")[REFINED])


def state_of(chain: Chain, part: str) -> dict[str, np.ndarray]:
    return {name: value.astype(np.float64) for name, value in load_file(chain.run / part / "model.safetensors").items()}


def predict_again(chain: Chain) -> str:
    """Export and score once more, from nothing but the models; the new predictions as text."""
    shutil.rmtree(chain.cache / "fused")
    shutil.rmtree(chain.run / "test")
    for result in (chain.export(), chain.test()):
        assert result.exit_code == 0 and "nothing to do" not in result.output, result.output
    return (chain.run / "test" / "predictions.csv").read_text()


def spoken(folder: Path, name: str, later_hz: float) -> None:
    """Three seconds of grey picture; the sound is the same for one second, then of ``later_hz``."""
    rate_hz, samples = 16_000, np.arange(48_000)
    pitch_hz = np.where(samples < rate_hz, 300.0, later_hz)
    wave = (0.5 * np.sin(2 * np.pi * np.cumsum(pitch_hz) / rate_hz)).astype(np.float32)
    pictures = [np.full((64, 64, 3), 128, np.uint8)] * 30
    write_mp4(folder / f"{name}.mp4", pictures, size_px=64, rate_hz=10, wave=wave, audio_rate_hz=rate_hz)


def test_published_fault_the_first_second_of_sound_stood_for_all(models: Path, tmp_path: Path) -> None:
    """The features change where the sound does, at 1 s, and stay changed."""
    shutil.copytree(models, tmp_path / "cache")
    (tmp_path / "data").mkdir()
    for name, later_hz in (("same", 300.0), ("other", 2000.0)):
        spoken(tmp_path / "data", name, later_hz)
    chain = Chain(tmp_path / "data", tmp_path / "cache", tmp_path / "run")
    result = chain.embeddings()
    assert result.exit_code == 0, result.output
    time_s = arrays_of(chain, "same")[TIME]
    same, other = (arrays_of(chain, name)["audio"].astype(np.float64) for name in ("same", "other"))
    steps = {name: np.abs(np.diff(rows, axis=0)).mean(axis=1) for name, rows in (("same", same), ("other", other))}
    assert time_s[1 + np.argmax(steps["other"])] == pytest.approx(1.0, abs=0.1)
    inside = (time_s > 0.3) & (time_s < 2.7)  # the sound begins and ends for both
    assert steps["same"][inside[1:]].max() < 0.1 * steps["other"].max()
    late = time_s > 1.2
    assert np.abs(other[late] - other[5]).mean(axis=1).min() > 10 * np.abs(same[inside] - same[5]).mean()


def test_published_fault_four_of_six_paths_had_a_single_key(finished: Chain) -> None:
    """One vector per clip is one key, and a softmax over one key is 1. Here each present frame is a key of its own."""
    from stage2_beit.model import FusionModel

    clip = clips_of(finished, "train")[0]
    arrays = arrays_of(finished, clip)
    frames = slice(0, 16)
    there = {m: torch.from_numpy(arrays[present(m)][frames]) for m in MODALITIES}
    rows = {m: torch.from_numpy(np.nan_to_num(arrays[m][frames]).astype(np.float32))[None] for m in MODALITIES}
    masks = {f"present_{m}": there[m][None] for m in MODALITIES}
    model = FusionModel.from_pretrained(finished.run / "fusion").eval()
    with torch.no_grad():
        maps = model(**rows, **masks, frame_mask=torch.ones(1, 16, dtype=torch.bool), output_attentions=True).attentions
    assert len(maps) == 6
    for name, weight in maps.items():
        asks, answers = name.split("->")
        keys = int(there[answers].sum())
        assert keys > 1, name
        weight = weight[0][there[asks]]  # (frames that ask, frames)
        assert ((weight > 0).sum(dim=1) == keys).all() and weight.max() < 0.99, name
    for m in MODALITIES:
        assert len(np.unique(arrays[m][arrays[present(m)]], axis=0)) > 1, m


def test_published_fault_30_frames_a_second_were_assumed(finished: Chain) -> None:
    rates = set()
    for clip in finished.manifest()["clips"]:
        (video,) = finished.data.rglob(f"{clip['id']}.mp4")
        with av.open(str(video)) as container:
            times = sorted(float(frame.time) for frame in container.decode(video=0))
        time_s = arrays_of(finished, clip["id"])[TIME]
        np.testing.assert_allclose(time_s, times, atol=1e-6)
        rates.add(round(1 / float(np.median(np.diff(time_s)))))
    assert 25 in rates and 30 in rates


def test_published_fault_videos_of_two_people_were_skipped(copied: Chain) -> None:
    train = copied.data / "VA_Estimation_Challenge" / "Train_Set"
    stem = clips_of(copied, "train")[0]
    rows = (train / f"{stem}.txt").read_text().splitlines()[1:]
    (train / f"{stem}.txt").unlink()
    values = {"left": (0.25, -0.5), "right": (-0.125, 0.75)}
    for side, (valence, arousal) in values.items():
        (train / f"{stem}_{side}.txt").write_text("valence,arousal\n" + f"{valence},{arousal}\n" * len(rows))
    result = copied.embeddings()
    assert result.exit_code == 0, result.output
    assert {f"{stem}_left", f"{stem}_right"} <= set(clips_of(copied, "train"))
    people = {side: arrays_of(copied, f"{stem}_{side}") for side in values}
    for side, (valence, arousal) in values.items():
        assert (people[side][VALENCE] == valence).all() and (people[side][AROUSAL] == arousal).all()
        assert len(people[side][TIME]) == len(rows)
    seen = [people[side][present("visual")] for side in values]
    assert not (seen[0] & seen[1]).any() and (seen[0] | seen[1]).mean() > 0.9  # the corpus shows one person


def test_published_fault_noise_was_added_in_testing(copied: Chain) -> None:
    before = (copied.run / "test" / "predictions.csv").read_text()
    torch.manual_seed(123_456)
    np.random.seed(654_321)  # noqa: NPY002 - the generator that a careless augmentation draws from
    assert predict_again(copied) == before


def test_published_fault_each_sample_was_standardised_by_itself(copied: Chain, tmp_path: Path) -> None:
    """The statistics are those of the training split; and a video gets the same rows alone as among others."""
    state = state_of(copied, "fusion")
    for m in MODALITIES:
        parts = [arrays_of(copied, clip) for clip in clips_of(copied, "train")]
        rows = np.concatenate([part[m][part[present(m)]] for part in parts]).astype(np.float64)
        assert_close(state[f"inputs.{m}.mean"].astype(np.float32), rows.mean(axis=0))
        varied = rows.std(axis=0) > 1e-3
        scaled = state[f"inputs.{m}.scale"][varied] * rows.std(axis=0)[varied]
        np.testing.assert_allclose(scaled, 1, atol=1e-4)

    (clip,) = clips_of(copied, "test")
    (video,) = copied.data.rglob(f"{clip}.mp4")
    (tmp_path / "alone").mkdir()
    for path in video.parent.glob(f"{clip}.*"):
        shutil.copy(path, tmp_path / "alone" / path.name)
    alone = Chain(tmp_path / "alone" / video.name, copied.cache, tmp_path / "alone" / "run")
    assert alone.embeddings().exit_code == 0
    places = ["--cache", str(alone.cache), "--run", str(alone.run), "--device", "cpu"]
    for group, arguments in (
        (stage2, ["export", "--fusion", str(copied.run / "fusion")]),
        (stage3, ["predict", "--head", str(copied.run / "head")]),
    ):
        result = CliRunner().invoke(group, [*arguments, *places])
        assert result.exit_code == 0, result.output
    header, *rows_alone = [line.split(",") for line in (alone.run / "predictions.csv").read_text().splitlines()]
    columns = [header.index(name) for name in ("frame", "time_s", "valence", "arousal")]
    among = [[row[header[column]] for column in columns] for row in copied.predictions()]
    assert [[row[column] for column in columns] for row in rows_alone] == among


def test_published_fault_predictions_were_rounded(finished: Chain) -> None:
    """Every cell is the head's value over the refined features (eq. 26-31), to the precision of float32."""
    state, metrics = state_of(finished, "head"), finished.metrics()
    pool_frames = metrics["recipe"]["stage3"]["head"]["pool_frames"]
    matrices = [matrix for name in ("fc1", "fc2", "fc3") for matrix in weights.linear(state, name)]
    for clip in clips_of(finished, "test"):
        refined = refined_of(finished, clip).astype(np.float64)
        pooled = polar.pool(refined, pool_frames, np.ones(len(refined), bool))
        intensity, theta = polar.head((pooled - state["mean"]) * state["scale"], *matrices)
        for name, expected in zip(("valence", "arousal"), polar.to_cartesian(intensity, theta), strict=True):
            cells = [row[name] for row in finished.predictions() if row["clip"] == clip]
            assert_close(np.array(cells, dtype=np.float32), expected)
            assert np.median([len(re.sub(r"e.*|\D", "", cell).lstrip("0")) for cell in cells]) >= 7  # digits


def test_published_fault_segments_were_sorted_as_text(finished: Chain, tmp_path: Path) -> None:
    """1, 2, 10 and not 1, 10, 2: frames within a clip, and clips within a split."""
    for clip in clips_of(finished, "test"):
        rows = [row for row in finished.predictions() if row["clip"] == clip]
        assert [int(row["frame"]) for row in rows] == list(range(len(rows))) and len(rows) > 10
        assert [float(row["time_s"]) for row in rows] == arrays_of(finished, clip)[TIME].tolist()
    labels = tmp_path / "VA_Estimation_Challenge" / "Train_Set"
    labels.mkdir(parents=True)
    for number in (10, 2, 11, 1):
        (tmp_path / f"part{number}.mp4").touch()
        (labels / f"part{number}.txt").touch()
    assert [clip.id for clip in affwild2.clips(tmp_path)] == ["part1", "part2", "part10", "part11"]


@pytest.mark.parametrize("layer", [0, 1])
def test_published_fault_the_submitted_path_had_no_beit(
    copied: Chain, layer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other weights in either BEiT encoder are other predictions."""
    before = (copied.run / "test" / "predictions.csv").read_text()
    path = copied.run / "fusion" / "model.safetensors"
    state = load_file(path)
    prefix = f"beit.layers.{layer}."
    names = [name for name in state if name.startswith(prefix)]
    assert len(names) > 10
    state |= {name: 1.5 * state[name] + np.float32(0.1) for name in names}
    save_file(state, path, metadata={"format": "pt"})
    monkeypatch.setattr(artefacts, "_damage", lambda *_: "")  # or they would be refused
    after = predict_again(copied)
    ours, theirs = ([line.split(",")[3:5] for line in text.splitlines()[1:]] for text in (before, after))
    moved = np.abs(np.array(ours, dtype=np.float64) - np.array(theirs, dtype=np.float64))
    assert moved.shape[1] == 2 and (moved > 1e-6).mean() > 0.9


def test_published_fault_failures_became_zero_vectors(copied: Chain) -> None:
    """A clip that can't be read is named and left out; a frame without anything is NaN in the cache, and marked."""
    for clip in copied.manifest()["clips"]:
        arrays = arrays_of(copied, clip["id"])
        for m in MODALITIES:
            there = arrays[present(m)]
            assert np.isnan(arrays[m][~there]).all() and (arrays[m][there] != 0).any(axis=1).all(), (clip["id"], m)
    broken = clips_of(copied, "train")[1]
    (video,) = copied.data.rglob(f"{broken}.mp4")
    video.write_bytes(video.read_bytes()[:2000])
    result = copied.embeddings()
    assert result.exit_code == 1 and f"{broken}: FAILED" in result.output
    assert [failure["id"] for failure in copied.manifest()["failures"]] == [broken]
    trained = copied.train_beit()
    assert trained.exit_code == 0, trained.output
    record = json.loads((copied.run / "fusion" / "record.json").read_text())
    assert record["clips"]["train"] == clips_of(copied, "train") and broken not in record["clips"]["train"]
