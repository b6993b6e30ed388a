"""New videos through a trained run's models, by the command that users type: tables, overlay, page."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

from common.files import sha256
from common.media.decode import probe, times
from stage3_mlp.cli import main as stage3
from stage3_mlp.parquet import write_parquet
from tests.integration.chain import Chain


def predict(run: Path, *arguments: object) -> Result:
    return CliRunner().invoke(stage3, ["predict", *map(str, arguments), "--run", str(run), "--device", "cpu"])


@pytest.fixture(scope="module")
def sources(finished: Chain) -> list[Path]:
    return sorted((finished.data / "videos").rglob("*.mp4"))


@pytest.fixture(scope="module")
def videos(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos with the names that people give, and a broken one."""
    folder = tmp_path_factory.mktemp("my videos")
    for source, name in zip(
        sources, ('Zoë\'s "talk" $1.mp4', "<img src=x onerror=alert(1)>.mp4", "c#1%.mp4"), strict=False
    ):
        shutil.copy(source, folder / name)
    (folder / "broken.mp4").write_bytes(sources[0].read_bytes()[:2000])
    return folder


@pytest.fixture(scope="module")
def predicted(finished: Chain, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("out")
    return out, predict(finished.run, videos, "--out", out)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_video_gets_a_folder_and_a_broken_one_stops_none(predicted: tuple[Path, Result], videos: Path) -> None:
    out, result = predicted
    assert result.exit_code == 1, result.output
    assert "Not predicted: broken" in result.output
    done = [path for path in videos.iterdir() if path.stem != "broken"]
    assert {path.name for path in out.iterdir() if path.name != ".features"} == {path.stem for path in done}
    for video in done:
        folder = out / video.stem
        assert {path.name for path in folder.iterdir()} == {
            "predictions.csv",
            "predictions.parquet",
            "overlay.mp4",
            "report.html",
            "record.json",
        }
        times_s = np.asarray(list(times(video)))
        table = rows(folder / "predictions.csv")
        np.testing.assert_array_equal([float(row["time_s"]) for row in table], times_s)
        drawn_s = np.asarray(list(times(folder / "overlay.mp4")))
        assert len(drawn_s) == len(times_s) and np.abs(np.diff(drawn_s) - np.diff(times_s)).max() < 0.002
        assert probe(folder / "overlay.mp4").has_audio
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert "<img src=x" not in page


def test_parquet_has_the_same_figures_in_columns_with_types(predicted: tuple[Path, Result]) -> None:
    folder = next(path for path in predicted[0].iterdir() if path.name.startswith("Zoë"))
    table = parquet.read_table(folder / "predictions.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types["clip"] == "string" and types["frame"] == "int64" and types["time_s"] == "double"
    assert types["valence"] == "float" and types["present_text"] == "bool"
    for row, same in zip(rows(folder / "predictions.csv"), table.to_pylist(), strict=True):
        assert (row["clip"], int(row["frame"]), float(row["time_s"])) == (same["clip"], same["frame"], same["time_s"])
        for name in ("valence", "arousal", "intensity", "theta", "label_valence"):
            assert (same[name] is None) if row[name] == "" else (np.float32(row[name]) == np.float32(same[name])), name
        assert bool(int(row["present_text"])) is same["present_text"]


def test_a_second_run_renders_nothing_and_says_the_same(
    predicted: tuple[Path, Result], finished: Chain, videos: Path
) -> None:
    out, first = predicted
    before = {path: sha256(path) for path in out.glob("*/*") if path.is_file()}
    again = predict(finished.run, videos, "--out", out)
    assert again.exit_code == 1
    assert {path: sha256(path) for path in out.glob("*/*") if path.is_file()} == before
    lines = [line for line in first.output.splitlines() if "mean valence" in line]
    assert len(lines) == 3 and lines == [line for line in again.output.splitlines() if "mean valence" in line]


def test_several_paths_without_pictures(finished: Chain, sources: list[Path], tmp_path: Path) -> None:
    result = predict(finished.run, sources[0], sources[1], "--out", tmp_path, "--no-video")
    assert result.exit_code == 0, result.output
    for source in sources[:2]:
        assert not (tmp_path / source.stem / "overlay.mp4").exists()
        assert (tmp_path / source.stem / "predictions.parquet").is_file()
        assert "left out on request" in (tmp_path / source.stem / "report.html").read_text(encoding="utf-8")


def test_wrong_use_is_a_sentence(finished: Chain, tmp_path: Path) -> None:
    result = predict(tmp_path / "nowhere", tmp_path)
    assert result.exit_code == 1 and "There is no trained model" in result.output
    result = predict(finished.run, tmp_path / "gone.mp4", "--out", tmp_path / "out")
    assert result.exit_code == 2 and not (tmp_path / "out" / "gone").exists()


def test_parquet_keeps_texts_as_they_are(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    text: list[Any] = ["001", 0, 'a "b",\nc', "", "joy", 0.1, 1]
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "row", "text", "speaker", "predicted", 'p_"x",y', "present_text"])
        writer.writerow(text)
        writer.writerow(["002", 1, "", "", "", "", 0])
    write_parquet(tmp_path / "t.parquet", table)
    first, second = (list(row.values()) for row in parquet.read_table(tmp_path / "t.parquet").to_pylist())
    assert first == ["001", 0, 'a "b",\nc', "", "joy", float(np.float32(0.1)), True]
    assert second == ["002", 1, "", "", "", None, False]


def test_a_run_that_lacks_a_part_is_refused_before_anything_is_computed(finished: Chain, tmp_path: Path) -> None:
    for part in ("fusion/model.safetensors", "fusion", "head/model.safetensors", "recipe.yaml"):
        run = tmp_path / part.replace("/", "-")
        shutil.copytree(finished.run, run)
        lost = run / part
        shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
        result = predict(run, finished.data, "--out", tmp_path / "out")
        assert result.exit_code == 1 and part.split("/")[0] in result.output, result.output
        assert not (tmp_path / "out").exists()


def test_a_video_that_was_replaced_is_not_shown_beside_the_old_prediction(
    finished: Chain, sources: list[Path], tmp_path: Path
) -> None:
    from common.manifest import read_manifest
    from stage3_mlp.views.folder import write_videos

    video = tmp_path / "talk.mp4"
    shutil.copy(sources[0], video)
    assert predict(finished.run, video, "--out", tmp_path / "out", "--no-video").exit_code == 0
    (work,) = (tmp_path / "out" / ".features").glob("[0-9a-f]*")
    features, fused = read_manifest(work), read_manifest(work / "fused")
    from stage3_mlp.outcome import outcome_of

    predictions = outcome_of(()).predict(finished.run / "head", work / "cache", fused, fused.clips, "cpu")

    def again() -> tuple[bool, str]:
        said: list[str] = []
        whole = write_videos(
            tmp_path / "new",
            work / "cache",
            work,
            features,
            fused,
            predictions,
            model="00",
            model_run="a run",
            pictures=True,
            say=said.append,
        )
        return whole, " ".join(said)

    video.touch()
    assert again()[0] and (tmp_path / "new" / "talk" / "overlay.mp4").is_file(), "the same bytes are the same video"
    shutil.copy(sources[1], video)
    whole, said = again()
    assert not whole and "changed or replaced" in said
    assert not (tmp_path / "new" / "talk" / "overlay.mp4").exists()
    assert "changed or replaced" in (tmp_path / "new" / "talk" / "report.html").read_text(encoding="utf-8")
    video.unlink()
    whole, said = again()
    assert not whole and "no longer where it was" in said
