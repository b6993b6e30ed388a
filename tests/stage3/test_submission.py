"""A submission has exactly the sample's rows, in its order, each with a value; what else comes in is refused."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError, UsageError
from common.manifest import CachedClip, Failure, Manifest, write_manifest
from common.schema import MODALITIES
from stage3_mlp import submission, test
from stage3_mlp.cli import main
from stage3_mlp.predictions import ClipPrediction
from stage3_mlp.samplefile import SampleRows, read_sample
from tests.integration.chain import Chain

HEADER = "image_location,valence,arousal\n"


def prediction(name: str, frames: int, nothing: tuple[int, ...] = (), scale: float = 1.0) -> ClipPrediction:
    values = scale * np.random.default_rng(frames).normal(0, 0.8, (frames, 2)).astype(np.float32)
    seen = np.ones(frames, bool)
    seen[list(nothing)] = False
    present = {modality: seen & (modality == "visual") for modality in MODALITIES}
    empty = np.full((frames, 2), np.nan, np.float32)
    return ClipPrediction(name, np.arange(frames) / 30, values, values[:, 0], values[:, 1], empty, present)


def sample_of(path: Path, text: str) -> SampleRows:
    path.write_text(text, encoding="utf-8", newline="")
    return read_sample(path)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with clips ``a`` (6 frames), ``b, "2"`` (4), ``dark`` (3, nothing behind them), ``broken`` (failed)."""
    known = {clip.clip: clip for clip in (prediction("a", 6, (0, 3, 4)), prediction('b, "2"', 4, scale=3.0))}
    known["dark"] = prediction("dark", 3, (0, 1, 2))
    entries = tuple(CachedClip(name, "test", f"{name}.mp4", len(p.time_s), False, "c") for name, p in known.items())
    failed = (Failure("broken", "broken.mp4 is empty.", "Fetch it again."),)
    write_manifest(tmp_path / "run" / "fused", Manifest("data", "affwild2", "fused/x", {}, {}, entries, failed))
    monkeypatch.setattr(submission, "read_record", lambda folder, made_by: {})
    monkeypatch.setattr(
        test, "predict_clips", lambda head, cache, manifest, clips, device: [known[c.id] for c in clips]
    )
    return tmp_path / "run"


def submit(run: Path, text: str, *, allow: bool = False) -> tuple[list[list[str]], list[str]]:
    """The rows of the submission, and what was said."""
    sample, out = run / "sample.txt", run / "submission.txt"
    sample.write_text(text, encoding="utf-8", newline="")
    said: list[str] = []
    submission.submit(sample, out, run, run, "cpu", said.append, allow_missing_clips=allow)
    with out.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file)), said


def test_rows_come_in_the_samples_order_with_the_frames_own_values(run: Path) -> None:
    text = (
        HEADER
        + '"b, ""2""/00004.jpg",0,0\na/00003.jpg,0,0\na/000002.jpg,-5,1e-3\na/6.jpg,0,0\n"b, ""2""/00001.jpg",0,0\n'
    )
    rows, said = submit(run, text)
    assert rows[0] == ["image_location", "valence", "arousal"]
    assert [row[0] for row in rows[1:]] == [
        'b, "2"/00004.jpg',
        "a/00003.jpg",
        "a/000002.jpg",
        "a/6.jpg",
        'b, "2"/00001.jpg',
    ]
    a, b = prediction("a", 6).values, np.clip(prediction("b", 4, scale=3.0).values, -1, 1)
    assert np.abs(prediction("b", 4, scale=3.0).values).max() > 1
    wanted = [b[3], a[2], a[1], a[5], b[0]]
    assert np.array_equal(np.array([row[1:] for row in rows[1:]], np.float32), np.clip(wanted, -1, 1))
    assert said == [f"Submission: {run / 'submission.txt'} (5 rows of 2 clips)"]


def test_rows_without_a_prediction_get_the_nearest_frames_and_are_counted(run: Path) -> None:
    rows, said = submit(run, HEADER + "".join(f"a/{number:05d}.jpg,0,0\n" for number in range(1, 10)))
    a = np.clip(prediction("a", 6).values, -1, 1)
    # Frames 0, 3 and 4 have nothing behind them; 6, 7 and 8 don't exist.
    assert np.array_equal(np.array([row[1:] for row in rows[1:]], np.float32), a[[1, 1, 2, 2, 5, 5, 5, 5, 5]])
    assert said[0].startswith("Note: 3 of 9 rows lie beyond their clip's last frame")
    assert said[1].startswith("Note: 3 of 9 rows have no face, sound or word")


def test_the_earlier_of_two_frames_as_near_is_taken() -> None:
    rows = SampleRows(["a"], np.zeros(3, np.int32), np.array([0, 2, 9], np.int32), np.full(3, 5, np.uint8))
    clip = prediction("a", 5, (0, 2, 4))
    values, _ = submission.fill(rows, {"a": clip})
    assert np.array_equal(values, np.clip(clip.values[[1, 1, 3]], -1, 1))


@given(st.data())
def test_every_fill_is_the_nearest_predicted_frame(data: st.DataObject) -> None:
    seen = data.draw(st.lists(st.booleans(), min_size=1, max_size=20).filter(any))
    frames = data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=20, unique=True))
    clip = prediction("a", len(seen), tuple(i for i, behind in enumerate(seen) if not behind))
    count = len(frames)
    rows = SampleRows(["a"], np.zeros(count, np.int32), np.array(frames, np.int32), np.full(count, 5, np.uint8))
    values, filled = submission.fill(rows, {"a": clip})
    known = [i for i, behind in enumerate(seen) if behind]
    nearest = [min(known, key=lambda i, frame=frame: (abs(i - frame), i)) for frame in frames]
    assert np.array_equal(values, np.clip(clip.values[nearest], -1, 1))
    own = sum(frame < len(seen) and seen[frame] for frame in frames)
    assert count == own + filled.beyond + filled.nothing_behind


@pytest.mark.parametrize(("clip", "why"), [("dark", ""), ("broken", "broken failed in stage 1: broken.mp4 is empty")])
def test_a_clip_without_any_prediction_is_refused_or_filled_on_request(run: Path, clip: str, why: str) -> None:
    text = f"{HEADER}a/00002.jpg,0,0\n{clip}/00001.jpg,0,0\n{clip}/00002.jpg,0,0\n"
    with pytest.raises(DataError, match=rf"1 clip\(s\) .*: {clip}\..*{why}.*--allow-missing-clips"):
        submit(run, text)
    assert not (run / "submission.txt").exists()
    rows, said = submit(run, text, allow=True)
    a = np.clip(prediction("a", 6).values, -1, 1)
    mean = a[[1, 2, 5]].mean(axis=0, dtype=np.float64).astype(np.float32)
    assert np.array_equal(np.array([row[1:] for row in rows[1:]], np.float32), [a[1], mean, mean])
    assert "2 of 3 rows are of clips without a single prediction" in said[0]


def test_nothing_predicted_at_all_cannot_be_filled(run: Path) -> None:
    with pytest.raises(DataError, match="there is nothing to submit"):
        submit(run, HEADER + "dark/00001.jpg\n", allow=True)


def test_an_unknown_video_is_named_with_its_line_and_others(run: Path) -> None:
    text = HEADER + "a/00001.jpg,0,0\n" + "".join(f"x{number}/00001.jpg,0,0\n" for number in range(13))
    with pytest.raises(
        DataError, match=r"sample.txt, line 3: this run has no clip 'x0'.*x1, .*x10 and 2 more"
    ) as error:
        submit(run, text)
    assert "x11" not in str(error.value) and not (run / "submission.txt").exists()


@pytest.mark.parametrize(
    "text",
    [
        "image_location\na/00001.jpg\na/00002.jpg\n",
        "\ufeffImage_Location,VALENCE,Arousal\r\na/00001.jpg,0,0\r\na/00002.jpg\r\n\r\n",
        "image_location, valence, arousal\na/00001.jpg,0.5, -5\na/00002.jpg,nan,0",
    ],
)
def test_forms_of_the_sample_that_are_accepted(tmp_path: Path, text: str) -> None:
    rows = sample_of(tmp_path / "s.txt", text)
    assert list(rows.locations(0, len(rows))) == ["a/00001.jpg", "a/00002.jpg"]
    assert (rows.videos, rows.video.tolist(), rows.frame.tolist()) == (["a"], [0, 0], [0, 1])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "s.txt is empty"),
        ("\n\n", "line 1 is ''"),
        (HEADER, "has a header and no rows"),
        ("a/00001.jpg,0,0\na/00002.jpg,0,0\n", "line 1 is 'a/00001.jpg,0,0'.*The header must be"),
        ("image_location,arousal,valence\na/00001.jpg,0,0\n", "The header must be"),
        (HEADER + "a/00001.png,0,0\n", "line 2 is 'a/00001.png,0,0'"),
        (HEADER + "00001.jpg,0,0\n", "line 2 is '00001.jpg,0,0'"),
        (HEADER + "a/1.jpg,0,0\na/b.jpg,0,0\n", "line 3 is 'a/b.jpg,0,0'"),
        (HEADER + "a/00000.jpg,0,0\n", "line 2 is 'a/00000.jpg'.*count from 1"),
        (HEADER + "a/00001.jpg,0\n", "line 2 is 'a/00001.jpg,0'.*two numbers"),
        (HEADER + "a/00001.jpg,0,x\n", "line 2 is 'a/00001.jpg,0,x'.*two numbers"),
        (HEADER + "a/00001.jpg,0,0,0\n", "two numbers"),
        (HEADER + "a/00001.jpg,0,0\n\na/00002.jpg,0,0\n", "line 3 is empty, and lines follow"),
        (
            HEADER + "a/1.jpg,0,0\nb/1.jpg,0,0\nb/2.jpg,0,0\nb/00001.jpg,0,0\na/1.jpg,0,0\n",
            "'b/00001.jpg' is on line 3 and again on line 5",
        ),
        (HEADER + '"a/00001.jpg,0,0\n', "line 2 can't be read"),
        (HEADER + '"a\nb/00001.jpg",0,0\n', "line 2 is"),
    ],
)
def test_faulty_samples_say_where(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=f"(?s){says}"):
        sample_of(tmp_path / "s.txt", text)


def test_a_sample_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_bytes(HEADER.encode() + b"Zo\xeb/00001.jpg,0,0\n")
    with pytest.raises(DataError, match=r"s.txt isn't UTF-8 text \(byte 0xeb\)"):
        read_sample(tmp_path / "s.txt")
    with pytest.raises(UsageError, match="There is no sample file"):
        read_sample(tmp_path / "t.txt")


def test_the_sample_file_is_never_written_over(run: Path) -> None:
    sample = run / "sample.txt"
    sample.write_text(HEADER + "a/00001.jpg,0,0\n")
    with pytest.raises(UsageError, match="is the sample file itself"):
        submission.submit(sample, run / "." / "sample.txt", run, run, "cpu", print)
    assert sample.read_text() == HEADER + "a/00001.jpg,0,0\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image_location,valence\na/00001.jpg,0,0\na/00002.jpg,0,0\n", "Line 1"),
        (HEADER + "a/00002.jpg,0,0\na/00001.jpg,0,0\n", "Line 2 .* not 'a/00001.jpg'"),
        (HEADER + "a/00001.jpg,0,0\na/00002.jpg,nan,0\n", "Line 3 .* no two values"),
        (HEADER + "a/00001.jpg,0,1.0001\na/00002.jpg,0,0\n", "Line 2 .* no two values"),
        (HEADER + "a/00001.jpg,0,0\n", "doesn't have the 2 rows"),
        (HEADER + "a/00001.jpg,0,0\na/00002.jpg,0,0\na/00002.jpg,0,0\n", "doesn't have the 2 rows"),
    ],
)
def test_what_is_not_the_sample_in_full_is_not_proved(tmp_path: Path, text: str, says: str) -> None:
    rows = sample_of(tmp_path / "s.txt", HEADER + "a/00001.jpg\na/00002.jpg\n")
    (tmp_path / "out.txt").write_text(text)
    with pytest.raises(DataError, match=says):
        submission.prove(tmp_path / "out.txt", rows)


def test_a_prediction_that_is_no_number_leaves_the_former_file_as_it_was(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former, _ = submit(run, HEADER + "a/00002.jpg\n")
    bad = prediction("a", 6)
    bad.values[1] = np.nan
    monkeypatch.setattr(test, "predict_clips", lambda *_: [bad])
    with pytest.raises(DataError, match=r"no two values in \[-1, 1\]"):
        submit(run, HEADER + "a/00002.jpg\n")
    with (run / "submission.txt").open(newline="") as file:
        assert list(csv.reader(file)) == former
    assert not list(run.glob(".submission*"))


def test_a_test_split_without_labels_goes_through_the_chain_to_a_submission(
    corpus: Path, models: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(corpus, tmp_path / "data"))
    unlabelled = {}
    for path in sorted(data.rglob("Test_Set/*.txt")):
        unlabelled[path.stem] = len(path.read_text().splitlines()) - 1
        path.unlink()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models / "models")
    chain = Chain(data, tmp_path / "cache", tmp_path / "runs" / "blind")
    results = chain.all()
    assert [result.exit_code for result in results] == [0] * 5, [result.output for result in results]
    clips = {clip["id"]: clip for clip in chain.manifest()["clips"]}
    assert {name for name, clip in clips.items() if clip["split"] == "test"} == set(unlabelled)
    assert not any(clips[name]["labelled"] for name in unlabelled)
    assert "There are no test labels: this is the validation split" in results[-1].output

    sample, out = tmp_path / "sample.txt", tmp_path / "out" / "blind.txt"
    places = [f"{name}/{number:05d}.jpg" for name, frames in unlabelled.items() for number in range(frames, 0, -1)]
    sample.write_text(HEADER + "".join(f"{place},0,0\n" for place in places))
    arguments = ["submit", "--sample-file", str(sample), "--out", str(out), "--device", "cpu"]
    done = CliRunner().invoke(main, [*arguments, "--cache", str(chain.cache), "--run", str(chain.run)])
    assert done.exit_code == 0, done.output
    assert f"({len(places):,} rows of {len(unlabelled)} clips)" in done.output
    with out.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert ",".join(header) + "\n" == HEADER and [row[0] for row in rows] == places

    predicted = CliRunner().invoke(
        main, ["predict", "--cache", str(chain.cache), "--run", str(chain.run), "--device", "cpu"]
    )
    assert predicted.exit_code == 0, predicted.output
    with (chain.run / "predictions.csv").open(newline="") as file:
        known = {(row["clip"], int(row["frame"])): (row["valence"], row["arousal"]) for row in csv.DictReader(file)}
    for place, *values in rows:
        clip, number = place.removesuffix(".jpg").split("/")
        own = known[clip, int(number) - 1]
        assert own == ("", "") or [np.clip(np.float32(v), -1, 1) for v in own] == [np.float32(v) for v in values]
