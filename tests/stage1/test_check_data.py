"""check-data: what it finds at once is what stage 1 would stop at, and nothing else stops it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.datasets.survey import Finding, Survey
from common.manifest import Clip, Utterance
from common.recipe import Recipe
from stage1_embeddings.check_data import check_data
from stage1_embeddings.check_words import in_words
from stage1_embeddings.cli import main
from tests.common.media_files import gray, write_video
from tests.integration.chain import Chain

PROJECT = Path(__file__).resolve().parents[2]
CROPS = ("--set", "stage1.faces.detector=crops")


@pytest.fixture
def data(corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(corpus, tmp_path / "data"))


def annotations(data: Path) -> list[Path]:
    return sorted(data.rglob("*_Set/*.txt"))


def call(data: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check-data", "--data", str(data), *options])


def check(data: Path, code: int, *says: str, options: tuple[str, ...] = ()) -> str:
    result = call(data, *options)
    assert result.exit_code == code, result.output
    for text in says:
        assert text in result.output, f"{text!r} not in {result.output}"
    return result.output


def small_layout(root: Path, frames: dict[str, int], rows: int = 30) -> Path:
    """Gray videos by name with their frames, each annotated with so many rows, in the training split."""
    place = root / "VA_Estimation_Challenge" / "Train_Set"
    place.mkdir(parents=True)
    for number, (name, count) in enumerate(frames.items()):
        write_video(root / name, [gray(10 * number + index) for index in range(count)])
        (place / f"{Path(name).stem}.txt").write_text("valence,arousal\n" + "0.5,-0.5\n" * rows)
    return root


def write_crops(folder: Path, *numbers: int) -> None:
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / f"{number:05d}.jpg").touch()


def test_a_sound_data_set_passes_with_its_counts(data: Path) -> None:
    report = check(data, 0, "Nothing is known to be in the way", options=("--decode",))
    for folder, split in (("Train_Set", "train"), ("Validation_Set", "validation"), ("Test_Set", "test")):
        files = [path for path in annotations(data) if path.parent.name == folder]
        rows = np.concatenate([np.loadtxt(path, delimiter=",", skiprows=1) for path in files])
        kept = rows[(rows != -5).all(axis=1)]
        (line,) = [line for line in report.splitlines() if line.startswith(split)]
        counts = [len(files), len(files), len(rows), len(kept), len(rows) - len(kept), 0]
        assert [int(word.replace(",", "")) for word in line.split()[1:7]] == counts
        spread = [part for column in kept.T for part in (column.min(), column.mean(), column.max())]
        assert [float(word) for word in re.findall(r"[+-]\d\.\d{3}", line)] == pytest.approx(spread, abs=6e-4)
    assert "remark(s)" in report and "Remarks" not in report


FAULTS: list[tuple[bytes, str]] = [
    (b"valence,arousal\nnan,0\n", "line 2: valence is nan"),
    (b"valence,arousal\n0,0\n0,-inf\n3,0\n", "line 3: arousal is -inf. (and 1 more in this file)"),
    (b"valence,arousal\n0.1,0.2,0.3\n", "line 2 is '0.1,0.2,0.3'"),
    (b"", ".txt is empty"),
    (b"valence,arousal\n0,0 \xfc\n", "line 2 isn't UTF-8 text"),
]


def test_faulty_annotations_are_all_listed_and_cost_extract_just_these_clips(
    data: Path, models: Path, tmp_path: Path
) -> None:
    *bad, good = annotations(data)
    good.write_bytes(b"\xef\xbb\xbf" + good.read_bytes().replace(b"\n", b"\r\n").replace(b"valence,a", b"VALENCE,A"))
    for path, (content, _) in zip(bad, FAULTS, strict=True):
        path.write_bytes(content)
    report = check(data, 1, "faulty annotations: 5", "5 that cost a clip", *(says for _, says in FAULTS))
    assert good.name not in report and "valence is 3.0" not in report
    check(data, 1, "line 4: valence is 3.0", options=("--all",))

    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models / "models")
    chain = Chain(data, tmp_path / "cache", tmp_path / "runs" / "bad")
    result = chain.embeddings()
    assert result.exit_code == 1
    assert {failure["id"] for failure in chain.manifest()["failures"]} == {path.stem for path in bad}
    assert [clip["id"] for clip in chain.manifest()["clips"]] == [good.stem]
    for _, says in FAULTS:
        assert says.removesuffix(" (and 1 more in this file)") in result.output


def test_masked_and_faulty_rows_are_counted_apart(tmp_path: Path) -> None:
    small_layout(tmp_path, {"a.mp4": 5})
    rows = "valence,arousal\n0.5,0.25\n-5,0\n0,-5\n2,0\n1,-1\n"
    (tmp_path / "VA_Estimation_Challenge" / "Train_Set" / "a.txt").write_text(rows)
    (line,) = [line for line in check(tmp_path, 1).splitlines() if line.startswith("train")]
    assert line.split()[1:7] == ["1", "1", "5", "2", "2", "1"]
    assert line.endswith("+0.500, +0.750, +1.000    -1.000, -0.375, +0.250")


def test_faults_of_the_layout_and_of_files_come_together(data: Path) -> None:
    one, two, three, *_ = annotations(data)
    shutil.copy(one, next(path.parent for path in annotations(data) if path.parent != one.parent) / one.name)
    two.write_text("valence,arousal\n")
    next(data.rglob(f"{three.stem}.mp4")).unlink()
    check(
        data,
        1,
        "Stage 1 would not begin, or stage 2 would not train:",
        "clips in two splits: 1",
        "annotations without video: 1",
        "Stage 1 would set these clips aside",
        f"{two.name} has a header and no rows",
        "2 fault(s) that stop a stage, 1 that cost a clip",
    )


def test_rows_against_frames_by_the_header_and_by_decoding(tmp_path: Path) -> None:
    small_layout(tmp_path, {"equal.mp4": 30, "near.mp4": 27, "far.mp4": 12, "far.mkv.mkv": 45})
    says = "far.txt has 30 rows, its video 12 frames"
    near = "near.txt: 30 rows for 27 frames; the 3 surplus rows were cut off"
    doubt = "In doubt: 2 finding(s)"
    report = check(tmp_path, 0, says, near, "by its header (--decode makes sure): 2", doubt, "videos without sound: 4")
    assert "equal.txt" not in report
    report = check(tmp_path, 1, says, near, "that don't fit their video: 2", options=("--decode",))
    assert "by its header" not in report and "In doubt" not in report


def test_a_header_that_counts_wrongly_is_told_by_decoding(shared: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copy(shared("hard/noface_pyfeat.mp4"), tmp_path / "clip.mp4")
    place = tmp_path / "VA_Estimation_Challenge" / "Train_Set"
    place.mkdir(parents=True)
    (place / "clip.txt").write_text("valence,arousal\n" + "0,0\n" * 95)
    check(tmp_path, 0, "95 rows for 98 frames")
    report = check(tmp_path, 0, "has 95 frames, by its header 98", options=("--decode",))
    assert "mended" not in report


def test_a_rate_that_is_not_the_tagged_one_is_a_remark(tmp_path: Path) -> None:
    small_layout(tmp_path, {"10-60-1280x720.mp4": 30, "11-25-64x48.mp4": 30, "video5.mp4": 30})
    report = check(tmp_path, 0, "rates other than the name says", "10-60-1280x720.mp4 runs at 25 frames a second")
    assert "11-25" not in report.split("rates other")[1].split("videos")[0]


def test_videos_that_cannot_be_read_cost_their_clips(tmp_path: Path) -> None:
    small_layout(tmp_path, {"a.mp4": 30, "b.mp4": 30, "c.mp4": 30})
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "b.mp4").write_bytes(b"no video at all")
    place = tmp_path / "VA_Estimation_Challenge" / "Train_Set"
    shutil.copy(place / "b.txt", place / "b_left.txt")  # of the same video, which is one fault
    check(tmp_path, 1, "videos that can't be decoded: 2", "a.mp4 is empty (0 bytes)", "b.mp4 can't be read as a video")


def test_damage_behind_the_first_frame_is_found_by_decoding(shared: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copy(shared("hard/corrupted_decord.mp4"), tmp_path / "clip.mp4")
    check(tmp_path, 0, "as far as can be told without decoding")
    check(tmp_path, 1, "decoding broke off after 28 frames", options=("--decode",))


def test_one_content_under_two_names_or_splits_is_seen(tmp_path: Path) -> None:
    small_layout(tmp_path, {"a.mp4": 30, "b.mp4": 30, "two.mp4": 30})
    place = tmp_path / "VA_Estimation_Challenge"
    (place / "Validation_Set").mkdir()
    shutil.copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    (place / "Train_Set" / "b.txt").rename(place / "Validation_Set" / "b.txt")
    shutil.copy(place / "Train_Set" / "two.txt", place / "Validation_Set" / "two_left.txt")
    same = "b.mp4 (validation) is a.mp4 (train)"
    check(tmp_path, 1, "the same video under two names, in different splits: 1", same, "two.mp4 is in train and in")
    (place / "Validation_Set" / "b.txt").rename(place / "Train_Set" / "b.txt")
    (place / "Validation_Set" / "two_left.txt").rename(place / "Train_Set" / "two_left.txt")
    check(tmp_path, 0, "the same video under two names: 1", "b.mp4 (train) is a.mp4 (train)")


def test_crops_are_counted_and_matter_where_the_recipe_takes_them(tmp_path: Path) -> None:
    small_layout(tmp_path, {"gaps.mp4": 30, "many.mp4": 30, "none.mp4": 30, "empty.mp4": 30, "zero.mp4": 30})
    crops = tmp_path / "cropped_aligned"
    write_crops(crops / "gaps", 2, 3, 5)
    write_crops(crops / "many", *range(1, 41))
    write_crops(crops / "empty")
    write_crops(crops / "zero", 0, 1)
    gaps = "cropped_aligned/gaps: 2 of 1 to 5 are missing"
    check(tmp_path, 0, gaps, "empty folders of crops: 1", "crops are numbered from 1")
    report = check(tmp_path, 1, gaps, "clips without ready crops: 1", "none: there is no cropped", options=CROPS)
    assert "up to number 40, but many.mp4 has 30 frames" in report and "3 that cost a clip" in report
    check(tmp_path, 1, "4 that cost a clip", options=(*CROPS, "--decode"))


def test_crops_without_their_video_are_held_against_the_rows(tmp_path: Path) -> None:
    small_layout(tmp_path, {"few.mp4": 30, "near.mp4": 30, "many.mp4": 30})
    for video in tmp_path.glob("*.mp4"):
        video.unlink()
    for name, highest in (("few", 20), ("near", 32), ("many", 50)):
        write_crops(tmp_path / "cropped_aligned" / name, *range(1, highest + 1))
    rate = (*CROPS, "--set", "stage1.faces.crops_rate_hz=30")
    check(tmp_path, 1, "has ready crops only", "4 that cost a clip")
    check(tmp_path, 1, "few has no clock", "4 that cost a clip", options=CROPS)
    check(tmp_path, 1, "many.txt has 30 rows", "near: crops up to number 32, 30 rows", "1 that cost", options=rate)


def test_a_faulty_transcript_and_a_setting_that_cannot_be_are_faults(tmp_path: Path) -> None:
    small_layout(tmp_path, {"a.mp4": 30})
    (tmp_path / "a.srt").write_text("")
    report = check(tmp_path, 1, "faulty transcripts: 1", options=("--set", "stage1.faces.policy=all"))
    assert "faces.policy: all makes each face a clip" in report and "1 fault(s) that stop a stage" in report


def test_a_folder_of_videos_is_checked_too(tmp_path: Path) -> None:
    write_video(tmp_path / 'Zoë\'s "talk".mp4', [gray(1)] * 3)
    check(tmp_path, 0, "(folder)", "unsplit          1         0")
    (tmp_path / b"\xfc.mp4".decode("utf-8", "surrogateescape")).touch()
    (tmp_path / "a\\b.mp4").touch()
    check(tmp_path, 1, "names: 2")
    (tmp_path / "empty").mkdir()
    check(tmp_path / "empty", 1, "There is no video in")
    assert call(tmp_path / "nowhere").exit_code == 2


def test_ten_of_a_kind_are_named_in_natural_order_and_all_on_request(tmp_path: Path) -> None:
    place = tmp_path / "VA_Estimation_Challenge" / "Train_Set"
    place.mkdir(parents=True)
    for number in range(12):
        (place / f"v{number}.txt").write_text("valence,arousal\n0,0\n")
    short = check(tmp_path, 1, "annotations without video: 12", "and 2 more (--all lists them)")
    assert "v10.txt" not in short and short.index("v2.txt") < short.index("v9.txt")
    check(tmp_path, 1, "v10.txt", "v11.txt", options=("--all",))


def test_rows_of_text_count_as_labels(small_recipe: Recipe, tmp_path: Path) -> None:
    rows = (Utterance("ja", 0.5, -0.5), Utterance("nein", None, 0.25))
    survey = Survey("tables", tmp_path, (Clip("one", tmp_path / "t.csv", "train", utterances=rows),))
    check = check_data(small_recipe, survey)
    assert check.passed and check.counts["train"].rows == 2
    assert check.counts["train"].annotated.tolist() == [[0.5, -0.5]]


def test_lines_can_be_printed_whatever_a_name_holds(small_recipe: Recipe, tmp_path: Path) -> None:
    survey = Survey("folder", tmp_path, (), (Finding("remark", "k", b"\xfc".decode("utf-8", "surrogateescape")),))
    assert any(r"\udcfc" in line for line in in_words(check_data(small_recipe, survey), "demo"))


def test_no_model_library_is_loaded(data: Path) -> None:
    code = (
        "import sys; from stage1_embeddings.cli import main\n"
        f"try: main(['check-data', '--data', {str(data)!r}])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert not {'torch', 'transformers', 'whisper'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
