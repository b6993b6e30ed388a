"""What the demo corpus will hold, decided before a single frame is drawn: names, splits, speakers, gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from common.errors import UsageError
from common.schema import Split

#: Goes up whenever the same seed no longer gives the same corpus.
CORPUS_VERSION: Final = 1

#: Folder names of Aff-Wild2's annotation archive.
SET_FOLDERS: Final[dict[Split, str]] = {
    "train": "Train_Set",
    "validation": "Validation_Set",
    "test": "Test_Set",
}
VIDEO_FOLDERS: Final = ("batch1", "batch2")
ANNOTATION_FOLDER: Final = "VA_Estimation_Challenge"

TranscriptForm = Literal["json", "srt"]

_HELD_OUT_SHARE: Final = 1 / 6
_RATES_HZ = (25, 25, 30, 25)
_FORMS: tuple[TranscriptForm, ...] = ("json", "json", "srt")
#: Of the train, validation and test clips, how many have a stretch without annotation.
_CLIPS_WITH_GAP: Final[dict[Split, int]] = {"train": 2, "validation": 1, "test": 1}
_GAP_SHARE = (0.04, 0.10)
_HIGHEST_NUMBER = 150


@dataclass(frozen=True)
class Speaker:
    """One drawn person. Lengths are shares of half the face's height, colours are RGB in [0, 1]."""

    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    clothes: tuple[float, float, float]
    wall: tuple[float, float, float]
    face_width: float
    eye_spacing: float
    eye_width: float
    brow_thickness: float
    mouth_width: float
    lip_thickness: float
    nose_length: float
    hair_length: float
    parting: float
    light: float
    pitch_hz: float
    formant_scale: float


@dataclass(frozen=True)
class ClipPlan:
    """One clip to be rendered. ``gap`` is the run of frames without annotation, ``(first, stop)``, or None."""

    name: str
    index: int
    split: Split
    folder: str
    rate_hz: int
    frames: int
    transcript: TranscriptForm
    gap: tuple[int, int] | None
    mood: tuple[float, float]
    speaker: Speaker

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame's start to the last frame's end."""
        return self.frames / self.rate_hz


def plan_corpus(clips: int, seconds: float, seed: int, size_px: int) -> list[ClipPlan]:
    """Plan the whole corpus; the same arguments give the same plan.

    Parameters
    ----------
    clips : int, at least 3: one for each split
    seconds : float, length of a clip, at least 1
    seed : int, not negative
    size_px : int, a multiple of 64, at least 128; here it only enters the clips' names

    Raises
    ------
    UsageError
        If an argument is out of range; all faults in one message.
    """
    _check(clips, seconds, seed, size_px)
    rng = np.random.default_rng([seed, CORPUS_VERSION])
    splits = _splits(clips, rng)
    numbers = 1 + rng.permutation(max(_HIGHEST_NUMBER, clips))[:clips]
    with_gap = {index for split, count in _CLIPS_WITH_GAP.items() for index in _some(splits, split, count)}
    plans = []
    for index, split in enumerate(splits):
        rate_hz = _RATES_HZ[index % len(_RATES_HZ)]
        frames = max(1, round(seconds * rate_hz))
        gap = _gap(frames, rng) if index in with_gap else None
        tagged = f"{numbers[index]}-{rate_hz}-{size_px}x{size_px}"
        plans.append(
            ClipPlan(
                name=f"video{numbers[index]}" if index % 3 == 1 else tagged,
                index=index,
                split=split,
                folder=VIDEO_FOLDERS[index % len(VIDEO_FOLDERS)],
                rate_hz=rate_hz,
                frames=frames,
                transcript=_FORMS[index % len(_FORMS)],
                gap=gap,
                mood=_mood(splits[:index].count(split), rng),
                speaker=_speaker(rng),
            )
        )
    return plans


def _check(clips: int, seconds: float, seed: int, size_px: int) -> None:
    faults = []
    if clips < len(SET_FOLDERS):
        faults.append(f"clips is {clips}, but each of {len(SET_FOLDERS)} splits needs one.")
    if not 1 <= seconds <= 3600:
        faults.append(f"seconds is {seconds}, outside 1 to 3600.")
    if seed < 0:
        faults.append(f"seed is {seed}, but must not be negative.")
    # FFmpeg's converter and x264 read beyond rows of other lengths, and the bytes then differ from run to run.
    if size_px < 128 or size_px % 64:
        faults.append(f"size_px is {size_px}, but must be a multiple of 64 and at least 128.")
    if faults:
        raise UsageError("The demo corpus can't be planned: " + " ".join(faults), "Change these values.")


def _splits(clips: int, rng: np.random.Generator) -> list[Split]:
    held_out = max(1, round(clips * _HELD_OUT_SHARE))
    sizes: dict[Split, int] = {"train": clips - 2 * held_out, "validation": held_out, "test": held_out}
    names = [split for split, size in sizes.items() for _ in range(size)]
    return [names[place] for place in rng.permutation(clips)]


def _some(splits: list[Split], split: Split, count: int) -> list[int]:
    return [index for index, name in enumerate(splits) if name == split][:count]


def _gap(frames: int, rng: np.random.Generator) -> tuple[int, int]:
    length = max(1, round(frames * rng.uniform(*_GAP_SHARE)))
    first = int(rng.integers(0, frames - length + 1))
    return first, first + length


def _mood(turn: int, rng: np.random.Generator) -> tuple[float, float]:
    """Where a clip's path is at home: within a split the clips take turns through the four quadrants."""
    sign_valence, sign_arousal = ((1, 1), (-1, -1), (-1, 1), (1, -1))[turn % 4]
    size = rng.uniform(0.0, 0.25, size=2)
    return float(sign_valence * size[0]), float(sign_arousal * size[1])


def _speaker(rng: np.random.Generator) -> Speaker:
    return Speaker(
        skin=_between((0.90, 0.73, 0.62), (0.77, 0.59, 0.48), rng.uniform(), rng),
        hair=_between((0.12, 0.09, 0.08), (0.34, 0.22, 0.13), rng.uniform(), rng),
        iris=_between((0.22, 0.13, 0.07), (0.28, 0.42, 0.50), rng.uniform(), rng),
        clothes=_colour(0.15, 0.60, 0.08, rng),
        wall=_colour(0.54, 0.61, 0.02, rng),
        face_width=rng.uniform(0.72, 0.80),
        eye_spacing=rng.uniform(0.32, 0.37),
        eye_width=rng.uniform(0.155, 0.185),
        brow_thickness=rng.uniform(0.045, 0.075),
        mouth_width=rng.uniform(0.24, 0.29),
        lip_thickness=rng.uniform(0.055, 0.085),
        nose_length=rng.uniform(0.24, 0.31),
        hair_length=rng.uniform(-0.1, 0.9),
        parting=rng.uniform(-1, 1),
        light=rng.uniform(-0.25, 0.25),
        pitch_hz=float(np.exp(rng.uniform(np.log(95), np.log(210)))),
        formant_scale=rng.uniform(0.92, 1.14),
    )


def _between(
    one: tuple[float, float, float], other: tuple[float, float, float], share: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    mixed = ((1 - share) * np.array(one) + share * np.array(other)) * rng.normal(1, 0.03, size=3)
    return _rgb(mixed)


def _colour(low: float, high: float, tint: float, rng: np.random.Generator) -> tuple[float, float, float]:
    grey = rng.uniform(low, high)
    return _rgb(grey + rng.uniform(-tint, tint, size=3))


def _rgb(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = np.clip(values, 0.02, 0.98)
    return float(red), float(green), float(blue)
