"""One clip in words and as a picture."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_cache import ONE, TWO, arrays, call, kept_crops, put

from common.schema import (
    AROUSAL,
    FACE_BOX,
    FACE_LANDMARKS,
    FACE_SCORE,
    MODALITIES,
    TIME,
    VALENCE,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    present,
)
from stage1_embeddings.upkeep.canvas import curve
from stage1_embeddings.upkeep.clipview import find_clip, read_view
from stage1_embeddings.upkeep.clipwords import rate_in_words, stretches
from stage1_embeddings.upkeep.pictures import draw_clip, strip_frames, word_lanes
from tests.common.media_files import gray, write_video


def test_inspect_says_what_a_clip_holds(cache: Path, tmp_path: Path) -> None:
    labels = np.linspace(-0.5, 0.5, 8, dtype=np.float32)
    labels[0] = np.nan
    put(cache, "a", arrays=arrays() | {VALENCE: labels, AROUSAL: labels}, source="a.mp4", source_size=9, mended="m 1")
    result = call(cache, "inspect", "a")
    assert result.exit_code == 0
    assert "75.0% of the frames; without: 0.24-0.32 s" in result.stdout
    assert "2 words: grüße ja" in result.stdout
    assert "1 frames not annotated" in result.stdout
    assert "25.00 frames/s, even" in result.stdout
    assert "no longer there unchanged" in result.stdout
    assert "mended   m 1" in result.stdout
    assert f"also in  {TWO}" in result.stdout


def test_inspect_helps_with_names_and_folders(cache: Path) -> None:
    put(cache, "video_left")
    result = call(cache, "inspect", "vidoe_left")
    assert (result.exit_code, "Nearest: video_left." in result.stderr) == (2, True)
    os.utime(cache / "features" / TWO / "a.h5", (1, 1))
    assert find_clip(cache, "a")[0].parent.name == ONE
    assert find_clip(cache, "a", TWO[:4])[0].parent.name == TWO
    assert call(cache, "inspect", "a", "--folder", "77").exit_code == 2
    assert call(cache, "inspect", "a", "--out", "a.jpg").exit_code == 2


def test_rate_and_stretches_have_known_answers() -> None:
    assert rate_in_words(np.array([0.0])) == "a single frame has none"
    assert "; variable: 25% of the steps are others, 40.0 to 80.0 ms" in rate_in_words(
        np.array([0, 0.04, 0.08, 0.12, 0.2])
    )
    mask = np.array([True, False, True, True])
    assert stretches(mask, np.arange(5.0)) == [(0.0, 1.0), (2.0, 4.0)]
    assert stretches(~mask, np.arange(5.0)) == [(1.0, 2.0)]


def test_words_never_cover_each_other() -> None:
    rng = np.random.default_rng(0)
    starts, widths = np.sort(rng.uniform(0, 100, 80)), rng.uniform(1, 20, 80)
    lanes = np.array(word_lanes(starts, widths))
    for lane in range(3):
        here = np.flatnonzero(lanes == lane)
        assert (starts[here][1:] >= (starts + widths)[here][:-1]).all()
    assert word_lanes(np.zeros(4), np.ones(4)) == [0, 1, 2, -1]


def picture(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def test_faces_come_from_kept_crops(cache: Path) -> None:
    from stage1_embeddings.upkeep.material import glimpses

    kept_crops(cache, "a", frames=8, missing=2)
    view = read_view(cache / "features" / ONE / "a.h5")
    found, origin = glimpses(view, [0, 5, 7], cache, lambda frame: None)
    assert origin == "Faces: kept crops. Grey: no face."
    assert [item.is_face for item in found] == [True, True, False]
    assert all(int(item.picture.mean()) == 200 for item in found[:2] if item.picture is not None)
    kept_crops(cache, "a", frames=3, missing=1)  # of other frames: not this clip's
    assert glimpses(view, [0, 5], cache, lambda frame: None)[1].startswith("The source isn't there")


def test_faces_come_from_the_source_only_while_it_is_unchanged(cache: Path, tmp_path: Path) -> None:
    from stage1_embeddings.upkeep.material import glimpses

    source = write_video(tmp_path / "ä ü.mp4", [gray(20 * level) for level in range(8)])
    status = source.stat()
    known = {"source_path": str(source), "source_size": status.st_size, "source_mtime_ns": status.st_mtime_ns}
    path = put(cache, "a", **known)
    found, _ = glimpses(read_view(path), [1, 3, 7], cache, lambda frame: None)
    assert [item.is_face for item in found] == [True, True, False]
    middle = [int(item.picture[56, 56].mean()) for item in found[:2] if item.picture is not None]
    assert middle == pytest.approx([20, 60], abs=3)
    os.utime(source, ns=(1, 1))
    assert read_view(path).source is None


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 5000])
def test_a_clip_of_any_length_is_drawn(tmp_path: Path, frames: int) -> None:
    words = ("Grüße", "$x^2$", "你好", "a\nb") + ("word",) * (frames // 10)
    labels = np.zeros(frames, dtype=np.float32)
    path = put(tmp_path, "ü", arrays=arrays(frames, words) | {VALENCE: labels, AROUSAL: labels})
    view = read_view(path)
    assert strip_frames(view) == sorted(set(strip_frames(view)))
    assert len(strip_frames(view)) == min(frames, 15)
    drawn = picture(draw_clip(view, tmp_path))
    assert drawn.shape[1] == 2400
    assert len(np.unique(drawn)) > 50


def test_a_clip_of_nothing_is_drawn(tmp_path: Path) -> None:
    content = arrays(4, ())
    for modality in MODALITIES:
        content[modality][:] = np.nan
        content[present(modality)] = np.zeros(4, dtype=np.bool_)
    for key in (FACE_BOX, FACE_LANDMARKS, FACE_SCORE):
        content[key][:] = np.nan
    path = put(tmp_path / "cache", "n", arrays=content)
    result = call(tmp_path / "cache", "inspect", "n", "--out", str(tmp_path / "n.png"))
    assert (result.exit_code, picture((tmp_path / "n.png").read_bytes()).shape[1]) == (0, 2400)
    assert "0.0% of the frames; no word" in result.stdout
    assert path.exists()


def test_a_long_curve_is_the_mean_of_its_columns(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    frames = 6000
    view = read_view(put(tmp_path, "l", arrays=arrays(frames)))
    values = np.tile([0.0, 1.0, np.nan], frames // 3)
    axes = Figure().add_subplot()
    curve(axes, view, values, "v", "k", "-")
    drawn = np.asarray(axes.lines[0].get_ydata())
    assert len(drawn) == 2000
    np.testing.assert_allclose(drawn, 0.5)


def test_only_words_within_a_face_track_are_its_words(tmp_path: Path) -> None:
    content = arrays(4) | {
        TIME: 10 + np.arange(4) / 25,
        WORD_TEXT: ["before", "now", "after"],
        WORD_START: np.array([0, 10.05, 30]),
        WORD_END: np.array([1, 10.1, 31]),
    }
    assert read_view(put(tmp_path, "v.face1", arrays=content)).words == ["now"]
