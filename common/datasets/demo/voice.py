"""A synthetic voice: pulses and noise (the source) through formants (the filter), steered by the path.

Arousal raises pitch and loudness and flattens the spectral tilt; valence moves the formants a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.datasets.demo.path import Floats
from common.datasets.demo.plan import Speaker
from common.datasets.demo.script import Word

#: Not the 16 kHz that encoders want, so that resampling is part of every run on this corpus.
AUDIO_RATE_HZ = 22_050

_CONTROL_HZ = 200
_SPECTRUM_SAMPLES = 512
_HOP_SAMPLES = 128
_LEVEL = 2.0
_FLOOR = 0.001
_SEMITONES = 5.0
_LOUDNESS_DB = 8.0
_TILT_DB_PER_OCTAVE = (-9.0, 5.0)
_BANDWIDTHS_HZ = np.array([90.0, 120.0, 170.0])
_SMOOTHING_S = 0.03


@dataclass(frozen=True)
class _Phone:
    """One sound: its share of the word's time, strength of pulses and noise, three formants, Hz."""

    share: float
    voiced: float
    noise: float
    formants_hz: tuple[float, float, float]


_VOWELS = {
    "a": (730.0, 1250.0, 2450.0),
    "e": (520.0, 1850.0, 2500.0),
    "i": (310.0, 2250.0, 2950.0),
    "y": (320.0, 2150.0, 2800.0),
    "o": (500.0, 900.0, 2400.0),
    "u": (330.0, 880.0, 2250.0),
}
_NEUTRAL_HZ = (500.0, 1500.0, 2500.0)
_SOUNDS = {letter: _Phone(1.0, 1.0, 0.02, formants) for letter, formants in _VOWELS.items()}
_SOUNDS |= {letter: _Phone(0.5, 0.45, 0.0, (280.0, 1250.0, 2300.0)) for letter in "lmnrwjv"}
_SOUNDS |= {letter: _Phone(0.5, 0.05, 0.35, (400.0, 1900.0, 5200.0)) for letter in "sfhzcx"}
_SOUNDS |= {letter: _Phone(0.35, 0.12, 0.12, _NEUTRAL_HZ) for letter in "ptkbdgq"}


@dataclass(frozen=True)
class Voice:
    """``wave`` (S,) float32 in [-1, 1] at AUDIO_RATE_HZ; ``opening`` (T,) in [0, 1], how far the jaw is down."""

    wave: npt.NDArray[np.float32]
    opening: Floats


def speak(words: list[Word], feeling: Floats, rate_hz: int, speaker: Speaker, rng: np.random.Generator) -> Voice:
    """Say ``words`` with the given feeling.

    Parameters
    ----------
    words : in order, inside the clip
    feeling : (T, 2) valence and arousal as they sound, one row per frame
    rate_hz : int, frames per second
    """
    frame_s = (np.arange(len(feeling)) + 0.5) / rate_hz
    duration_s = len(feeling) / rate_hz
    control_s = np.arange(0, duration_s, 1 / _CONTROL_HZ)
    voiced, noise, formants_hz = _sounds(words, control_s)
    valence = np.interp(control_s, frame_s, feeling[:, 0])
    arousal = np.interp(control_s, frame_s, feeling[:, 1])
    wobble = np.convolve(rng.normal(0, 1, len(control_s)), _hann(0.2), mode="same")
    pitch_hz = speaker.pitch_hz * 2 ** ((_SEMITONES * arousal + 1.5 * wobble) / 12)
    formants_hz = formants_hz * (speaker.formant_scale * (1 + 0.03 * valence))[:, None]

    samples = round(duration_s * AUDIO_RATE_HZ)
    sample_s = np.arange(samples) / AUDIO_RATE_HZ
    loudness = 10 ** (_LOUDNESS_DB * arousal / 20)
    source = _pulses(np.interp(sample_s, control_s, pitch_hz)) * np.interp(sample_s, control_s, voiced * loudness)
    breath = rng.normal(0, 1, samples) * np.interp(sample_s, control_s, noise * loudness)
    wave = _through_filter(source + 0.1 * breath, control_s, formants_hz, arousal)
    wave = np.tanh(_LEVEL * wave) + rng.normal(0, _FLOOR, samples)
    opening = voiced * np.clip((formants_hz[:, 0] - 200) / 500, 0, 1)
    return Voice(wave.astype(np.float32), np.clip(np.interp(frame_s, control_s, opening), 0, 1))


def _sounds(words: list[Word], control_s: Floats) -> tuple[Floats, Floats, Floats]:
    """(N,) strength of pulses, (N,) strength of noise, (N, 3) formants in Hz, smoothed as a mouth moves."""
    tracks = np.zeros((len(control_s), 5))
    tracks[:, 2:] = _NEUTRAL_HZ
    for word in words:
        phones = [_SOUNDS[letter] for letter in word.text]
        edges = np.cumsum([0.0] + [phone.share for phone in phones])
        edges_s = word.start_s + (word.end_s - word.start_s) * edges / edges[-1]
        for phone, low, high in zip(phones, *np.searchsorted(control_s, [edges_s[:-1], edges_s[1:]]), strict=True):
            tracks[low:high] = (phone.voiced, phone.noise, *phone.formants_hz)
    window = _hann(_SMOOTHING_S)
    edge = len(window) // 2
    padded = np.pad(tracks, ((edge, edge), (0, 0)), mode="edge")
    smooth = np.stack([np.convolve(column, window, mode="valid") for column in padded.T], axis=1)
    return smooth[:, 0], smooth[:, 1], smooth[:, 2:]


def _pulses(pitch_hz: Floats) -> Floats:
    """(S,) one pulse per period, split over two samples so that its place is exact; equal power at any pitch."""
    phase = np.cumsum(pitch_hz) / AUDIO_RATE_HZ
    at = np.flatnonzero(np.diff(np.floor(phase)) > 0)
    share = (np.ceil(phase[at]) - phase[at]) / (phase[at + 1] - phase[at])
    height = np.sqrt(AUDIO_RATE_HZ / pitch_hz[at]) * 0.1
    pulses = np.zeros(len(pitch_hz))
    pulses[at] += (1 - share) * height
    pulses[at + 1] += share * height
    return pulses


def _through_filter(source: Floats, control_s: Floats, formants_hz: Floats, arousal: Floats) -> Floats:
    """(S,) ``source`` shaped by formants and tilt, window by window, overlapped and added."""
    window = np.sqrt(np.hanning(_SPECTRUM_SAMPLES + 1)[:-1])
    padded = np.pad(source, (_SPECTRUM_SAMPLES, 2 * _SPECTRUM_SAMPLES))
    starts = np.arange(0, len(source) + _SPECTRUM_SAMPLES, _HOP_SAMPLES)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _SPECTRUM_SAMPLES)[starts] * window
    centre_s = (starts - _SPECTRUM_SAMPLES / 2) / AUDIO_RATE_HZ
    formants_hz = np.stack([np.interp(centre_s, control_s, track) for track in formants_hz.T], axis=1)
    gain = _gain(formants_hz, np.interp(centre_s, control_s, arousal))
    shaped = np.fft.irfft(np.fft.rfft(pieces) * gain, n=_SPECTRUM_SAMPLES) * window
    total = np.zeros(len(padded))
    for start, piece in zip(starts, shaped, strict=True):
        total[start : start + _SPECTRUM_SAMPLES] += piece
    return total[_SPECTRUM_SAMPLES : _SPECTRUM_SAMPLES + len(source)]


def _gain(formants_hz: Floats, arousal: Floats) -> Floats:
    """(W, F) gain of each window's filter: resonances over a sloping floor."""
    frequency_hz = np.fft.rfftfreq(_SPECTRUM_SAMPLES, 1 / AUDIO_RATE_HZ)
    distance = (frequency_hz[None, :, None] - formants_hz[:, None, :]) / _BANDWIDTHS_HZ
    resonance = 0.06 + (1 / (1 + distance**2)).sum(axis=-1)
    middle, swing = _TILT_DB_PER_OCTAVE
    octaves = np.log2(np.maximum(frequency_hz, 100) / 500)
    tilt_db = (middle + swing * arousal)[:, None] * octaves
    return np.asarray(resonance * 10 ** (tilt_db / 20) * (frequency_hz > 60))


def _hann(length_s: float) -> Floats:
    window = np.hanning(2 * round(length_s * _CONTROL_HZ) + 3)
    return np.asarray(window / window.sum())
