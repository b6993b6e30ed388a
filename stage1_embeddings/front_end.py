"""From a clip's files to events: decode, find and follow faces, cut them out; then the sound. Runs in worker processes.

Nothing here imports torch: a worker starts in a fraction of a second.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from common.errors import LimitError, MavenError
from common.media import decode
from common.reasons import reason_of
from common.schema import LANDMARKS
from stage1_embeddings.events import Array, Broken, Ended, Event, Frames, Sound, Task
from stage1_embeddings.faces import ready
from stage1_embeddings.faces.align import align
from stage1_embeddings.faces.choice import select
from stage1_embeddings.faces.detect import Detector, detector
from stage1_embeddings.faces.kept import kept_frames
from stage1_embeddings.faces.tracking import Tracked, track

#: Frames handed on together.
BATCH_FRAMES = 64

#: Faces handed on together: a batch is cut short where frames hold many.
BATCH_FACES = 128


class FrontEnd:
    """Decodes one clip after another; keeps its face detector.

    Parameters
    ----------
    weights : Path or None
        YuNet's file, which the caller has fetched and checked.
    """

    def __init__(self, weights: Path | None) -> None:
        self._weights = weights
        self._detectors: dict[str, Detector] = {}
        cv2.setNumThreads(1)

    def __call__(self, task: Task) -> Iterator[Event]:
        """Events of one clip; never raises for what is wrong with the clip."""
        try:
            if task.picture:
                yield from self._frames(task)
            if task.sound and task.source.is_file():
                yield from (Sound(block) for block in decode.sound(task.source, limits=task.decode))
            yield Ended()
        except MavenError as error:
            yield Broken(error.problem, error.cure, lasting=not isinstance(error, LimitError))
        except OSError as error:
            reason = f"{error.filename or task.source}: {error.strerror or error}"
            yield Broken(f"{reason}.", "Check the disk and the rights.", lasting=False)
        except (RuntimeError, ValueError, cv2.error) as error:
            logging.getLogger(__name__).debug("%s failed", task.key, exc_info=True)
            problem = f"{task.source}: {type(error).__name__}: {reason_of(error)}."
            yield Broken(problem, "This is unexpected; please report it with the clip.", lasting=True)

    def _frames(self, task: Task) -> Iterator[Frames]:
        if task.kept is not None:
            return kept_frames(task.kept)
        if task.faces.detector == "crops":
            return ready.frames(task)
        return self._found(task)

    def _found(self, task: Task) -> Iterator[Frames]:
        """Faces as the detector and the tracker find them, those of the policy."""
        faces = task.faces
        choose = select(faces.policy) if faces.policy != "all" else None
        batch = Batch(task.faces.crop_px, task.keep)
        pictures = decode.frames(task.source, limits=task.decode)
        for frame in track(pictures, self._detector(task), every_frames=faces.every_frames):
            found: list[Tracked] = list(frame.faces)
            if choose is not None:
                one = choose(found, frame.picture.shape[1])
                found = [one] if one is not None else []
            batch.add_frame(frame.time_s)
            for tracked in found:
                face = tracked.face
                crop = align(frame.picture, face.landmarks, size_px=faces.crop_px)
                batch.add_face(tracked.track, face.box, face.landmarks, face.score, crop)
            if batch.full:
                yield batch.taken()
        yield batch.taken()

    def _detector(self, task: Task) -> Detector:
        key = task.faces.model_dump_json()
        if key not in self._detectors:
            faces = task.faces
            assert faces.detector != "crops"
            self._detectors[key] = detector(
                faces.detector,
                weights=self._weights,
                min_score=faces.min_score,
                detect_width_px=faces.detect_width_px,
            )
        return self._detectors[key]


class Batch:
    """Frames and their faces, collected into one event."""

    def __init__(self, crop_px: int, keep: bool) -> None:
        self._crop_px, self._keep = crop_px, keep
        self._first = 0
        self._times: list[float] = []
        self._rows: list[tuple[int, int, Array, Array, float, Array]] = []

    @property
    def full(self) -> bool:
        return len(self._times) >= BATCH_FRAMES or len(self._rows) >= BATCH_FACES

    def add_frame(self, time_s: float) -> None:
        self._times.append(time_s)

    def add_face(self, track: int, box: Array, landmarks: Array, score: float, crop: Array) -> None:
        """A face in the frame that was added last."""
        self._rows.append((self._first + len(self._times) - 1, track, box, landmarks, score, crop))

    def taken(self) -> Frames:
        """What was collected, as an event; the batch begins anew."""
        rows, count = self._rows, len(self._rows)
        crops = np.array([row[5] for row in rows], dtype=np.uint8).reshape(count, self._crop_px, self._crop_px, 3)
        event = Frames(
            time_s=np.array(self._times, dtype=np.float64),
            frame=np.array([row[0] for row in rows], dtype=np.int64),
            track=np.array([row[1] for row in rows], dtype=np.int64),
            box=np.array([row[2] for row in rows], dtype=np.float32).reshape(count, 4),
            landmarks=np.array([row[3] for row in rows], dtype=np.float32).reshape(count, LANDMARKS, 2),
            score=np.array([row[4] for row in rows], dtype=np.float32),
            crops=crops,
            png=tuple(_png(crop) for crop in crops) if self._keep else (),
        )
        self._first += len(self._times)
        self._times, self._rows = [], []
        return event


def _png(crop: Array) -> bytes:
    done, content = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise RuntimeError("OpenCV can't write PNG")
    return content.tobytes()
