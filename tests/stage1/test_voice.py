"""Where there is speech, and how it is cut into stretches: the real silero-vad, and a scripted one for the rules."""

from __future__ import annotations

import importlib.metadata
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.errors import ModelError
from common.media.decode import audio
from stage1_embeddings.speech import voice
from stage1_embeddings.speech.stretches import CUT_WITHIN_S, MAX_PAUSE_S, MAX_STRETCH_S, Stretch, Stretches
from stage1_embeddings.speech.voice import (
    FRAME_SAMPLES,
    MIN_SILENCE_S,
    MIN_SPEECH_S,
    PAD_S,
    Span,
    SpeechFinder,
    find_speech,
)

RATE_HZ = 16_000
FRAME_S = FRAME_SAMPLES / RATE_HZ


class Scripted:
    """In place of the network: speech is sound of level 1, half a chance is level 0.4."""

    def __call__(self, frame: torch.Tensor, rate_hz: int) -> float:
        assert frame.shape == (FRAME_SAMPLES,) and frame.dtype == torch.float32 and rate_hz == RATE_HZ
        return float(frame.abs().max())


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "_network", Scripted)


def sound(*parts: tuple[float, int]) -> np.ndarray:
    """Parts of (level, number of frames)."""
    levels = [np.full(frames * FRAME_SAMPLES, level, np.float32) for level, frames in parts]
    return np.concatenate(levels)


def cut(samples: np.ndarray, at: list[int]) -> list[np.ndarray]:
    return np.split(samples, sorted(place % (len(samples) + 1) for place in at))


def stretches(pieces: list[np.ndarray]) -> list[Stretch]:
    collected = Stretches()
    done = [stretch for piece in pieces for stretch in collected.add(piece)]
    return done + collected.close()


@pytest.mark.usefixtures("scripted")
class TestRules:
    def test_a_span_is_widened(self) -> None:
        [span] = find_speech(sound((0, 30), (1, 20), (0, 30)))
        assert span == pytest.approx((30 * FRAME_S - PAD_S, 50 * FRAME_S + PAD_S))

    def test_not_beyond_the_sound(self) -> None:
        assert find_speech(sound((1, 20))) == (Span(0.0, 20 * FRAME_S),)
        odd = sound((1, 20))[:-100]
        assert find_speech(odd) == (Span(0.0, len(odd) / RATE_HZ),)

    def test_a_breath_does_not_end_it_and_a_pause_does(self) -> None:
        frames = int(MIN_SILENCE_S / FRAME_S)
        assert len(find_speech(sound((1, 20), (0, frames), (1, 20)))) == 1
        assert len(find_speech(sound(*[(1, 20), (0, 7)] * 4))) == 1, "each breath counts for itself"
        first, second = find_speech(sound((1, 20), (0, frames + 1), (1, 20)))
        assert first.end_s <= second.start_s

    def test_a_click_is_no_speech(self) -> None:
        frames = int(MIN_SPEECH_S / FRAME_S)
        assert find_speech(sound((0, 30), (1, frames), (0, 30))) == ()
        assert len(find_speech(sound((0, 30), (1, frames + 1), (0, 30)))) == 1

    def test_hysteresis(self) -> None:
        # 0.4 is below the threshold of 0.5, but not far enough to end what has begun.
        assert find_speech(sound((0.4, 60))) == ()
        assert len(find_speech(sound((1, 10), (0.4, 60), (1, 10)))) == 1
        assert len(find_speech(sound((1, 10), (0.3, 60), (1, 10)))) == 2

    def test_threshold(self) -> None:
        assert len(find_speech(sound((0.4, 60)), threshold=0.39)) == 1
        assert find_speech(sound((0.8, 60)), threshold=0.9) == ()

    def test_told_as_it_ends(self) -> None:
        finder = SpeechFinder()
        assert finder.open_from_s is None
        assert finder.add(sound((0, 30), (1, 20))) == []
        assert finder.open_from_s == pytest.approx(30 * FRAME_S - PAD_S)
        told = finder.add(sound((0, 30)))
        assert finder.open_from_s is None and tuple(told) == finder.close()

    @settings(max_examples=60)
    @given(
        st.lists(st.tuples(st.sampled_from([0.0, 0.4, 1.0]), st.integers(1, 40)), min_size=1, max_size=12),
        st.lists(st.integers(0, 10**6), max_size=8),
        st.integers(0, FRAME_SAMPLES - 1),
    )
    @example([(1.0, 5)], [], 0)  # shorter than its padding, and all there is
    def test_however_it_is_cut(self, parts: list[tuple[float, int]], at: list[int], short: int) -> None:
        samples = sound(*parts)[short:]
        finder = SpeechFinder()
        told = [span for piece in cut(samples, at) for span in finder.add(piece)]
        spans = finder.close()
        assert spans == find_speech(samples)
        assert told == list(spans)[: len(told)]
        assert all(0 <= span.start_s < span.end_s <= len(samples) / RATE_HZ for span in spans)
        assert all(one.end_s <= other.start_s for one, other in itertools.pairwise(spans))


@pytest.mark.usefixtures("scripted")
class TestStretches:
    def test_silence_makes_none(self) -> None:
        assert stretches([sound((0, 200))]) == []
        assert stretches([]) == []

    def test_a_long_pause_parts_them(self) -> None:
        near, far = int((MAX_PAUSE_S - 0.5) / FRAME_S), int((MAX_PAUSE_S + 1.5) / FRAME_S)
        assert [len(found.spans) for found in stretches([sound((1, 20), (0, near), (1, 20))])] == [2]
        assert [len(found.spans) for found in stretches([sound((1, 20), (0, far), (1, 20))])] == [1, 1]

    def test_as_many_spans_as_fit(self) -> None:
        twelve_s, pause = round(12 / FRAME_S), round(1 / FRAME_S)
        found = stretches([sound(*[(1, twelve_s), (0, pause)] * 5)])
        assert [len(stretch.spans) for stretch in found] == [2, 2, 1]

    def test_endless_speech_is_cut_where_it_is_quietest(self) -> None:
        samples = sound((1, round(75 / FRAME_S)))
        for quiet_s, level in ((10.0, 0.6), (25.0, 0.8), (27.0, 0.7), (50.0, 0.8)):
            samples[round(quiet_s * RATE_HZ) : round((quiet_s + 0.15) * RATE_HZ)] *= level
        first, second, third = stretches([samples])
        assert 27.0 < first.end_s < 27.15
        assert 50.0 < second.end_s < 50.15
        assert first.end_s == second.start_s and second.end_s == third.start_s
        assert np.array_equal(np.concatenate([stretch.samples for stretch in (first, second, third)]), samples)

    def test_never_longer_than_the_window(self) -> None:
        samples = sound((1, int(MAX_STRETCH_S / FRAME_S) + 1))[:-1]
        assert len(samples) > MAX_STRETCH_S * RATE_HZ
        assert all(len(found.samples) <= MAX_STRETCH_S * RATE_HZ for found in stretches([samples]))

    def test_cut_in_the_silence_that_ends_it(self) -> None:
        # Speech stops 0.1 s before 30 s are full: the cut falls into the silence, and nothing is left of the span.
        samples = sound((1, round(29.9 / FRAME_S)), (0, 60))
        assert len(stretches([samples])) == 1

    @settings(max_examples=25)
    @given(
        st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.integers(1, 1100)), min_size=1, max_size=6),
        st.lists(st.integers(0, 10**6), max_size=6),
        st.integers(0, FRAME_SAMPLES - 1),
    )
    @example([(1.0, 5)], [], 0)  # shorter than its padding, and all there is
    def test_however_it_is_cut(self, parts: list[tuple[float, int]], at: list[int], short: int) -> None:
        samples = sound(*parts)[short:]
        whole, pieces = stretches([samples]), stretches(cut(samples, at))
        assert [(one.start_s, one.spans) for one in whole] == [(one.start_s, one.spans) for one in pieces]
        for one, other in zip(whole, pieces, strict=True):
            first = round(one.start_s * RATE_HZ)
            assert np.array_equal(one.samples, other.samples)
            assert np.array_equal(one.samples, samples[first : first + len(one.samples)])
            assert 0 < len(one.samples) <= MAX_STRETCH_S * RATE_HZ
            assert one.spans[0].start_s == pytest.approx(one.start_s) and one.spans[-1].end_s == pytest.approx(
                one.end_s
            )
        found = find_speech(samples)
        covered = sum(span.end_s - span.start_s for stretch in whole for span in stretch.spans)
        # What is left of a span that is cut in the silence after it is only that silence.
        assert covered == pytest.approx(sum(span.end_s - span.start_s for span in found), abs=PAD_S * len(whole) + 1e-6)

    def test_an_hour_takes_no_more_memory_than_a_minute(self) -> None:
        collected = Stretches()
        minute = sound(*[(1, 200), (0, 10)] * 9)
        most = 0
        for _ in range(20):
            collected.add(minute)
            most = max(most, sum(map(len, collected._held)))
        assert most <= (MAX_STRETCH_S + CUT_WITHIN_S) * RATE_HZ


class TestSilero:
    @pytest.mark.parametrize(
        "samples",
        [
            np.zeros(0, np.float32),
            np.zeros(100, np.float32),
            np.zeros(5 * RATE_HZ, np.float32),
            np.random.default_rng(0).normal(0, 0.1, 8 * RATE_HZ).astype(np.float32),
        ],
        ids=["nothing", "less than a frame", "silence", "noise"],
    )
    def test_no_speech(self, samples: np.ndarray) -> None:
        assert find_speech(samples) == ()

    def test_music_is_no_speech(self) -> None:
        time_s = np.arange(12 * RATE_HZ) / RATE_HZ
        chords = [(220, 277, 330), (247, 311, 370), (196, 247, 294), (262, 330, 392)]
        wave = np.zeros(len(time_s))
        for beat, chord in zip(range(24), itertools.cycle(chords)):
            part = (time_s >= beat / 2) & (time_s < beat / 2 + 0.5)
            decay = np.exp(-4 * (time_s[part] - beat / 2))
            wave[part] = 0.2 * decay * sum(np.sin(2 * np.pi * pitch * time_s[part]) for pitch in chord)
        assert find_speech(wave.astype(np.float32)) == ()

    def test_torch_keeps_its_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Importing the package would leave it with one for good.
        monkeypatch.delitem(sys.modules, "silero_vad", raising=False)
        set_to: list[int] = []
        monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
        monkeypatch.setattr(torch, "set_num_threads", set_to.append)
        assert find_speech(np.zeros(RATE_HZ, np.float32)) == ()
        assert set(set_to[::2]) == {1} and set(set_to[1::2]) == {7} and len(set_to) % 2 == 0
        assert "silero_vad" not in sys.modules

    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(voice, "find_spec", lambda name: None)
        with pytest.raises(ModelError, match=r"silero-vad is not installed. Run make install, or pip install silero"):
            SpeechFinder()

    @pytest.mark.parametrize("content", [None, b"no network"])
    def test_broken(self, content: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        if content is not None:
            (tmp_path / "data" / "silero_vad.jit").write_bytes(content)
        spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
        monkeypatch.setattr(voice, "find_spec", lambda name: spec)
        with pytest.raises(ModelError, match=r"silero_vad\.jit can't be loaded: .+\. Install silero-vad again: pip"):
            SpeechFinder()

    def test_pinned_version_is_the_installed_one(self) -> None:
        pins = (Path(__file__).parents[2] / "requirements.txt").read_text()
        version = importlib.metadata.version("silero-vad")
        assert f"silero-vad=={version}" in pins


@pytest.mark.shared_data
class TestRealSpeech:
    def test_known_sentence(self, shared: Callable[[str], Path]) -> None:
        heard: Any = audio(shared("audio/jfk.flac"))
        spans = find_speech(heard.samples)
        # "And so my fellow Americans | ask not | what your country can do for you | ask what you can do ..."
        said = [(0.35, 2.2), (3.3, 4.3), (5.4, 7.6), (8.2, 10.4)]
        for start_s, end_s in said:
            assert any(span.start_s <= start_s and end_s <= span.end_s for span in spans), (start_s, end_s)
        for pause_s in (2.75, 4.9):
            assert not any(span.start_s <= pause_s <= span.end_s for span in spans), pause_s
        rng = np.random.default_rng(1)
        finder = SpeechFinder()
        for piece in np.split(heard.samples, np.sort(rng.integers(0, len(heard.samples), 50))):
            finder.add(piece)
        assert finder.close() == spans
        assert find_speech(heard.samples) == spans, "a sound depends on the one before"

    def test_silent_track(self, shared: Callable[[str], Path]) -> None:
        heard: Any = audio(shared("hard/silent_audio_track_face_pexels.mp4"))
        assert find_speech(heard.samples) == ()

    def test_words_of_grid_lie_in_speech(self, shared: Callable[[str], Path]) -> None:
        from stage1_embeddings.transcript import read_transcript

        heard: Any = audio(shared("videos/grid_id2_swwp2s.mpg"))
        spans = find_speech(heard.samples)
        [sentence] = read_transcript(shared("videos/grid_id2_swwp2s.align")).segments
        for word in sentence.words:
            middle_s = (word.start_s + word.end_s) / 2 - heard.start_s
            assert any(span.start_s <= middle_s <= span.end_s for span in spans), word
        words_s = sentence.words[-1].end_s - sentence.words[0].start_s
        assert sum(end_s - start_s for start_s, end_s in spans) < words_s + 3 * PAD_S
