"""The page of a video, as it is written: what stands in it, what its scripts are given, what it refuses."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DataError
from common.listening import Listening
from common.metrics import score
from common.words import Word
from stage3_mlp.page import number
from stage3_mlp.predictions import write_predictions
from stage3_mlp.views.clip import page as clip_page
from stage3_mlp.views.clip.data import MAX_COLUMNS, page_data
from stage3_mlp.views.clip.facts import track_facts
from stage3_mlp.views.colours import LABELS, LABELS_DARK, TRACKS, TRACKS_DARK
from stage3_mlp.views.media import Media
from stage3_mlp.views.view import Track, VideoView
from tests.stage3.read_page import EVIL, Page
from tests.stage3.viewed import PATHS, spoken, track, view, written

VENDOR = Path(clip_page.__file__).parent / "vendor" / "uplot"


def block(page: str, name: str) -> str:
    """What lies in a block of data."""
    found = re.search(rf'<script type="[a-z/]+" id="{name}"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found, f"the page has no block {name!r}"
    return found[1]


def array(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def changed(**changes: Any) -> Track:
    """A track whose prediction differs in these arrays."""
    made = track()
    return replace(made, prediction=replace(made.prediction, **changes))


def without_paths(made: Track) -> Track:
    """Its paths add nothing at any moment."""
    nothing = np.full((len(made.prediction.time_s), 6), np.nan, np.float32)
    return replace(made, listening=Listening(PATHS, nothing, nothing))


def mp4(folder: Path, name: str = "talk.mp4", size: int = 100) -> Media:
    """Not a video, but bytes to be carried."""
    (folder / name).write_bytes(bytes(range(100)) * (size // 100))
    return Media(folder / name, 0.5, 320, 180, 640)


def test_the_chart_library_is_the_one_that_was_published() -> None:
    sums = dict(re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|$", (VENDOR / "README.md").read_text(), re.MULTILINE))
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    del files["README.md"]
    assert sums == files and "uPlot.iife.min.js" in sums


def test_names_and_words_of_strangers_are_text(tmp_path: Path) -> None:
    words = (Word(EVIL, 0, 1), Word("</script><script>alert(2)</script>", 1, 2), Word("\udc80 ", 2, 3))
    page = written(tmp_path / "p.html", view(track(EVIL), name=EVIL, words=words), why_no_media=EVIL, remarks=[EVIL])
    assert EVIL not in page and "alert(2)</script>" not in page
    read = Page(tmp_path / "p.html")
    assert read.text.count(EVIL) >= 4 and read.of("img") == []
    assert json.loads(block(page, "data"))["tracks"][0]["name"] == EVIL


def test_only_the_pages_own_scripts_may_run_and_nothing_is_fetched(tmp_path: Path) -> None:
    page = written(tmp_path / "p.html", view(), media=mp4(tmp_path))
    policy = next(a["content"] for a in Page(tmp_path / "p.html").of("meta") if "Security" in a.get("http-equiv", ""))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 2 and f"script-src 'sha256-{hashes[0]}' 'sha256-{hashes[1]}'; media-src blob:" in policy
    assert policy.startswith("default-src 'none'") and "connect-src" not in policy
    assert not re.search(r"\son[a-z]+=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


def test_no_script_ends_early_or_reaches_out() -> None:
    source = clip_page.page_script()
    assert "</script" not in source and "<!--" not in source
    assert not re.search(
        r"innerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\bfetch\b|https?://(?!www\.w3\.org/2000/svg)",
        source,
    )


def test_the_numbers_are_there_byte_for_byte(tmp_path: Path) -> None:
    made = track(labels=True)
    write_predictions(tmp_path / "p.csv", [made.prediction])
    csv = (tmp_path / "p.csv").read_bytes()
    page = written(tmp_path / "p.html", view(made, name='a"b'), csv=csv)
    assert gzip.decompress(base64.b64decode(block(page, "csv"))) == csv
    assert 'data-name="a&#34;b.csv"' in page


def test_what_the_scripts_read_is_what_was_predicted(tmp_path: Path) -> None:
    made = track(start_s=5.0, labels=True)
    made.prediction.values[7] = np.inf
    made.prediction.present["audio"][:] = made.prediction.present["text"][:] = False
    page = written(tmp_path / "p.html", view(made, words=spoken("one two", 4, 5)), media=mp4(tmp_path))
    data = json.loads(block(page, "data"))
    given_track = data["tracks"][0]
    assert (array(given_track["time"], "<f8") == made.prediction.time_s).all()
    face = made.prediction.present["visual"]
    valence = array(given_track["values"][0], "<f4")
    gone = np.flatnonzero(~np.isfinite(valence))
    assert set(gone) == {7, *np.flatnonzero(~face)}, "gaps are where nothing is finite or nothing is behind"
    kept = np.isfinite(valence)
    assert (valence[kept] == made.prediction.values[kept, 0]).all()
    assert (array(given_track["labels"][1], "<f4") == made.prediction.labels[:, 1]).all()
    assert (array(given_track["present"], "u1") == face.astype(int)).all()
    box = array(given_track["box"], "<i2").reshape(-1, 4)
    assert (box[~face] == -32768).all() and np.abs(box[face] - made.box[face]).max() <= 0.5
    assert data["media"] == {"start_s": 0.5, "scale": 0.5}
    assert array(data["words"]["start"], "<f8").tolist() == [5.005, 7.005]


@given(frames=st.sampled_from([1, 2, 2000, 2001, 4500]), seed=st.integers(0, 3))
def test_strips_are_means(frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    strength = rng.random((frames, 2)).astype(np.float32)
    strength[rng.random((frames, 2)) < 0.3] = np.nan
    made = replace(track("t", frames), listening=Listening(("audio->text", "text->audio"), strength, strength))
    strips = page_data(view(made), None)["tracks"][0]["listening"]
    means = array(strips["strength"]["columns"], "<f4").reshape(2, -1).T
    assert len(means) <= MAX_COLUMNS and len(means) == -(-frames // strips["step"])
    for column, mean in enumerate(means):
        rows = strength[column * strips["step"] : (column + 1) * strips["step"]]
        for path in (0, 1):
            there = rows[np.isfinite(rows[:, path]), path]
            assert np.isnan(mean[path]) == (len(there) == 0)
            if len(there):
                assert mean[path] == pytest.approx(there.mean(), rel=1e-5)


def test_attention_that_is_nowhere_has_a_scale_all_the_same() -> None:
    strips = page_data(view(without_paths(track())), None)["tracks"][0]["listening"]
    assert strips["strength"]["top"] == 0 and np.isnan(array(strips["strength"]["columns"], "<f4")).all()


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (("audio",), "only sound is there."),
        (("text",), "only words are there."),
        ((), "neither face nor sound nor a word is there."),
        (("visual", "audio"), "it takes two of face, sound and words together."),
    ],
)
def test_why_no_path_adds_anything_is_said(there: tuple[str, ...], why: str) -> None:
    present = {name: np.full(100, name in there) for name in ("visual", "audio", "text")}
    shown = view(without_paths(changed(present=present)), track("b", listening=True))
    nothing = [given["listening"]["nothing"] for given in page_data(shown, None)["tracks"]]
    assert nothing == [f"No path adds anything: {why}", ""]


def test_a_small_video_lies_in_the_page_and_a_large_one_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = mp4(tmp_path, "50% of #1: a?b&c.mp4", 1000)
    monkeypatch.setattr(clip_page, "MAX_EMBEDDED_BYTES", 1000)
    page = written(tmp_path / "p.html", view(), media=media)
    assert base64.b64decode(block(page, "video-bytes")) == media.path.read_bytes()
    assert "too large" not in page
    monkeypatch.setattr(clip_page, "MAX_EMBEDDED_BYTES", 999)
    (tmp_path / "sub").mkdir()
    for where, address in ((tmp_path, ""), (tmp_path / "sub", "../")):
        page = written(where / "p.html", view(), media=media)
        read = Page(where / "p.html")
        assert read.of("video")[0]["src"] == address + "50%25%20of%20%231%3A%20a%3Fb%26c.mp4"
        assert "too large to lie in this page" in read.text and media.path.name in read.text
        assert 'id="video-bytes"' not in page


def test_without_a_video_the_page_says_why_and_shows_the_rest(tmp_path: Path) -> None:
    written(tmp_path / "p.html", view(), why_no_media="The video has gone.")
    page = Page(tmp_path / "p.html")
    assert "The video has gone." in page.text and page.of("video") == [] and "There are no words." in page.text
    assert "There are no labels, so there is no score." in page.text
    assert page_data(view(), None)["tracks"][0]["box"] is None


def test_facts_of_each_track(tmp_path: Path) -> None:
    tracks = track("a.face1", labels=True), track("a.face2", 40, start_s=1.0)
    written(tmp_path / "p.html", view(*tracks, name="a"))
    page = Page(tmp_path / "p.html")
    assert "2 faces" in page.text and "A face was found on 80 of 100 frames (80 %)." in page.text
    assert "A face was found on 32 of 40 frames (80 %)." in page.text
    assert page.row("a.face1")[-1] == "100" and not any(row[:1] == ["a.face2"] for row in page.rows)


def test_shares_are_of_time_not_of_frames() -> None:
    values = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.0, 0.0], [0.9, 0.9]], dtype=np.float32)
    made = track("c", 5).prediction
    present = {name: np.arange(5) < 4 for name in made.present}
    time_s = np.array([0.0, 1.0, 2.0, 7.0, 8.0])  # durations 1, 1, 5, 1 and, the last, with nothing behind it, 1
    facts = track_facts(replace(made, values=values, time_s=time_s, present=present), "#000000")
    assert dict(facts.shares) == {
        "high arousal, positive": 12.5,
        "high arousal, negative": 12.5,
        "low arousal, negative": 62.5,
        "low arousal, positive": 0,
        "neutral": 12.5,
    }
    assert facts.mean[0].text == "−0.125" and facts.quadrant == "high arousal, negative"
    assert (facts.bare, facts.lost, facts.labelled) == (1, 0, None)


def test_a_labelled_track_has_its_ccc_and_why_where_there_is_none() -> None:
    same = track(labels=True).prediction
    same.labels[:] = same.values
    same.labels[:10] = np.nan
    assert [cell.text for cell in track_facts(same, "").ccc] == ["1.000"] * 3
    assert track_facts(same, "").labelled == 90
    same.labels[11:] = np.nan
    assert {cell.why for cell in track_facts(same, "").ccc} == {"fewer than two frames have labels"}
    same.values[10] = np.nan
    assert {cell.why for cell in track_facts(same, "").ccc} == {"1 labelled frames have no finite prediction"}


def test_the_ccc_of_a_clip_is_the_tests() -> None:
    made = track(labels=True).prediction
    made.labels[20:40, 0] = made.labels[60:90, 1] = np.nan
    made.values[25] = np.inf  # has no valence to be compared with
    of_test = score([(np.where(np.isfinite(made.values), made.values, 0), made.labels)])
    facts = track_facts(made, "")
    figures = of_test.ccc_valence, of_test.ccc_arousal, of_test.ccc_mean
    assert [cell.text for cell in facts.ccc] == [number(figure, "").text for figure in figures]
    assert facts.labelled == of_test.frames == 50 and figures[0] != pytest.approx(figures[1])


def luminance(colour: str) -> float:
    return float(linear(colour) @ (0.2126, 0.7152, 0.0722))


def linear(colour: str) -> np.ndarray:
    """Red, green and blue as light: sRGB (IEC 61966-2-1) undone."""
    channels = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(("tracks", "labels", "dark"), [(TRACKS, LABELS, False), (TRACKS_DARK, LABELS_DARK, True)])
def test_tracks_stand_out_from_their_card_and_from_each_other(
    tmp_path: Path, tracks: tuple[str, ...], labels: str, dark: bool
) -> None:
    page = written(tmp_path / "p.html", view())
    card = [code if len(code) == 7 else "#ffffff" for code in re.findall(r"--card: (#[0-9a-f]+);", page)][dark]
    for colour in (*tracks, labels):
        low, high = sorted([luminance(colour), luminance(card)])
        assert (high + 0.05) / (low + 0.05) >= 3, colour
        assert colour in page
    # Without red cones, and without green ones, at full strength: Machado, Oliveira and Fernandes (2009).
    for seen in (
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ):
        shades = [np.cbrt(np.clip(np.array(seen) @ linear(colour), 0, 1)) for colour in tracks]
        apart = [np.abs(one - other).max() for i, one in enumerate(shades) for other in shades[:i]]
        assert min(apart) > 0.08


@pytest.mark.parametrize(
    "made",
    [
        track("x", 1, labels=True, listening=True),
        changed(values=np.full((100, 2), np.nan, np.float32)),
        changed(present={name: np.zeros(100, bool) for name in ("visual", "audio", "text")}),
        changed(time_s=5 + np.cumsum(np.random.default_rng(0).random(100))),
        changed(values=np.full((100, 2), 40, np.float32)),
        replace(track(), box=np.full((100, 4), np.nan, np.float32)),
        replace(track(), box=np.full((100, 4), 1e6, np.float32)),
    ],
)
def test_odd_tracks_have_a_page(tmp_path: Path, made: Track) -> None:
    page = written(tmp_path / "p.html", view(made, track("other", 3, start_s=60)), media=mp4(tmp_path))
    assert "NaN" not in block(page, "data"), "JSON has no NaN"
    read = Page(tmp_path / "p.html")
    unknown = not np.isfinite(made.prediction.values).any() or not made.prediction.anything.any()
    assert ("unknown" in read.text) == unknown
    assert ("lie beyond the edge" in read.text) == bool((made.prediction.values > 2).any())


def test_the_same_view_gives_the_same_bytes(tmp_path: Path) -> None:
    pages = [written(tmp_path / name, view(track(listening=True)), csv=b"a,b\n" * 99) for name in ("a", "b")]
    assert pages[0] == pages[1]


def test_ten_minutes_are_a_small_page(tmp_path: Path) -> None:
    made = track("long", 18_000, rate_hz=30, labels=True, listening=True)
    made.prediction.values[:] += np.random.default_rng(0).normal(0, 0.05, (18_000, 2))
    write_predictions(tmp_path / "p.csv", [made.prediction])
    csv = (tmp_path / "p.csv").read_bytes()
    page = written(tmp_path / "p.html", view(made, words=spoken("word " * 1800, 600)), csv=csv, media=mp4(tmp_path))
    assert len(page) < 2_500_000, len(page)


@pytest.mark.parametrize(
    ("shown", "match"),
    [
        (VideoView("v", None, ()), "'v' has no clip to show"),
        (view(changed(labels=np.zeros((99, 2), np.float32))), r"Clip 'talk' has 100 frame times.*\(99, 2\)"),
        (view(changed(present={"visual": np.ones(3, bool)})), r"masks of length \[3\]"),
        (view(replace(track(), box=np.zeros((100, 2), np.float32))), r"boxes of shape \(100, 2\)"),
        (view(changed(time_s=np.zeros(100))), "frame times of clip 'talk' don't increase"),
        (view(changed(time_s=np.append(np.arange(99.0), np.inf))), "frame times of clip 'talk' don't increase"),
        (view(replace(track(), listening=track("t", 9, listening=True).listening)), r"100 frames.*\(9, 6\)"),
        (view(words=(Word("hm", 2, 1),)), "Word 'hm' of 'talk' lasts from 2 to 1 s"),
        (view(words=(Word("hm", 2, float("nan")),)), "Word 'hm' of 'talk' lasts from 2 to nan s"),
    ],
)
def test_what_cannot_be_shown_is_an_error_and_no_file(tmp_path: Path, shown: VideoView, match: str) -> None:
    with pytest.raises(DataError, match=match):
        written(tmp_path / "p.html", shown)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "match"),
    [({"path": Path("gone.mp4")}, "gone.mp4.*isn't there"), ({"width_px": 0}, "no sensible time or size")],
)
def test_a_video_that_cannot_be_shown_is_an_error(tmp_path: Path, change: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        written(tmp_path / "p.html", view(), media=replace(mp4(tmp_path), **change))
    assert not (tmp_path / "p.html").exists()
