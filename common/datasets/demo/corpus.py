"""Renders the demo corpus: a folder in Aff-Wild2's layout, made from nothing but a seed.

<folder>/videos/batch1/<clip>.mp4                            H.264 and AAC; a drawn face that speaks
<folder>/videos/batch1/<clip>.json or .srt                   the timed transcript
<folder>/VA_Estimation_Challenge/Train_Set/<clip>.txt        valence,arousal: one row per frame, -5 = not annotated
<folder>/corpus.json                                         what it was rendered from
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from common.datasets.demo.path import Floats, as_shown, valence_arousal_path
from common.datasets.demo.plan import ANNOTATION_FOLDER, CORPUS_VERSION, SET_FOLDERS, ClipPlan, plan_corpus
from common.datasets.demo.script import Word, as_json, as_srt, write_script
from common.errors import DataError
from common.files import remove_partials, write_json, written_whole
from common.outside_text import json_of
from common.schema import NOT_ANNOTATED

if TYPE_CHECKING:
    from common.datasets.demo.expression import Expression
    from common.datasets.demo.face import FaceDrawer

RECORD_NAME: Final = "corpus.json"
_KIND: Final = "maven demo corpus"

#: How far face, voice and words stray from the feeling: standard deviation on valence, on arousal.
_FACE_BLUR = (0.20, 0.20)
_VOICE_BLUR = (0.30, 0.15)
_WORDS_BLUR = (0.10, 0.25)


def render_corpus(
    folder: Path,
    *,
    clips: int = 30,
    seconds: float = 7.0,
    seed: int = 2025,
    size_px: int = 192,
    on_clip: Callable[[str], None] | None = None,
) -> None:
    """Make sure that ``folder`` holds the demo corpus; return at once if it does already.

    The folder appears when it is complete. One rendered from other settings is replaced.

    Parameters
    ----------
    folder : Path
    clips : int, at least 3; 20 of 30 are for training, 5 for validation, 5 for the test
    seconds : float, length of a clip, at least 1
    seed : int, not negative; everything random follows from it
    size_px : int, side of the square pictures, a multiple of 64, at least 128
    on_clip : called with the name of each clip when it has been rendered

    Raises
    ------
    UsageError
        If an argument is out of range.
    DataError
        If ``folder`` is a file, or holds something that isn't a demo corpus.
    """
    plans = plan_corpus(clips, seconds, seed, size_px)
    record = {
        "kind": _KIND,
        "version": CORPUS_VERSION,
        "seed": seed,
        "clips": clips,
        "seconds": seconds,
        "size_px": size_px,
    }
    found = _read_record(folder)
    if found == record and all(file.is_file() for plan in plans for file in _files(folder, plan)):
        return
    remove_partials(folder.parent)
    with written_whole(folder) as partial:
        for plan in plans:
            _render_clip(partial, plan, seed, size_px)
            if on_clip is not None:
                on_clip(plan.name)
        write_json(partial / RECORD_NAME, record)


def _read_record(folder: Path) -> dict[str, Any] | None:
    """What ``folder`` was rendered from; None if there is nothing yet."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    cure = "Choose another folder, or remove this one."
    path = folder / RECORD_NAME
    if not path.is_file():
        raise DataError(f"{folder} is in the way: it is no demo corpus, as it has no {RECORD_NAME}.", cure)
    try:
        record = json_of(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} can't be read as JSON: {error}.", cure) from error
    if not isinstance(record, dict) or record.get("kind") != _KIND:
        raise DataError(f"{path} doesn't describe a demo corpus.", cure)
    return record


def _files(folder: Path, plan: ClipPlan) -> tuple[Path, Path, Path]:
    """Video, transcript and annotation of a clip."""
    beside = folder / "videos" / plan.folder
    annotation = folder / ANNOTATION_FOLDER / SET_FOLDERS[plan.split] / f"{plan.name}.txt"
    return beside / f"{plan.name}.mp4", beside / f"{plan.name}.{plan.transcript}", annotation


def _render_clip(folder: Path, plan: ClipPlan, seed: int, size_px: int) -> None:
    # Here, so that a corpus that is there already is recognised without loading OpenCV and FFmpeg.
    from common.datasets.demo.expression import express
    from common.datasets.demo.face import FaceDrawer
    from common.datasets.demo.media import write_mp4
    from common.datasets.demo.voice import AUDIO_RATE_HZ, speak

    rngs = np.random.default_rng([seed, CORPUS_VERSION, plan.index]).spawn(5)
    time_s = np.arange(plan.frames) / plan.rate_hz
    path = valence_arousal_path(time_s, plan.mood, rngs[0])
    words = write_script(as_shown(path, plan.rate_hz, _WORDS_BLUR, rngs[1]), plan.rate_hz, rngs[1])
    heard = as_shown(path, plan.rate_hz, _VOICE_BLUR, rngs[2])
    voice = speak(words, heard, plan.rate_hz, plan.speaker, rngs[2])
    seen = as_shown(path, plan.rate_hz, _FACE_BLUR, rngs[3])
    expression = express(seen, voice.opening, plan.rate_hz, rngs[3])
    drawer = FaceDrawer(plan.speaker, size_px, rngs[4])

    video, transcript, annotation = _files(folder, plan)
    for file in (video, annotation):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(
        video,
        _pictures(drawer, expression, plan.frames),
        size_px=size_px,
        rate_hz=plan.rate_hz,
        wave=voice.wave,
        audio_rate_hz=AUDIO_RATE_HZ,
    )
    transcript.write_text(_transcript(words, plan), encoding="utf-8")
    annotation.write_text(_annotation(path, plan), encoding="utf-8")


def _pictures(drawer: FaceDrawer, expression: Expression, frames: int) -> Iterator[Any]:
    return (drawer.draw(expression, frame) for frame in range(frames))


def _transcript(words: list[Word], plan: ClipPlan) -> str:
    return as_srt(words) if plan.transcript == "srt" else as_json(words)


def _annotation(path: Floats, plan: ClipPlan) -> str:
    rows = [f"{valence:.4f},{arousal:.4f}" for valence, arousal in path]
    if plan.gap is not None:
        first, stop = plan.gap
        rows[first:stop] = [f"{NOT_ANNOTATED:.0f},{NOT_ANNOTATED:.0f}"] * (stop - first)
    return "\n".join(["valence,arousal", *rows]) + "\n"
