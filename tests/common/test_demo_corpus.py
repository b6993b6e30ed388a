"""The corpus that the project renders itself: layout, determinism, and what a detector and a decoder find in it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from common.datasets.demo import CORPUS_VERSION, render_corpus
from common.datasets.demo.expression import express
from common.datasets.demo.face import FaceDrawer
from common.datasets.demo.head import BROW_Y, CENTRE_Y, EYE_Y, FACE_SHARE
from common.datasets.demo.path import smooth_noise, valence_arousal_path
from common.datasets.demo.plan import SET_FOLDERS, plan_corpus
from common.datasets.demo.script import LEXICON, Word, as_json, as_srt, write_script
from common.datasets.demo.voice import AUDIO_RATE_HZ, speak
from common.errors import DataError, UsageError

TINY = {"clips": 3, "seconds": 1.0, "seed": 4, "size_px": 192}
SMALL = {**TINY, "size_px": 128}  # where nobody looks at the pictures
DEFAULT = {"clips": 30, "seconds": 7.0, "seed": 2025, "size_px": 192}
ROOT = Path(__file__).parents[2]
AAC_FRAME_S = 1024 / AUDIO_RATE_HZ


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    render_corpus(folder, **TINY)
    return folder


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def frames_of(video):
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def videos(folder):
    return sorted(folder.glob("videos/batch*/*.mp4"))


def words_of(video):
    """(text, start_s, end_s) of a clip's words, or of its cues where it has SubRip."""
    if video.with_suffix(".json").exists():
        segments = json.loads(video.with_suffix(".json").read_text())["segments"]
        return [(word["word"], word["start"], word["end"]) for segment in segments for word in segment["words"]]
    cues = [block.splitlines() for block in video.with_suffix(".srt").read_text().strip().split("\n\n")]
    return [(text, *(seconds(stamp) for stamp in times.split(" --> "))) for _, times, text in cues]


def seconds(stamp):
    hours, minutes, rest = stamp.replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def test_layout_is_that_of_aff_wild2(corpus):
    expected = {Path("corpus.json")}
    for clip in plan_corpus(**TINY):
        beside = Path("videos", clip.folder)
        expected |= {beside / f"{clip.name}.mp4", beside / f"{clip.name}.{clip.transcript}"}
        expected.add(Path("VA_Estimation_Challenge", SET_FOLDERS[clip.split], f"{clip.name}.txt"))
    assert set(contents(corpus)) == expected
    record = json.loads((corpus / "corpus.json").read_text())
    assert record == {"kind": "maven demo corpus", "version": CORPUS_VERSION, **TINY}


def test_one_row_for_each_decoded_frame_and_nothing_out_of_range(corpus):
    for clip in plan_corpus(**TINY):
        annotation = corpus / "VA_Estimation_Challenge" / SET_FOLDERS[clip.split] / f"{clip.name}.txt"
        lines = annotation.read_text().splitlines()
        assert lines[0] == "valence,arousal"
        rows = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])
        frames = frames_of(corpus / "videos" / clip.folder / f"{clip.name}.mp4")
        assert len(rows) == len(frames) == clip.frames
        assert frames[0].shape == (192, 192, 3)
        blank = (rows == -5).all(axis=1)
        assert np.flatnonzero(blank).tolist() == ([] if clip.gap is None else list(range(*clip.gap)))
        assert np.abs(rows[~blank]).max() < 1


def test_sound_is_there_at_its_rate_and_as_long_as_the_picture(corpus):
    for video in videos(corpus):
        with av.open(str(video)) as container:
            stream = container.streams.audio[0]
            assert (stream.rate, stream.codec_context.name, stream.channels) == (AUDIO_RATE_HZ, "aac", 1)
            assert container.streams.video[0].codec_context.name == "h264"
            pieces = list(container.decode(audio=0))
        sound = np.concatenate([piece.to_ndarray()[0] for piece in pieces])
        assert pieces[0].pts == 0
        assert TINY["seconds"] <= len(sound) / AUDIO_RATE_HZ < TINY["seconds"] + AAC_FRAME_S
        assert 0.01 < sound.std() < 0.5


def test_transcripts_are_ordered_and_inside_the_clip(corpus):
    forms = {video.with_suffix(".json").exists() for video in videos(corpus)}
    assert forms == {True, False}, "both transcript formats should be there"
    for video in videos(corpus):
        words = words_of(video)
        assert words
        assert all(token in LEXICON for text, *_ in words for token in text.split())
        edges = [edge for _, start_s, end_s in words for edge in (start_s, end_s)]
        assert edges == sorted(edges)
        assert edges[0] >= 0 and edges[-1] <= TINY["seconds"]


def test_same_seed_same_bytes_other_seed_other_corpus(corpus, tmp_path):
    render_corpus(tmp_path / "again", **TINY)
    assert contents(tmp_path / "again") == contents(corpus)
    render_corpus(tmp_path / "other", **{**TINY, "seed": 5})
    same = set(contents(tmp_path / "other").values()) & set(contents(corpus).values())
    assert not same


def test_a_detector_finds_the_faces(corpus):
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    frames = [frame for video in videos(corpus) for frame in frames_of(video)]
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    found = sum(len(cascade.detectMultiScale(grey, 1.1, 4, minSize=(48, 48))) == 1 for grey in greys)
    assert found >= 0.95 * len(frames), f"{found} of {len(frames)}"


def test_a_finished_corpus_is_left_alone_and_another_is_replaced(tmp_path):
    folder, rendered = tmp_path / "corpus", []
    render_corpus(folder, **SMALL, on_clip=rendered.append)
    assert rendered == [clip.name for clip in plan_corpus(**SMALL)]
    before = contents(folder)
    render_corpus(folder, **SMALL, on_clip=rendered.append)
    assert len(rendered) == 3, "nothing was left to do"

    videos(folder)[0].unlink()
    render_corpus(folder, **SMALL, on_clip=rendered.append)
    assert len(rendered) == 6 and contents(folder) == before

    render_corpus(folder, **{**SMALL, "seed": 5}, on_clip=rendered.append)
    assert len(rendered) == 9 and contents(folder) != before


def test_an_interrupted_rendering_leaves_nothing(tmp_path):
    def stop(name):
        raise KeyboardInterrupt(name)

    with pytest.raises(KeyboardInterrupt):
        render_corpus(tmp_path / "corpus", **SMALL, on_clip=stop)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_leaves_the_finished_corpus(corpus):
    def stop(name):
        raise KeyboardInterrupt(name)

    before = contents(corpus)
    with pytest.raises(KeyboardInterrupt):
        render_corpus(corpus, **{**TINY, "seed": 5}, on_clip=stop)
    assert contents(corpus) == before
    assert list(corpus.parent.iterdir()) == [corpus]


def test_a_killed_rendering_leaves_no_finished_folder_and_is_cleared_away(tmp_path):
    program = (
        "import os, signal; from pathlib import Path; from common.datasets.demo import render_corpus\n"
        f"render_corpus(Path({str(tmp_path / 'corpus')!r}), **{SMALL!r}, "
        "on_clip=lambda name: os.kill(os.getpid(), signal.SIGKILL))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -9
    assert not (tmp_path / "corpus").exists()
    assert len(list(tmp_path.iterdir())) == 1, "what the killed process had made so far"
    render_corpus(tmp_path / "corpus", **SMALL)
    assert list(tmp_path.iterdir()) == [tmp_path / "corpus"]


def test_what_is_not_a_demo_corpus_is_never_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"no demo corpus, as it has no corpus\.json"):
        render_corpus(tmp_path, **SMALL)
    (tmp_path / "corpus.json").write_text("{")
    with pytest.raises(DataError, match=r"can't be read as JSON"):
        render_corpus(tmp_path, **SMALL)
    (tmp_path / "corpus.json").write_text('{"kind": "something else"}')
    with pytest.raises(DataError, match="doesn't describe a demo corpus"):
        render_corpus(tmp_path, **SMALL)
    with pytest.raises(DataError, match="is in the way"):
        render_corpus(tmp_path / "notes.txt", **SMALL)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_all_wrong_arguments_are_named_at_once():
    with pytest.raises(UsageError, match=r"clips is 2.*seconds is 0\.5.*seed is -1.*size_px is 97"):
        plan_corpus(2, 0.5, -1, 97)


def test_default_plan_has_the_promised_splits_speakers_rates_and_gaps():
    plan = plan_corpus(**DEFAULT)
    assert [sum(clip.split == split for clip in plan) for split in SET_FOLDERS] == [20, 5, 5]
    names = [clip.name for clip in plan]
    assert len(set(names)) == 30, "a clip belongs to one split"
    numbers = [int("".join(filter(str.isdigit, name.split("-")[0]))) for name in sorted(names)]
    assert numbers != sorted(numbers), "sorting as strings should be a mistake that shows"
    assert len({clip.speaker for clip in plan}) == 30
    rates = [clip.rate_hz for clip in plan]
    assert set(rates) == {25, 30} and rates.count(25) > rates.count(30)
    assert {clip.transcript for clip in plan} == {"json", "srt"}
    assert {clip.folder for clip in plan} == {"batch1", "batch2"}
    gaps = {clip.split: [other.gap for other in plan if other.split == clip.split and other.gap] for clip in plan}
    assert {split: len(found) for split, found in gaps.items()} == {"train": 2, "validation": 1, "test": 1}
    assert all(0 <= first < stop <= 210 and stop - first <= 24 for found in gaps.values() for first, stop in found)


def test_paths_visit_the_whole_plane_within_bounds():
    for split in SET_FOLDERS:
        clips = [clip for clip in plan_corpus(**DEFAULT) if clip.split == split]
        rngs = [np.random.default_rng(clip.index) for clip in clips]
        time_s = np.arange(200) / 25
        path = np.concatenate([valence_arousal_path(time_s, c.mood, rng) for c, rng in zip(clips, rngs, strict=True)])
        assert np.abs(path).max() < 1
        assert 0.03 < (np.hypot(*path.T) > 1).mean() < 0.4
        for quadrant in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            assert (np.sign(path) == quadrant).all(axis=1).mean() > 0.05, (split, quadrant)


def test_smooth_noise_stays_in_its_band():
    time_s = np.arange(5000) / 25
    noise = smooth_noise(time_s, np.random.default_rng(0), low_hz=0.2, high_hz=0.5)
    power = np.abs(np.fft.rfft(noise * np.hanning(5000))) ** 2
    frequency_hz = np.fft.rfftfreq(5000, 1 / 25)
    inside = power[(frequency_hz > 0.18) & (frequency_hz < 0.52)].sum()
    assert inside > 0.999 * power.sum()
    assert 0.5 < noise.var() < 1.5


def test_words_follow_valence():
    rng = np.random.default_rng(1)
    for valence in (-0.8, 0.8):
        words = write_script(np.tile([valence, 0.0], (3000, 1)), 25, rng)
        meant = np.array([LEXICON[word.text][0] for word in words])
        assert 0.7 < (np.sign(meant) == np.sign(valence)).mean() < 1, "clearly, but not always"
        assert 2.3 < len(words) / 120 < 3.2


def test_transcript_formats():
    words = [Word("happy", 0.06, 0.4), Word("love", 0.45, 61.25)]
    assert as_srt(words) == "1\n00:00:00,060 --> 00:01:01,250\nhappy love\n"
    word_times = [{"word": "happy", "start": 0.06, "end": 0.4}, {"word": "love", "start": 0.45, "end": 61.25}]
    segment = {"start": 0.06, "end": 61.25, "text": "happy love", "words": word_times}
    assert json.loads(as_json(words)) == {"language": "en", "segments": [segment]}


def test_arousal_makes_the_voice_louder_and_higher():
    speaker = dataclasses.replace(plan_corpus(**TINY)[0].speaker, pitch_hz=120.0)
    loudness, pitch_hz = [], []
    for arousal in (-0.8, 0.8):
        feeling = np.tile([0.0, arousal], (50, 1))
        wave = speak([Word("a", 0.0, 2.0)], feeling, 25, speaker, np.random.default_rng(0)).wave
        piece = wave[AUDIO_RATE_HZ // 2 : AUDIO_RATE_HZ]
        echo = np.correlate(piece, piece, mode="full")[len(piece) - 1 :]
        lags = slice(AUDIO_RATE_HZ // 300, AUDIO_RATE_HZ // 60)
        loudness.append(wave.std())
        pitch_hz.append(AUDIO_RATE_HZ / (lags.start + int(np.argmax(echo[lags]))))
    assert loudness[1] > 2 * loudness[0]
    assert pitch_hz == pytest.approx([120 * 2 ** (-4 / 12), 120 * 2 ** (4 / 12)], rel=0.06)


def test_arousal_opens_the_eyes_of_every_speaker():
    for clip in plan_corpus(**DEFAULT)[:4]:
        drawer = FaceDrawer(clip.speaker, 192, np.random.default_rng(0))
        first, last = (round(192 * (CENTRE_Y + FACE_SHARE * y)) for y in (BROW_Y + 0.1, EYE_Y + 0.15))
        whites = []
        for arousal in (-0.9, 0.9):
            calm = express(np.tile([0.0, arousal], (2, 1)), np.zeros(2), 25, np.random.default_rng(0))
            still = dataclasses.replace(calm, **dict.fromkeys(("shift_x", "shift_y", "roll_deg"), np.zeros(2)))
            strip = drawer.draw(still, 0)[first:last].astype(int)
            whites.append((strip.min(axis=-1) > 165).sum())
        assert whites[1] > 1.5 * whites[0], clip.name


def test_importing_is_light():
    program = (
        "import sys, common.datasets.demo\n"
        "heavy = {'av', 'cv2', 'torch', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
