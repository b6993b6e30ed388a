"""What Whisper invents is left out, and what people say is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage1_embeddings.speech.hallucinations import sift, why_not_said
from stage1_embeddings.speech.heard import Heard, HeardWord
from stage1_embeddings.speech.stock_phrases import SAID_BY_PEOPLE, SAID_BY_VIDEOS, plain
from stage1_embeddings.speech.voice import Span

SPEECH = [Span(0.0, 30.0)]


def heard(
    text: str, *, start_s: float = 1.0, rate: float = 14.0, sure: float = 0.9, logprob: float = -0.2, none: float = 0.05
) -> Heard:
    """A segment said at ``rate`` characters a second."""
    words = []
    for word in text.split():
        end_s = start_s + len(word) / rate
        words.append(HeardWord(word, start_s, end_s, sure))
        start_s = end_s
    return Heard(tuple(words), logprob, none)


class TestPeople:
    @pytest.mark.parametrize(
        "text",
        [
            "Thank you.",
            "Thank you very much.",
            "Thanks for watching!",
            "Vielen Dank.",
            "ありがとうございました。",
            "Bye-bye.",
            "You",
            "See you in the next video.",
            "No, no, no, no, no!",
            "Ha ha ha ha ha ha ha",
            "Untertitel sind wichtig für mich.",
            "I was transcribed by my assistant.",
            "He said (and I agree) that it works.",
            "Thank you for watching my dog last week.",
        ],
    )
    def test_what_is_said_clearly_is_kept(self, text: str) -> None:
        assert why_not_said(heard(text), SPEECH) is None

    def test_said_softly(self) -> None:
        # A single doubt doesn't take a person's thanks away: few words have a low mean, times begin too early.
        assert why_not_said(heard("Thank you.", sure=0.4, logprob=-0.9), SPEECH) is None
        assert why_not_said(heard("Thank you.", none=0.7), SPEECH) is None
        assert why_not_said(heard("Thank you.", rate=4.0), [Span(3.0, 9.0)]) is None

    def test_ordinary_speech_needs_no_certainty(self) -> None:
        assert why_not_said(heard("mumbled words of a tired man", sure=0.3, logprob=-1.2, none=0.4), SPEECH) is None


class TestInventions:
    @pytest.mark.parametrize(
        "text", ["[Music]", "(applause)", "♪", "♪♪", "...", "*laughs*", "【音楽】", "[Music] [Music]"]
    )
    def test_sound_marks(self, text: str) -> None:
        assert why_not_said(heard(text), SPEECH) == "sound mark"

    def test_no_speech(self) -> None:
        assert why_not_said(heard("well then", logprob=-0.8, none=0.7), SPEECH) == "no speech"
        assert why_not_said(heard("well then", logprob=-0.6, none=0.9), SPEECH) is None

    @pytest.mark.parametrize(
        "text",
        [
            "no " * 12,
            "I don't know. " * 5,
            "and then we went to the " * 4,
            "So " + "going to be " * 6 + "fine",
            "the quick brown fox jumps over it " * 6,
        ],
    )
    def test_loops(self, text: str) -> None:
        assert why_not_said(heard(text), SPEECH) == "loop"

    def test_impossible_rate(self) -> None:
        assert why_not_said(heard("a whole sentence in no time at all", rate=1e4), SPEECH) == "impossible rate"
        assert why_not_said(heard("quick but human speech, this", rate=25), SPEECH) is None
        assert why_not_said(heard("Yeah.", rate=1e4), SPEECH) is None, "times of one word are not that exact"

    def test_outside_of_speech(self) -> None:
        assert why_not_said(heard("hello there"), [Span(5.0, 6.0)]) == "outside of speech"
        assert why_not_said(heard("hello there"), [Span(1.5, 6.0)]) is None

    @pytest.mark.parametrize(
        "text",
        [
            "Thanks for watching!",
            "Thank you. Thanks for watching.",
            "Don’t forget to subscribe.",
            "Subtitles by the Amara.org community",
            "Untertitel der Amara.org-Community",
            "Untertitel im Auftrag des ZDF für funk, 2017",
            "Sous-titres réalisés par la communauté d'Amara.org",
            "Subtítulos realizados por la comunidad de Amara.org",
            "Субтитры сделал DimaTorzok",
            "Продолжение следует...",
            "ご視聴ありがとうございました",
            "시청해주셔서 감사합니다.",
            "謝謝觀看",
            "Gracias por ver el video.",
        ],
    )
    def test_what_only_videos_say_falls_to_one_doubt(self, text: str) -> None:
        assert why_not_said(heard(text), SPEECH) is None
        assert why_not_said(heard(text, sure=0.3), SPEECH) == "stock phrase"
        assert why_not_said(heard(text, logprob=-0.9), SPEECH) == "stock phrase"
        assert why_not_said(heard(text, none=0.55), SPEECH) == "stock phrase"
        assert why_not_said(heard(text), [Span(0.0, 1.1)]) == "stock phrase", "there is no time to say it"

    @pytest.mark.parametrize("text", ["Thank you.", "you", "Bye.", "Merci.", "谢谢。", "Thank you. Thank you."])
    def test_what_people_say_too_falls_to_two(self, text: str) -> None:
        assert why_not_said(heard(text, sure=0.3, none=0.55), SPEECH) == "stock phrase"
        assert why_not_said(heard(text, rate=2.0, logprob=-0.9), [Span(0.9, 1.1)]) == "stock phrase"

    def test_only_as_the_whole_segment(self) -> None:
        assert why_not_said(heard("Thank you. I needed that.", sure=0.3, none=0.55), SPEECH) is None


class TestSift:
    def test_the_same_segment_again_and_again(self) -> None:
        again = [heard("I'm going home.", start_s=start_s) for start_s in range(5)]
        other = heard("Good.", start_s=9)
        kept, reasons = sift([*again, other], SPEECH)
        assert kept == [again[0], other] and reasons == {"repeated": 4}
        assert sift([*again[:3], other, *again[3:]], SPEECH) == ([*again[:3], other, *again[3:]], {})

    def test_short_answers_are_repeated(self) -> None:
        yes = [heard("Yes.", start_s=start_s) for start_s in range(6)]
        assert sift(yes, SPEECH) == (yes, {})

    def test_counted_by_reason(self) -> None:
        kept, reasons = sift(
            [heard("[Music]"), heard("so it is"), heard("(laughs)"), heard("x y", none=1, logprob=-2)], SPEECH
        )
        assert [segment.text for segment in kept] == ["so it is"]
        assert reasons == {"sound mark": 2, "no speech": 1}

    def test_segments_without_words_are_not_counted(self) -> None:
        assert sift([Heard((), -0.1, 0.0)], SPEECH) == ([], {})

    @given(
        st.lists(st.tuples(st.text("ab .[]♪", min_size=1, max_size=12), st.floats(0, 1), st.floats(-3, 0)), max_size=6)
    )
    def test_nothing_is_lost_or_made(self, drawn: list[tuple[str, float, float]]) -> None:
        segments = [heard(text, none=none, logprob=logprob) for text, none, logprob in drawn if text.strip()]
        kept, reasons = sift(segments, SPEECH)
        assert len(kept) + sum(reasons.values()) == len(segments)
        left = iter(segments)
        assert all(segment in left for segment in kept), "order is kept"


def test_phrases_are_plain() -> None:
    assert plain("  Don’t FORGET—to subscribe!! ") == "dont forget to subscribe"
    assert all(plain(phrase) == phrase and phrase for phrase in SAID_BY_VIDEOS | SAID_BY_PEOPLE)
    assert not SAID_BY_VIDEOS & SAID_BY_PEOPLE
    assert plain("हाँ") == "हाँ", "marks that carry vowels are letters here"
