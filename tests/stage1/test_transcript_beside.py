"""Which file beside a video is its transcript, and captions that show each line again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transcripts import JSON, SRT, read, words

from stage1_embeddings.transcript import find_transcript, read_transcript


class TestFind:
    def test_order(self, tmp_path: Path) -> None:
        video = tmp_path / "my talk.v1.mp4"
        assert find_transcript(video) is None
        for suffix, content in [
            (".txt", "\n[12.3s - 14.0s] hi\n"),
            (".align", "0 12250 sil"),
            (".vtt", "WEBVTT"),
            (".srt", SRT),
            (".json", json.dumps(JSON)),
        ]:
            path = tmp_path / f"my talk.v1{suffix}"
            path.write_text(content)
            assert find_transcript(video) == path

    @pytest.mark.parametrize("content", [b"valence,arousal\n0.1,0.2\n", b"", b"\xff\xfe\x00"])
    def test_an_annotation_is_no_transcript(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "talk.txt").write_bytes(content)
        assert find_transcript(tmp_path / "talk.mp4") is None

    @pytest.mark.parametrize(
        "content",
        [
            "{}",
            '{"fps": 25}',
            '{"segments": null}',
            '{"segments": [[1, 2]]}',
            '[{"segments": [{"start": 0}]}]',
            '{"segments": {"a": 1}}',
            "\xff",
            '{"pose": [',
        ],
    )
    def test_other_json_is_no_transcript(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "talk.json").write_text(content, encoding="latin-1")
        assert find_transcript(tmp_path / "talk.mp4") is None
        (tmp_path / "talk.srt").write_text(SRT)
        assert find_transcript(tmp_path / "talk.mp4") == tmp_path / "talk.srt"

    @pytest.mark.parametrize(
        "content",
        [
            json.dumps(JSON),
            json.dumps(JSON, indent=2),
            '\ufeff{"language": "en", "segments" : [ ]}',
            '{"segments": [{"start": 0, "te',
            "",
        ],
        ids=["compact", "indented", "nothing said", "cut short", "empty"],
    )
    def test_whisper_json_is_a_transcript(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "talk.json").write_text(content, encoding="utf-8")
        (tmp_path / "talk.srt").write_text(SRT)
        assert find_transcript(tmp_path / "talk.mp4") == tmp_path / "talk.json"


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:02.000 align:start position:0%
{blank}
so<00:00:00.500><c> this</c><00:00:01.000><c> is</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
so this is
{blank}

00:00:02.010 --> 00:00:04.000 align:start position:0%
so this is
how<00:00:02.500><c> it</c><00:00:03.000><c> goes</c>

00:00:04.000 --> 00:00:04.010 align:start position:0%
how it goes
{blank}

00:00:04.010 --> 00:00:06.000 align:start position:0%
how it goes
on &amp; on

00:00:09.000 --> 00:00:10.000 align:start position:0%
{blank}
on<00:00:09.500><c> and</c>
""".replace("{blank}", " ")

ROLLING_SRT = """1
00:00:00,000 --> 00:00:02,000
so this is

2
00:00:02,000 --> 00:00:02,010
so this is

3
00:00:02,010 --> 00:00:04,000
so this is
how it goes

4
00:00:04,000 --> 00:00:04,010
how it goes
"""


class TestRollingCaptions:
    def test_lines_shown_again_are_said_once(self, tmp_path: Path) -> None:
        got = words(read(tmp_path, "talk.vtt", ROLLING))
        assert [[text for text, _, _ in segment] for segment in got] == [
            ["so", "this", "is"],
            ["how", "it", "goes"],
            ["on", "&", "on"],
            ["on", "and"],
        ]
        assert got[0] == [("so", 0.0, 0.5), ("this", 0.5, 1.0), ("is", 1.0, 2.0)]
        assert got[1] == [("how", 2.01, 2.5), ("it", 2.5, 3.0), ("goes", 3.0, 4.0)]
        assert (got[2][0][1], got[2][-1][2]) == (4.01, 6.0)

    def test_as_subrip(self, tmp_path: Path) -> None:
        got = words(read(tmp_path, "talk.srt", ROLLING_SRT))
        assert [[text for text, _, _ in segment] for segment in got] == [["so", "this", "is"], ["how", "it", "goes"]]

    def test_people_repeat_themselves(self, tmp_path: Path) -> None:
        cues = ["No.", "No.", "No.\nYes.", "Yes.", "Well,\nyou know", "you know"]
        times = [f"00:00:0{at}.000 --> 00:00:0{at + 1}.000" for at in range(9)]
        plain = "WEBVTT\n\n" + "\n\n".join(
            f"{at}\n{cue}" for at, cue in zip(times, ["No.", "No.", "No."], strict=False)
        )
        assert [text for segment in words(read(tmp_path, "a.vtt", plain)) for text, _, _ in segment] == ["No."] * 3
        pause = [f"00:00:{10 * at}.000 --> 00:00:{10 * at + 5}.000" for at in range(1, 6)]
        apart = "WEBVTT\n\n" + "\n\n".join(f"{at}\n{cue}" for at, cue in zip(pause, cues, strict=False))
        said = [text for segment in words(read(tmp_path, "b.vtt", apart)) for text, _, _ in segment]
        assert said == " ".join(cues[:5]).split()

    def test_spaces_between_cues(self, tmp_path: Path) -> None:
        sloppy = "WEBVTT\n \n00:01.000 --> 00:02.000\none\n \nname\n00:02.000 --> 00:03.000\ntwo\n"
        got = words(read(tmp_path, "talk.vtt", sloppy))
        assert [text for segment in got for text, _, _ in segment] == ["one", "two"]


@pytest.mark.shared_data
def test_grid_says_what_its_name_spells(shared: Callable[[str], Path]) -> None:
    path = shared("videos/grid_id2_swwp2s.align")
    command, colour, preposition = {"s": "set"}, {"w": "white"}, {"w": "with"}
    digit, adverb = {"2": "two"}, {"s": "soon"}
    *_, name = path.stem.split("_")
    spelt = [command[name[0]], colour[name[1]], preposition[name[2]], name[3], digit[name[4]], adverb[name[5]]]
    [sentence] = words(read_transcript(path))
    assert [text for text, _, _ in sentence] == spelt
    assert (sentence[0][1], sentence[-1][2]) == (0.49, 2.21)
    assert find_transcript(path.with_suffix(".mpg")) == path
