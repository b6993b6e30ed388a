"""The whole chain by its own command lines, on a small corpus: what it writes, what it does again, what it doesn't."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from common.files import sha256
from common.schema import FACE_BOX, MODALITIES, TIME, VALENCE, present
from common.store import read_attributes, read_clip, read_locations, validate
from tests.integration.chain import Chain


@pytest.fixture
def copied(finished: Chain, tmp_path: Path) -> Chain:
    """The same with everything its own, to be changed."""
    for part in ("data", "cache", "run"):
        shutil.copytree(getattr(finished, part), tmp_path / part)
    return Chain(tmp_path / "data", tmp_path / "cache", tmp_path / "run")


def no_model_may_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    for place in (
        "stage1_embeddings.tools.Tools.load",
        "common.models.load_model",
        "transformers.PreTrainedModel.from_pretrained",
    ):
        monkeypatch.setattr(place, refuse)


def test_a_clips_file_holds_what_the_format_says(finished: Chain) -> None:
    manifest = finished.manifest()
    assert len(manifest["clips"]) == 6 and not manifest["failures"]
    for clip in manifest["clips"]:
        path = finished.features(clip["id"])
        validate(path)
        arrays = read_clip(path)
        frames = len(arrays[TIME])
        assert frames == clip["frames"]
        for modality in MODALITIES:
            mask = np.asarray(arrays[present(modality)])
            assert np.isfinite(arrays[modality][mask]).all() and np.isnan(arrays[modality][~mask]).all()
        assert np.isfinite(arrays[FACE_BOX]).all(axis=1).tolist() == np.asarray(arrays[present("visual")]).tolist()
        assert np.mean(arrays[present("visual")]) >= 0.95
        attributes = read_attributes(path)
        assert attributes["encoder_text"]["model"] == "miniature"
        assert attributes["frame_rate_hz"] == pytest.approx(25) or attributes["frame_rate_hz"] == pytest.approx(30)


def test_every_test_frame_has_one_prediction(finished: Chain) -> None:
    clips = {clip["id"]: clip["frames"] for clip in finished.manifest()["clips"] if clip["split"] == "test"}
    rows = finished.predictions()
    assert {clip: sum(row["clip"] == clip for row in rows) for clip in clips} == clips
    assert len(rows) == sum(clips.values())
    for row in rows:
        valence, arousal = float(row["valence"]), float(row["arousal"])
        intensity, theta = float(row["intensity"]), float(row["theta"])
        assert intensity >= 0 and -np.pi < theta <= np.pi
        assert intensity * np.cos(theta) == pytest.approx(valence, abs=1e-5)
        assert intensity * np.sin(theta) == pytest.approx(arousal, abs=1e-5)


def test_predictions_are_written_at_full_precision(finished: Chain) -> None:
    """The published code rounded its predictions to one decimal."""
    values = [np.float32(row["valence"]) for row in finished.predictions()]
    assert len(set(values)) > 0.9 * len(values)
    assert any(len(row["valence"].lstrip("-").partition(".")[2]) >= 7 for row in finished.predictions())


def test_metrics_say_how_they_came_about(finished: Chain) -> None:
    metrics = finished.metrics()
    assert set(metrics["ccc"]) == {"valence", "arousal", "mean"}
    assert metrics["ccc"]["mean"] == pytest.approx((metrics["ccc"]["valence"] + metrics["ccc"]["arousal"]) / 2)
    labelled = [row for row in finished.predictions() if row["label_valence"]]
    assert metrics["frames"] == len(labelled)
    assert metrics["recipe"]["name"] == "small" and metrics["provenance"]["versions"]["torch"]
    assert any("random weights" in remark for remark in metrics["remarks"])
    page = (finished.run / "test" / "report.html").read_text()
    assert "random weights" in page and "://" not in page.replace("http://www.w3.org", "")


def test_run_again_it_loads_no_model_and_says_so(finished: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    no_model_may_load(monkeypatch)
    before = {path: path.stat().st_mtime_ns for path in finished.cache.rglob("*.h5")}
    for result in finished.all():
        assert result.exit_code == 0, result.output
        assert "nothing to do, no model loaded" in result.output
    assert {path: path.stat().st_mtime_ns for path in finished.cache.rglob("*.h5")} == before


def test_a_changed_text_setting_computes_text_alone(copied: Chain, finished: Chain) -> None:
    result = copied.embeddings("stage1.text.alignment=interpolate", data=finished.data)
    assert result.exit_code == 0, result.output
    assert result.output.count("computed text") == 6 and "visual" not in result.output
    clip = copied.manifest()["clips"][0]["id"]
    new, old = read_clip(copied.features(clip)), read_clip(finished.features(clip))
    np.testing.assert_array_equal(new["visual"], old["visual"])
    assert not np.array_equal(new[present("text")], old[present("text")])


def test_a_changed_label_reads_labels_alone_and_trains_again(copied: Chain) -> None:
    assert copied.embeddings().exit_code == 0
    annotation = next((copied.data / "VA_Estimation_Challenge" / "Train_Set").glob("*.txt"))
    lines = annotation.read_text().splitlines()
    annotation.write_text("\n".join([lines[0], "0.125,0.25", *lines[2:]]) + "\n")
    result = copied.embeddings()
    assert result.output.count("carried over, labels read again") == 1, result.output
    assert read_clip(copied.features(annotation.stem))[VALENCE][0] == np.float32(0.125)
    assert "training on" in copied.train_beit().output


def test_a_changed_head_trains_the_head_alone(copied: Chain, finished: Chain) -> None:
    setting = "stage3.head.d1=8"
    outputs = [r.output for r in Chain(finished.data, copied.cache, copied.run).all(setting)]
    assert ["nothing to do" in output for output in outputs] == [True, True, True, False, False]


def test_a_changed_transcript_computes_text_alone(copied: Chain) -> None:
    assert copied.embeddings().exit_code == 0
    transcript = next((copied.data / "videos").rglob("*.srt"))
    transcript.write_text("1\n00:00:00,100 --> 00:00:00,600\nsomething else\n")
    result = copied.embeddings()
    assert result.output.count("computed text") == 1, result.output
    words = read_clip(copied.features(transcript.stem), ("words/text",))["words/text"]
    assert words == ["something", "else"]


def test_one_bad_clip_does_not_stop_the_others(copied: Chain) -> None:
    shutil.rmtree(copied.cache / "features")
    video = sorted((copied.data / "videos").rglob("*.mp4"))[2]
    video.write_bytes(video.read_bytes()[:3000])
    result = copied.embeddings()
    assert result.exit_code == 1
    assert f"{video.stem}: FAILED" in result.output and "ALLOW_FAILED=1" in result.output
    manifest = copied.manifest()
    assert [failure["id"] for failure in manifest["failures"]] == [video.stem]
    assert str(video) in manifest["failures"][0]["problem"] and manifest["failures"][0]["cure"]
    assert len(manifest["clips"]) == 5 and "Traceback" not in result.output
    folder = copied.cache / manifest["folder"]
    assert sorted(path.stem for path in folder.glob("*.h5")) == sorted(clip["id"] for clip in manifest["clips"])
    assert not list(folder.glob(".*partial*"))
    log = [json.loads(line) for line in next(folder.glob("log.*.jsonl")).read_text().splitlines()]
    assert [entry["clip"] for entry in log if entry["outcome"] == "failed"] == [video.stem]
    assert copied.embeddings(flags=("--allow-failed",)).exit_code == 0


def test_a_broken_cache_file_is_named_and_made_again(copied: Chain) -> None:
    assert copied.embeddings().exit_code == 0
    path = copied.features(copied.manifest()["clips"][0]["id"])
    path.write_bytes(path.read_bytes()[:500])
    broken = copied.train_beit("stage2.training.epochs=1")
    assert broken.exit_code == 1 and str(path) in broken.output and "make embeddings" in broken.output
    result = copied.embeddings()
    assert result.exit_code == 0 and "computed again, as" in result.output
    validate(path)


def test_a_damaged_file_is_not_carried_over(copied: Chain, finished: Chain) -> None:
    clip = copied.manifest()["clips"][0]["id"]
    path = copied.features(clip)
    content = bytearray(path.read_bytes())
    content[read_locations(path)[0]["visual"].offset] ^= 1
    path.write_bytes(content)
    result = copied.embeddings("stage1.text.alignment=interpolate", data=finished.data)
    assert result.exit_code == 0 and f"{clip}: " in result.output
    assert result.output.count("computed visual, text") == 1 and result.output.count("computed text") == 5
    np.testing.assert_array_equal(
        read_clip(copied.features(clip))["visual"], read_clip(finished.features(clip))["visual"]
    )


def test_a_faulty_annotation_costs_no_decoding(copied: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copied.cache / "features")
    for annotation in (copied.data / "VA_Estimation_Challenge").rglob("*.txt"):
        annotation.write_text("valence,arousal\n0,nan\n")
    no_model_may_load(monkeypatch)
    result = copied.embeddings(flags=("--allow-failed",))
    assert result.exit_code == 1 and result.output.count("line 2: arousal is nan") == 12, result.output
    assert "To go on" not in result.output


def test_folders_that_cannot_be_made_are_one_sentence(finished: Chain, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for cache, run in ((tmp_path / "file" / "c", finished.run), (finished.cache, tmp_path / "file" / "r")):
        result = Chain(finished.data, cache, run).embeddings()
        assert result.exit_code == 1 and "Check the path" in result.output and "Traceback" not in result.output


def test_broken_weights_are_named_with_the_command_that_makes_them(copied: Chain) -> None:
    weights = copied.run / "fusion" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    shutil.rmtree(copied.cache / "fused")
    result = copied.export()
    assert result.exit_code == 1, result.output
    assert "model.safetensors is damaged" in result.output and "make train-beit" in result.output


def test_features_of_other_encoders_are_refused(copied: Chain) -> None:
    manifest = copied.manifest()
    manifest["encoders"]["audio"]["identity"] = "sha256:other"
    (copied.run / "manifest.json").write_text(json.dumps(manifest))
    result = copied.export()
    assert result.exit_code == 1
    assert "trained on audio features of miniature" in result.output and "sha256:other" in result.output


def test_commands_out_of_order_say_what_comes_first(tmp_path: Path, finished: Chain) -> None:
    empty = Chain(finished.data, tmp_path / "cache", tmp_path / "run")
    for result in (empty.train_beit(), empty.export(), empty.train_mlp(), empty.test()):
        assert result.exit_code == 1 and "Run `make" in result.output and "Traceback" not in result.output


def test_wrong_usage_exits_with_two(finished: Chain, tmp_path: Path) -> None:
    assert finished.embeddings("stage1.nope=1").exit_code == 2
    assert finished.embeddings(data=tmp_path / "nowhere").exit_code == 2


def test_a_kill_and_a_resume_give_the_same_cache(finished: Chain, copied: Chain) -> None:
    """What a kill between two clips leaves: some files, and half of one under its temporary name."""
    folder = copied.cache / finished.manifest()["folder"]
    kept = sorted(folder.glob("*.h5"))
    for path in kept[2:]:
        path.unlink()
    shutil.rmtree(copied.cache / "fused")
    assert Chain(finished.data, copied.cache, copied.run).embeddings().exit_code == 0
    for clip in finished.manifest()["clips"]:
        old, new = read_clip(finished.features(clip["id"])), read_clip(folder / f"{clip['id']}.h5")
        assert set(old) == set(new)
        for name, values in old.items():
            np.testing.assert_array_equal(new[name], values)


def test_a_video_is_predicted_by_another_runs_models(finished: Chain, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from stage2_beit.cli import main as stage2
    from stage3_mlp.cli import main as stage3

    source = sorted((finished.data / "videos").rglob("*.mp4"))[0]
    video = tmp_path / 'Zoë\'s "talk" $1.mp4'
    shutil.copy(source, video)
    chain = Chain(video, finished.cache, tmp_path / "out")
    assert chain.embeddings().exit_code == 0
    places = ["--cache", str(chain.cache), "--run", str(chain.run), "--device", "cpu"]
    for group, arguments in (
        (stage2, ["export", "--fusion", str(finished.run / "fusion")]),
        (stage3, ["predict", "--head", str(finished.run / "head")]),
    ):
        result = CliRunner().invoke(group, [*arguments, *places])
        assert result.exit_code == 0, result.output
    rows = (chain.run / "predictions.csv").read_text().splitlines()
    assert len(rows) == 1 + chain.manifest()["clips"][0]["frames"]
    assert (chain.run / "predictions.parquet").is_file()
    assert sha256(video) == sha256(source)


def test_another_smoothing_of_the_same_head_is_scored_anew(copied: Chain) -> None:
    assert "none" in copied.metrics()["smoothing"]["text"]
    box = ("stage3.smoothing.kind=box", "stage3.smoothing.widths_s=[0.5]")
    for result in (copied.train_mlp(*box), copied.test()):
        assert result.exit_code == 0, result.output
    metrics = copied.metrics()
    assert metrics["smoothing"]["text"] == "box, 0.5 s" and metrics["ccc_unsmoothed"] is not None
    assert any("1 other model" in remark for remark in metrics["remarks"])
