"""The page of a video in a real browser: it plays, and whatever moves moves the rest."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from common.words import Word
from stage3_mlp.views.clip import page as clip_page
from stage3_mlp.views.media import Media
from stage3_mlp.views.view import Track
from tests.browser.clip_page import (
    FRAME_S,
    SHOWN_FRAME,
    Open,
    broken,
    click_timeline,
    now,
    playhead_share,
    settled,
    uneven,
)
from tests.stage3.viewed import spoken, track, view, written

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    "tracks",
    [
        (track(labels=True, listening=True),),
        (track("a", labels=True), track("b", 30, start_s=2, x_px=90, listening=True)),
        (track("x", 1),),
        (broken(track()),),
        (uneven(track()),),
    ],
)
@pytest.mark.parametrize("with_video", [True, False])
def test_it_opens_from_a_file_without_a_complaint_and_every_key_works(
    tmp_path: Path, opened: Open, talk: Media, tracks: tuple[Track, ...], with_video: bool
) -> None:
    written(tmp_path / "p.html", view(*tracks), media=talk if with_video else None)
    page = opened(tmp_path / "p.html")
    if with_video:
        settled(page)
    for key in ("End", "ArrowLeft", "ArrowRight", "Shift+ArrowLeft", "Home", " ", " "):
        page.keyboard.press(key)
    assert page.locator(".uplot canvas").count() == 2
    assert page.heard == []


@pytest.mark.parametrize("start_s", [0.0, 5.0])
def test_playing_moves_the_cursor_with_the_picture(tmp_path: Path, opened: Open, talk: Media, start_s: float) -> None:
    written(tmp_path / "p.html", view(track(start_s=start_s)), media=replace(talk, start_s=start_s))
    page = settled(opened(tmp_path / "p.html"))
    page.locator("#play").click()
    page.wait_for_function(f"() => document.getElementById('seeker').getAttribute('aria-valuenow') > {start_s + 0.4}")
    page.locator("#play").click()
    page.wait_for_timeout(300)
    assert page.locator("#play").text_content() == "Play"
    shown = page.evaluate(SHOWN_FRAME)
    assert now(page) == pytest.approx(start_s + shown * FRAME_S, abs=1.1 * FRAME_S)
    assert playhead_share(page) == pytest.approx((now(page) - start_s) / 4, abs=0.01)


def test_every_way_of_seeking_shows_the_very_frame(tmp_path: Path, opened: Open, talk: Media) -> None:
    made = track()
    written(tmp_path / "p.html", view(made, words=spoken("one two three four", 4)), media=talk)
    page = settled(opened(tmp_path / "p.html"))
    click_timeline(page, 0.503)
    assert now(page) == pytest.approx(2.0, abs=1e-6)
    page.get_by_role("button", name="four").click()
    assert now(page) == pytest.approx(3.0, abs=1e-6)
    assert page.locator("#words button.now").text_content() == "four"
    for key, frame in (("ArrowLeft", 74), ("ArrowLeft", 73), ("Shift+ArrowLeft", 48), ("ArrowRight", 49), ("End", 99)):
        page.locator("body").press(key)
        page.wait_for_timeout(50)
        settled(page)
        assert now(page) == pytest.approx(frame * FRAME_S, abs=1e-6), key
        page.wait_for_function(f"() => ({SHOWN_FRAME})() === {frame}")
    valence, arousal = made.prediction.values[61].tolist()
    disc = page.locator("#disc").bounding_box()
    edge = clip_page.page_data(view(made), None)["edge"]
    page.locator("#disc").click(
        position={"x": disc["width"] * (1 + valence / edge) / 2, "y": disc["height"] * (1 - arousal / edge) / 2}
    )
    assert now(page) == pytest.approx(61 * FRAME_S, abs=1e-6)


@pytest.mark.parametrize("with_video", [True, False])
def test_the_word_that_is_clicked_is_the_one_that_is_marked(
    tmp_path: Path, opened: Open, talk: Media, with_video: bool
) -> None:
    """Starts before, between and within frames; words that share a frame; one that begins behind all of them."""
    edges = (-0.3, 0.0, 0.12, 0.445, 0.45, 0.455, 0.9, 0.9399, 1.2, 3.99, 9.0)
    words = tuple(Word(f"word{i}", at_s, max(at_s, edges[i + 1])) for i, at_s in enumerate(edges[:-1]))
    words += (Word("last", 9.0, 9.5),)
    written(tmp_path / "p.html", view(words=words), media=talk if with_video else None)
    page = opened(tmp_path / "p.html")
    for word in (*words, *reversed(words)):
        page.get_by_role("button", name=word.text, exact=True).click()
        if with_video:
            settled(page)
        assert page.locator("#words .now").all_text_contents() == [word.text]


def test_a_word_is_marked_while_a_frame_shows_it(tmp_path: Path, opened: Open) -> None:
    words = (Word("one", 0.445, 0.55), Word("two", 0.61, 0.61), Word("three", 0.7, 0.72), Word("four", 0.75, 0.8))
    written(tmp_path / "p.html", view(words=words))
    page = opened(tmp_path / "p.html")
    marked = []
    for _ in range(22):
        marked.append("".join(page.locator("#words .now").all_text_contents()))
        page.keyboard.press("ArrowRight")
    expected = {11: "one", 12: "one", 13: "one", 15: "two", 17: "three", 18: "four", 19: "four"}
    assert marked == [expected.get(frame, "") for frame in range(22)]


def test_dragging_follows_the_pointer(tmp_path: Path, opened: Open, talk: Media) -> None:
    written(tmp_path / "p.html", view(), media=talk)
    page = settled(opened(tmp_path / "p.html"))
    page.locator("#seeker").scroll_into_view_if_needed()
    box = page.locator("#seeker").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 50)
    page.mouse.down()
    for share in (0.2, 0.9, 0.6):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 50)
        assert playhead_share(page) == pytest.approx(share, abs=0.011), "the frame that is shown there"
    page.mouse.up()
    page.mouse.move(box["x"] + 5, box["y"] + 50)
    assert playhead_share(page) == pytest.approx(0.6, abs=0.011)
    page.wait_for_function(f"() => Math.abs(document.getElementById('video').currentTime - {now(page)}) < {FRAME_S}")


def test_without_a_video_a_timer_plays_to_the_end(tmp_path: Path, opened: Open) -> None:
    written(tmp_path / "p.html", view(track(frames=20, start_s=5.0)), why_no_media="It has gone.")
    page = opened(tmp_path / "p.html")
    page.locator("#play").click()
    assert page.locator("#play").text_content() == "Pause"
    page.wait_for_function("() => document.getElementById('play').textContent === 'Play'")
    assert now(page) == pytest.approx(5.8, abs=1e-3)
    page.keyboard.press("Home")
    assert now(page) == 5.0


def test_a_large_video_plays_from_beside_the_page_and_its_loss_is_told(
    tmp_path: Path, opened: Open, talk: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_page, "MAX_EMBEDDED_BYTES", 0)
    beside = tmp_path / "50% of #1: a?b&c.mp4"
    beside.write_bytes(talk.path.read_bytes())
    written(tmp_path / "p.html", view(), media=replace(talk, path=beside))
    page = settled(opened(tmp_path / "p.html"))
    assert page.evaluate("() => document.getElementById('video').duration") == pytest.approx(4, abs=0.1)
    beside.write_bytes(b"no video at all")
    page = opened(tmp_path / "p.html")
    page.wait_for_function("() => document.getElementById('trouble').textContent.includes(\"can't be played\")")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.getElementById('seeker').getAttribute('aria-valuenow') > 0.1")


def test_frames_of_uneven_length_are_stepped_one_by_one(tmp_path: Path, opened: Open) -> None:
    made = uneven(track(frames=20))
    written(tmp_path / "p.html", view(made))
    page = opened(tmp_path / "p.html")
    times = [now(page)]
    for _ in range(19):
        page.keyboard.press("ArrowRight")
        times.append(now(page))
    assert times == pytest.approx(made.prediction.time_s.tolist(), abs=0.0006)
    for expected in reversed(times[:-1]):
        page.keyboard.press("ArrowLeft")
        assert now(page) == expected


def test_the_keyboard_reaches_everything(tmp_path: Path, opened: Open, talk: Media) -> None:
    made = track("a", listening=True, labels=True), track("b", start_s=0.0, x_px=90, listening=True)
    written(tmp_path / "p.html", view(*made, words=spoken("one two three", 4)), media=talk)
    page = settled(opened(tmp_path / "p.html"))
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        element = page.evaluate(
            """() => {
              const e = document.activeElement;
              const name = e.id || e.name || (e.closest("[id]") || e).id || e.tagName;
              return [e === document.body ? "" : name, getComputedStyle(e).outlineStyle !== "none"];
            }"""
        )
        if not element[0]:  # behind the last one
            break
        reached.append(element[0])
        assert element[1], f"the focus can't be seen on {element[0]}"
    expected = {
        "play",
        "back",
        "forth",
        "speed",
        "sound",
        "faces",
        "legend",
        "seeker",
        "kind",
        "whose",
        "words",
        "download",
    }
    assert expected <= set(reached), expected - set(reached)
    page.locator("#words button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert now(page) == pytest.approx(1.32, abs=1e-6), "the frame under the start of the second word"
    page.locator("#speed").focus()
    page.keyboard.press("ArrowRight")
    assert now(page) == pytest.approx(1.32, abs=1e-6), "a list of choices keeps its own keys"


def test_the_slider_says_the_moment_in_words(tmp_path: Path, opened: Open) -> None:
    written(tmp_path / "p.html", view(track(start_s=5.0)))
    page = opened(tmp_path / "p.html")
    seeker = page.get_by_role("slider", name="Time")
    seeker.press("ArrowRight")
    text = seeker.get_attribute("aria-valuetext")
    assert re.fullmatch(r"5\.04 seconds; valence \+0\.70, arousal \+0\.\d\d, high arousal, positive", text), text
    assert (float(seeker.get_attribute("aria-valuemin")), float(seeker.get_attribute("aria-valuemax"))) == (5.0, 9.0)


def test_a_short_track_lies_where_it_is_in_the_whole_video(tmp_path: Path, opened: Open, talk: Media) -> None:
    written(tmp_path / "p.html", view(track(frames=25, start_s=1.0)), media=talk)
    page = settled(opened(tmp_path / "p.html"))
    seeker = page.locator("#seeker")
    assert [float(seeker.get_attribute(f"aria-value{end}")) for end in ("min", "max")] == pytest.approx(
        [0, 4], abs=0.05
    )
    for share, frame, text in ((0.1, 10, "not in this moment"), (0.33, 33, "arousal"), (0.8, 80, "not in this moment")):
        click_timeline(page, share + 0.003)
        settled(page)
        assert playhead_share(page) == pytest.approx(share, abs=0.011)
        page.wait_for_function(f"() => ({SHOWN_FRAME})() === {frame}")
        assert text in page.locator("#readout .words").first.text_content()
    page.keyboard.press("ArrowRight")
    assert now(page) == pytest.approx(0.803 * 4 + FRAME_S, abs=0.02)
