"""Sound: one mono waveform on the clock of the frames, every piece in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.errors import MediaError
from common.media.decode import audio
from tests.common.media_files import gray, tone, write_sound, write_video


def test_no_sound(tmp_path: Path) -> None:
    assert audio(write_video(tmp_path / "mute.mp4", [gray(9)])) is None


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_length_level_and_pitch_survive_resampling(tmp_path: Path, rate_hz: int) -> None:
    heard = audio(write_sound(tmp_path / "tone.mkv", [(0.0, tone(1.0, rate_hz, channels=2))], rate_hz))
    assert heard is not None
    assert heard.samples.dtype == np.float32 and heard.rate_hz == 16_000 and heard.gaps == ()
    assert len(heard.samples) == pytest.approx(16_000, abs=16)
    inner = heard.samples[200:15_800]
    expected = 0.5 * np.sin(2 * np.pi * 440 * (np.arange(len(inner)) + 200) / 16_000)
    assert np.abs(inner - expected).max() < 0.02, "shifted, scaled, or cut"


def test_two_loud_channels_stay_within_one(tmp_path: Path) -> None:
    heard = audio(write_sound(tmp_path / "loud.mkv", [(0.0, tone(0.5, 48_000, channels=2, level=1.0))], 48_000))
    assert heard is not None
    assert np.abs(heard.samples).max() <= 1.0
    assert np.sqrt(np.mean(heard.samples[500:-500] ** 2)) == pytest.approx(np.sqrt(0.5), abs=0.02), "clipped"


def test_late_sound_starts_late(tmp_path: Path) -> None:
    wave = np.zeros((1, 24_000), np.float32)
    wave[0, 12_000] = 0.9
    heard = audio(write_sound(tmp_path / "late.mkv", [(1.5, wave)], 48_000))
    assert heard is not None
    assert heard.start_s == pytest.approx(1.5, abs=1e-3)
    click_s = heard.start_s + np.abs(heard.samples).argmax() / heard.rate_hz
    assert click_s == pytest.approx(1.75, abs=2e-3)


def test_a_gap_is_silence_and_is_named(tmp_path: Path) -> None:
    pieces = [(0.0, tone(0.5, 16_000)), (0.8, tone(0.4, 16_000))]
    heard = audio(write_sound(tmp_path / "gap.mkv", pieces, 16_000))
    assert heard is not None and len(heard.gaps) == 1
    assert heard.gaps[0] == pytest.approx((0.5, 0.8), abs=2e-3)
    assert len(heard.samples) == pytest.approx(1.2 * 16_000, abs=32)
    assert np.abs(heard.samples[8_100:12_700]).max() == 0
    again = heard.samples[12_800:]
    assert np.abs(again[:6_000] - pieces[1][1][0, :6_000]).max() < 0.2, "the second piece is not in its place"


def test_rounded_times_are_no_gap(tmp_path: Path) -> None:
    pieces = [(0.0, tone(0.5, 16_000)), (0.515, tone(0.5, 16_000))]
    heard = audio(write_sound(tmp_path / "jitter.mkv", pieces, 16_000))
    assert heard is not None and heard.gaps == () and len(heard.samples) == 16_000


def test_an_overlap_is_trimmed(tmp_path: Path) -> None:
    loud, soft = np.full((1, 8_192), 0.8, np.float32), np.full((1, 8_192), 0.2, np.float32)
    path = write_sound(tmp_path / "overlap.mkv", [(0.0, loud), (0.412, soft)], 16_000)
    heard = audio(path)
    assert heard is not None and heard.gaps == ()
    assert len(heard.samples) == pytest.approx(16 * 412 + 8_192, abs=16)
    assert heard.samples[:8_100] == pytest.approx(0.8, abs=0.01)
    assert heard.samples[8_200:] == pytest.approx(0.2, abs=0.01)


def test_a_reset_clock_is_an_error(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "joined.mkv", [(0.0, tone(2.0, 16_000)), (0.1, tone(2.0, 16_000))], 16_000)
    with pytest.raises(MediaError, match=r"joined\.mkv: the time of its sound runs back from 2\.\d+ s to 0\.1"):
        audio(path)


def test_a_broken_clock_is_not_filled_with_silence(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "year.mkv", [(0.0, tone(0.1, 16_000)), (80_000.0, tone(0.1, 16_000))], 16_000)
    with pytest.raises(MediaError, match=r"stops at 0\.10 s and goes on at 80000\.00 s"):
        audio(path)


def test_not_a_number(tmp_path: Path) -> None:
    wave = tone(0.1, 16_000)
    wave[0, 500] = np.nan
    with pytest.raises(MediaError, match="values that aren't numbers"):
        audio(write_sound(tmp_path / "nan.mkv", [(0.0, wave)], 16_000))
