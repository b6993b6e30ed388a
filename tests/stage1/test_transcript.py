"""Transcripts: every form read to the same words and times, every fault named with its place."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transcripts import JSON, SRT, read, words

from common.errors import DataError
from common.words import Word
from stage1_embeddings.transcript import read_transcript, spread

VTT = """WEBVTT Kind: captions; Language: en

NOTE a remark
that goes on

STYLE
::cue { color: red }

a name
00:01.000 --> 00:03.000 align:start position:0%
<v Roger Bingham>ab</v> cdef

01:00:00.500 --> 01:00:01.000
Two &amp; <c.loud>lines</c>
"""


class TestForms:
    def test_srt(self, tmp_path: Path) -> None:
        heard = read(tmp_path, "talk.srt", SRT)
        assert (heard.source, heard.language) == ("talk.srt", None)
        first, second = words(heard)
        assert first == [("ab", 1.0, pytest.approx(1 + 2 * 2 / 6)), ("cdef", pytest.approx(1 + 2 * 2 / 6), 3.0)]
        assert [text for text, _, _ in second] == ["Two", "lines", "of", "it"]
        assert (second[0][1], second[-1][2]) == (3600.5, 3601.0)

    def test_vtt(self, tmp_path: Path) -> None:
        first, second = words(read(tmp_path, "talk.vtt", VTT))
        assert first == words(read(tmp_path, "talk.srt", SRT))[0]
        assert [text for text, _, _ in second] == ["Two", "&", "lines"]

    def test_vtt_words_with_times(self, tmp_path: Path) -> None:
        cue = "WEBVTT\n\n00:00:01.000 --> 00:00:04.000\none<00:00:02.000><c> two</c><00:00:02.500> three four\n"
        [got] = words(read(tmp_path, "talk.vtt", cue))
        assert got == [
            ("one", 1.0, 2.0),
            ("two", 2.0, 2.5),
            ("three", 2.5, pytest.approx(2.5 + 1.5 * 5 / 9)),
            ("four", pytest.approx(2.5 + 1.5 * 5 / 9), 4.0),
        ]

    def test_whisper_json(self, tmp_path: Path) -> None:
        heard = read(tmp_path, "talk.json", json.dumps(JSON))
        assert heard.language == "en"
        assert words(heard) == [[("ab", 1.0, 1.25), ("cdef", 1.5, 2.5)], [("later", 5.0, 6.0)]]

    def test_json_words_without_times_are_spread(self, tmp_path: Path) -> None:
        segment = {
            "start": 0,
            "end": 8,
            "text": "in 2014",
            "words": [{"word": "in", "start": 0, "end": 1}, {"word": "2014"}],
        }
        assert words(read(tmp_path, "talk.json", json.dumps({"segments": [segment]}))) == [
            [("in", 0, pytest.approx(8 / 3)), ("2014", pytest.approx(8 / 3), 8)]
        ]

    def test_timed_lines(self, tmp_path: Path) -> None:
        heard = read(tmp_path, "talk.txt", "[12.3s - 14.0s] so it is\n\n[0 - 1.5] Well, \n[3s - 4s]\n")
        assert [[text for text, _, _ in segment] for segment in words(heard)] == [["Well,"], ["so", "it", "is"]]
        assert (words(heard)[1][0][1], words(heard)[1][-1][2]) == (12.3, 14.0)

    def test_grid_alignment(self, tmp_path: Path) -> None:
        heard = read(tmp_path, "swwp2s.align", "0 12250 sil\n12250 19250 set\n19250 20000 sp\n20000 25000 White\n")
        assert words(heard) == [[("set", 0.49, 0.77), ("White", 0.8, 1.0)]]
        assert (heard.source, heard.language) == ("swwp2s.align", None)

    @pytest.mark.parametrize("name", ["talk.srt", "talk.vtt", "talk.json", "talk.txt", "talk.align"])
    def test_windows_files(self, tmp_path: Path, name: str) -> None:
        plain = {
            "srt": SRT,
            "vtt": VTT,
            "json": json.dumps(JSON, indent=1),
            "txt": "[0s - 1s] Käthe\n[2s - 3s] so",
            "align": "0 25000 Käthe\n25000 50000 so",
        }[name[5:]]
        heard = read(tmp_path, name, b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode())
        assert words(heard) == words(read(tmp_path, name, plain)) != []

    def test_overlapping_cues_are_kept(self, tmp_path: Path) -> None:
        heard = read(tmp_path, "talk.txt", "[2s - 6s] late\n[1s - 4s] early\n")
        assert words(heard) == [[("early", 1.0, 4.0)], [("late", 2.0, 6.0)]]

    @pytest.mark.parametrize(("name", "content"), [("talk.vtt", "WEBVTT\n"), ("talk.json", '{"segments": []}')])
    def test_nothing_said(self, tmp_path: Path, name: str, content: str) -> None:
        assert read(tmp_path, name, content).segments == ()


class TestSpread:
    @given(st.text("ab c", max_size=40), st.floats(0, 1e5), st.floats(0, 100))
    def test_words_tile_the_cue(self, text: str, start_s: float, length_s: float) -> None:
        end_s = start_s + length_s
        got = spread(text, start_s, end_s)
        assert [word.text for word in got] == text.split()
        if got:
            assert (got[0].start_s, got[-1].end_s) == (start_s, end_s)
        for word, following in itertools.pairwise(got):
            assert word.end_s == following.start_s
        assert all(start_s <= word.start_s <= word.end_s <= end_s for word in got)

    def test_by_length(self) -> None:
        assert spread("a bcd", 0, 4) == [Word("a", 0, 1), Word("bcd", 1, 4)]


class TestFaults:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.srt", "1\n00:00:03,000 --> 00:00:01,000\nx", r"a\.srt, line 2 ends at 1 s, before its start at 3 s"),
            ("a.srt", "1\n00:00:xx,000 --> 00:00:01,000\nx", r"line 2 '00:00:xx,000 --> .*' isn't a cue's time"),
            ("a.srt", "\n\n1\n-00:00:01,000 --> 00:00:01,000\nx", "line 4 .* isn't a cue's time"),
            ("a.srt", "1\n00:75:00,000 --> 00:76:01,000\nx", "line 2 .* isn't a cue's time"),
            ("a.srt", SRT + "\nstray words\n", "line 10 'stray words' isn't a cue's time"),
            ("a.srt", "00:01,0 --> 00:02,0\nx\n2\n00:02,0 --> 00:03,0\ny", "line 4 has a cue's time inside a cue"),
            (
                "a.vtt",
                "WEBVTT\n\n00:01.000 --> 00:02.000\na<00:00:09.000>b",
                "line 3 ends at 2 s, before its start at 9 s",
            ),
            ("a.vtt", "WEBVTT\n\nNOTEBOOK\nno time", r"line 4 'no time' isn't a cue's time"),
            ("a.txt", "[1s - 2s] x\nhello", r"line 2 'hello' isn't a timed line. Write \[12\.3s - 14\.0s\] text"),
            ("a.txt", "[nan - 2s] x", "line 1 has the time 'nan'. Give seconds"),
            ("a.txt", "[1s - inf] x", "line 1 has the time 'inf'"),
            ("a.txt", "[one - 2s] x", "line 1 has the time 'one'"),
            ("a.txt", "[-3s - 2s] x", "line 1 starts at -3 s"),
            ("a.txt", "[3s - 2s] x", "line 1 ends at 2 s, before its start at 3 s"),
            ("a.srt", "", r"a\.srt is empty"),
            ("a.json", " \n ", r"a\.json is empty"),
            ("a.txt", b"[0s - 1s] a\n[1s - 2s] K\xe4the\n", "line 2 has the byte 0xe4, which isn't UTF-8. Save it as"),
            ("a.srt", "1\n00:01,0 --> 00:02,0\nx\0", "line 3 has a character 0"),
            ("a.json", '{"segments": [\n{]}', r"a\.json, line 2 isn't JSON"),
            ("a.json", "[" * 100_000, "isn't usable JSON"),
            ("a.json", '{"fps": 25}', "has no list 'segments'"),
            ("a.json", "[1, 2]", "has no list 'segments'"),
            ("a.json", '{"segments": ["hi"]}', r"segments\[0\] has no text 'text'"),
            ("a.json", '{"segments": [{"start": 0, "end": 1}]}', r"segments\[0\] has no text 'text'"),
            ("a.json", '{"segments": [{"text": "a", "end": 1}]}', r"segments\[0\]\.start has the time 'None'"),
            ("a.json", '{"segments": [{"text": "a", "start": NaN, "end": 1}]}', r"\.start has the time 'nan'"),
            ("a.json", '{"segments": [{"text": "a", "start": true, "end": 1}]}', r"\.start has the time 'True'"),
            ("a.json", '{"segments": [{"text": "\\ud800", "start": 0, "end": 1}]}', "has a character that isn't text"),
            (
                "a.json",
                '{"segments": [{"text": "a", "words": [{"word": "a", "start": 2, "end": 1}]}]}',
                r"segments\[0\]\.words\[0\] ends at 1 s, before its start at 2 s",
            ),
            ("a.align", "0 25000 sil\n25000 set", r"a\.align, line 2 '25000 set' isn't 'start end word'. As in: 12250"),
            ("a.align", "x 25000 set", "line 1 has the time 'x'. Give"),
            ("a.align", "50000 25000 set", "line 1 ends at 1 s, before its start at 2 s"),
            ("a.align", "-25000 25000 set", "line 1 starts at -1 s"),
            ("a.doc", "x", r"a\.doc is no transcript by its name. Name it \.json"),
        ],
    )
    def test_named_with_their_place(self, tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
        with pytest.raises(DataError, match=message):
            read(tmp_path, name, content)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"talk\.srt can't be read: No such file"):
            read_transcript(tmp_path / "talk.srt")


pieces = st.one_of(
    st.text(max_size=5),
    st.sampled_from(
        [
            "00:01,0",
            " --> ",
            "0 250 a\n",
            "0 sil",
            "\n",
            "\r",
            "\n\n",
            "[1s - 2s] ",
            "[",
            "{",
            "<i>",
            "&lt;",
            "-",
            "NaN",
            "WEBVTT",
        ]
    ),
    st.sampled_from(
        ["1\n00:00:01,000 --> 00:00:02,500\n", "a <00:02.000> b\n", "[0.5s - 1e999s] a\n", "[2s - 3s] b\n"]
    ),
)
numbers = st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=2), st.just(1.5))
word = st.fixed_dictionaries({}, optional={"word": st.text(max_size=4), "start": numbers, "end": numbers})
segment = st.fixed_dictionaries(
    {"start": numbers, "end": numbers, "text": st.text(max_size=9)}, optional={"words": st.lists(word, max_size=3)}
)
contents = st.one_of(
    st.binary(max_size=60),
    st.lists(pieces, max_size=12).map("".join),
    st.lists(segment, max_size=3).map(lambda segments: json.dumps({"segments": segments})),
)


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.json", "a.txt", "a.align"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=contents)
def test_anything_is_a_transcript_or_a_fault(tmp_path: Path, name: str, content: bytes | str) -> None:
    raw = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
    try:
        heard = read(tmp_path, name, raw)
    except DataError:
        return
    for segment in heard.segments:
        assert segment.words
        for word in segment.words:
            assert 0 <= word.start_s <= word.end_s < float("inf")
            assert word.text and not word.text.isspace() and word.text.encode()
