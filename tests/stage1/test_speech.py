"""Speech recognition: the real Whisper code on a miniature model, and the rules around it on a scripted one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature_whisper import write_checkpoint

from common.media.decode import audio
from common.recipe import Speech
from stage1_embeddings.speech import recogniser as speech
from stage1_embeddings.speech import voice
from stage1_embeddings.speech.heard import Heard, HeardWord
from stage1_embeddings.speech.recogniser import Recogniser
from stage1_embeddings.speech.voice import find_speech
from stage1_embeddings.speech.whisper_engine import WhisperEngine
from stage1_embeddings.transcript import Transcript
from tests.common.media_files import SHARED

RATE_HZ = 16_000


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """So small a model loses time with more, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("whisper") / "miniature.pt")


#: From this threshold on any sound is speech: tests need no recording.
ANY = 1e-6


def whisper_on(model: Path, *, language: str | None = None, vad_threshold: float = ANY) -> Recogniser:
    engine = WhisperEngine(model, temperatures=[1.0])
    return Recogniser(engine, language=language, vad_threshold=vad_threshold)


@pytest.fixture(scope="module")
def babbler(checkpoint: Path) -> Recogniser:
    """Real Whisper with random weights; what it says is not sifted."""
    return whisper_on(checkpoint, language="en")


@pytest.fixture
def unsifted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "sift", lambda segments, spans: (list(segments), Counter()))


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)


def words(heard: Transcript) -> list[tuple[str, float, float]]:
    return [(word.text, word.start_s, word.end_s) for segment in heard.segments for word in segment.words]


@pytest.mark.usefixtures("unsifted")
def test_words_lie_within_the_sound(babbler: Recogniser, capsys: pytest.CaptureFixture[str]) -> None:
    start_s = 2.43
    heard = babbler(noise(2.0), start_s=start_s)
    said = words(heard)
    assert said, "a model of random weights is expected to babble"
    for text, from_s, to_s in said:
        assert start_s <= from_s <= to_s <= start_s + 2.0
        assert text and not any(sign.isspace() for sign in text)
    starts = [segment.words[0].start_s for segment in heard.segments]
    assert starts == sorted(starts)
    assert (heard.source, heard.language, heard.filtered) == ("whisper miniature", "en", 0)
    assert capsys.readouterr().out == ""
    assert torch.get_num_threads() == 1, "torch's threads were taken over"


@pytest.mark.usefixtures("unsifted")
def test_the_same_sound_gives_the_same_words(babbler: Recogniser) -> None:
    torch.manual_seed(1)
    first = babbler(noise(0.5))
    torch.manual_seed(2)
    drawn = torch.rand(1)
    torch.manual_seed(2)
    assert babbler(noise(0.5)) == first
    assert torch.rand(1) == drawn, "the caller's random numbers were used up"


@pytest.mark.usefixtures("unsifted")
def test_in_pieces_as_whole(babbler: Recogniser) -> None:
    samples = noise(2.0)
    listening = babbler.listen(1.0)
    for piece in np.array_split(samples, 7):
        listening.add(piece)
    assert listening.close() == babbler(samples, start_s=1.0)


def test_language_is_told_by_the_model(checkpoint: Path) -> None:
    heard = whisper_on(checkpoint)(noise(0.5))
    assert heard.language is not None and len(heard.language) in (2, 3)


class Scripted:
    """An engine that says what it is told, and remembers what it was asked."""

    source = "script"

    def __init__(self, *said: list[Heard], multilingual: bool = True) -> None:
        self.said = list(said)
        self.asked: list[tuple[int, str]] = []
        self.told_from: list[int] = []

    def language_code(self, language: str | None) -> str | None:
        return language

    def tell_language(self, samples: np.ndarray) -> str:
        self.told_from.append(len(samples))
        return "eo"

    def hear(self, samples: np.ndarray, language: str) -> list[Heard]:
        self.asked.append((len(samples), language))
        return self.said.pop(0) if self.said else []


def said(*timed: tuple[str, float, float], logprob: float = -0.2, no_speech: float = 0.05) -> Heard:
    return Heard(tuple(HeardWord(*word, probability=0.9) for word in timed), logprob, no_speech)


class LevelIsSpeech:
    def __call__(self, frame: torch.Tensor, rate_hz: int) -> float:
        return float(frame.abs().max())


@pytest.fixture
def by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound of level 1 is speech, silence is none."""
    monkeypatch.setattr(voice, "_network", LevelIsSpeech)


def loud(*parts: tuple[int, float]) -> np.ndarray:
    return np.concatenate([np.full(round(seconds * RATE_HZ), level, np.float32) for level, seconds in parts])


@pytest.mark.usefixtures("by_level")
class TestListening:
    def test_no_speech_no_engine(self) -> None:
        engine = Scripted()
        for samples in (np.zeros(0, np.float32), loud((0, 3.0))):
            heard = Recogniser(engine)(samples)
            assert (heard.segments, heard.language, heard.source, heard.filtered) == ((), None, "script", 0)
        assert Recogniser(engine, language="en")(loud((0, 1.0))).language == "en"
        assert engine.asked == [] and engine.told_from == []

    def test_times_are_put_back_on_the_clock(self) -> None:
        # Two stretches: speech from 4 s and from 12 s, each widened by 0.2 s.
        engine = Scripted([said(("one", 0.2, 0.7), ("two", 0.7, 1.1))], [said(("three", 0.3, 0.9))])
        heard = Recogniser(engine, language="en")(loud((0, 4), (1, 1), (0, 7), (1, 1), (0, 3)), start_s=100.0)
        assert [text for text, _, _ in words(heard)] == ["one", "two", "three"]
        times = [at for _, *pair in words(heard) for at in pair]
        assert times == pytest.approx([104.0, 104.5, 104.5, 104.9, 112.1, 112.7], abs=0.05)
        assert [language for _, language in engine.asked] == ["en", "en"]
        assert all(length == pytest.approx(1.4 * RATE_HZ, abs=0.1 * RATE_HZ) for length, _ in engine.asked)

    def test_words_are_cut_to_speech(self) -> None:
        # Speech at 0-2 s and 3-5 s, widened: 0-2.2, 2.8-5.2. Times count from 0.
        engine = Scripted([said(("long", 1.0, 2.7), ("lost", 2.4, 2.6), ("early", 2.5, 3.5), ("none", 4.0, 4.0))])
        heard = Recogniser(engine, language="en")(loud((1, 2), (0, 1), (1, 2), (0, 1)))
        assert [text for text, _, _ in words(heard)] == ["long", "early", "none"]
        times = [at for _, *pair in words(heard) for at in pair]
        assert times == pytest.approx([1.0, 2.2, 2.8, 3.5, 4.0, 4.0], abs=0.05)
        assert heard.filtered == 0

    def test_inventions_are_counted(self) -> None:
        music, doubted = said(("[Music]", 0.1, 0.9)), said(("hm", 1.0, 1.2), logprob=-0.9, no_speech=0.8)
        engine = Scripted([music, said(("hello", 0.9, 1.0)), doubted], [music])
        heard = Recogniser(engine, language="en")(loud((1, 2), (0, 6), (1, 2)))
        assert [text for text, _, _ in words(heard)] == ["hello"]
        assert heard.reasons == (("no speech", 1), ("sound mark", 2)) and heard.filtered == 3

    def test_language_is_told_once_from_the_first_half_minute_of_speech(self) -> None:
        engine = Scripted()
        listening = Recogniser(engine).listen()
        for _ in range(2):
            listening.add(loud((1, 12), (0, 4)))
        assert engine.told_from == [] and engine.asked == []
        listening.add(loud((1, 12), (0, 4)))
        assert engine.told_from == [30 * RATE_HZ] and len(engine.asked) == 3
        listening.add(loud((1, 12), (0, 4)))
        assert listening.close().language == "eo"
        assert len(engine.told_from) == 1
        assert [language for _, language in engine.asked] == ["eo"] * 4

    def test_language_from_what_there_is(self) -> None:
        engine = Scripted()
        assert Recogniser(engine)(loud((1, 2), (0, 1))).language == "eo"
        assert engine.told_from == [pytest.approx(2.2 * RATE_HZ, abs=600)]

    def test_an_hour_is_not_held(self) -> None:
        engine = Scripted()
        listening = Recogniser(engine).listen()
        most = 0
        for _ in range(20):
            listening.add(loud((1, 10), (0, 1), (1, 9), (0, 3)))
            held = sum(map(len, listening._stretches._held)) + sum(len(one.samples) for one in listening._waiting)
            most = max(most, held)
        assert len(engine.asked) >= 19 and most < 61 * RATE_HZ


def test_factory(checkpoint: Path) -> None:
    assert speech.recogniser(Speech(recogniser="none"), "cpu") is None
    made = speech.recogniser(Speech(model=str(checkpoint), language="German", vad_threshold=0.3), "cpu")
    assert made is not None and isinstance(made.engine, WhisperEngine)
    assert (made.engine.source, made.language, made.vad_threshold) == ("whisper miniature", "de", 0.3)


@pytest.mark.shared_data
@pytest.mark.usefixtures("unsifted")
def test_real_speech_goes_through(babbler: Recogniser) -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent")
    sound = audio(SHARED / "audio" / "jfk.flac")
    assert sound is not None and len(sound.samples) == 11 * RATE_HZ
    listener = Recogniser(babbler.engine, language="en")
    heard = listener(sound.samples[: 3 * RATE_HZ], start_s=sound.start_s)
    assert words(heard)
    spans = find_speech(sound.samples[: 3 * RATE_HZ])
    for _, start_s, end_s in words(heard):
        assert any(span.start_s - 1e-6 <= start_s <= end_s <= span.end_s + 1e-6 for span in spans)
