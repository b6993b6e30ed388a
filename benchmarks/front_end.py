"""What comes before the visual encoder: processor time per frame, and how far followed faces are from searched ones.

    python -m benchmarks.front_end [--quick] [--json FILE]

Decoding, searching, following and aligning, as stage 1 does it, beside a search of every frame and beside decoding
alone. Processor time of all threads together. Videos: the real ones beside the project, in H.264 at 640 x 360, with
YuNet; without them, clips of the embedded corpus with the Haar cascade. Where the variable MTCNN_PYTHON names the
interpreter of an environment with facenet-pytorch (benchmarks/README.md), its MTCNN takes turns too.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.alone import alone
from benchmarks.measure import in_turns, row
from benchmarks.row import Row
from common.datasets import open_dataset
from common.errors import DataError, UsageError
from common.media import decode
from stage1_embeddings.faces.align import align
from stage1_embeddings.faces.detect import Detector, detector, iou
from stage1_embeddings.faces.tracking import Tracked, select, track

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

#: Real videos, the first two at 640 x 360 as they are.
VIDEOS = (
    "videos/pyfeat_single_face.mp4",
    "hard/silent_audio_track_face_pexels.mp4",
    "videos/WDA_KatieHill_000.mp4",
    "videos/grid_lwbsza.mpg",
)

SIZE_PX = (640, 360)

#: As the recipes have it.
EVERY_FRAMES = 12

#: Followed boxes must overlap searched ones by this on average, and a face be in one of them only this often.
LEAST_IOU = 0.9
MOST_ONE_SIDED = 0.02

#: Times MTCNN's cost that ours may be at most, and frames of a video it is given: it takes a tenth of a second each.
_MTCNN_TIMES = 10.0
_MTCNN_FRAMES = 60

_WHY = (
    "Beside decoding there are the network that searches, optical flow, the conversion to RGB, grey pictures and "
    "crops, which take as long where decoding is faster."
)


@dataclass(frozen=True)
class Material:
    """The videos, and the detector that suits them."""

    paths: list[Path]
    finder: Detector
    named: str
    remark: str


def material(quick: bool, folder: Path) -> Material:
    """Real videos with YuNet where they lie beside the project, else clips of the embedded corpus with the cascade."""
    weights = SHARED / "weights" / "face_detection_yunet_2023mar.onnx"
    paths = [SHARED / name for name in VIDEOS]
    remark = ""
    if real := weights.is_file() and all(path.is_file() for path in paths):
        finder = detector("yunet", weights=weights, min_score=0.6, detect_width_px=320)
    else:
        finder = detector("haar", weights=None, min_score=0.6, detect_width_px=192)
        paths = [clip.source for clip in open_dataset(None, Path("cache"), lambda _: None).clips[:2]]
        remark = "Clips of the embedded corpus and the Haar cascade: the real videos aren't there."
    paths = [at_640x360(path, folder) for path in (paths[:1] if quick else paths)]
    return Material(paths, finder, "YuNet" if real else "the cascade", remark)


def at_640x360(path: Path, folder: Path) -> Path:
    """The video in H.264, its height 360 px, on a frame 640 px wide; the file itself where it is so already."""
    info = decode.probe(path)
    if info.codec == "h264" and (info.width_px, info.height_px) == SIZE_PX:
        return path
    scaled = folder / f"{path.stem}.mp4"
    with av.open(str(scaled), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE_PX, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time_s, picture in decode.frames(path):
            width = min(SIZE_PX[0], round(picture.shape[1] * SIZE_PX[1] / picture.shape[0]))
            canvas = np.zeros((SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
            left = (SIZE_PX[0] - width) // 2
            canvas[:, left : left + width] = cv2.resize(picture, (width, SIZE_PX[1]), interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(canvas, format="rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return scaled


def front_end(path: Path, finder: Detector, every_frames: int) -> list[Tracked | None]:
    """All that stage 1 does up to the crops; the chosen face of each frame."""
    choose = select("largest")
    chosen = []
    for frame in track(decode.frames(path), finder, every_frames=every_frames):
        one = choose(frame.faces, frame.picture.shape[1])
        if one is not None:
            align(frame.picture, one.face.landmarks)
        chosen.append(one)
    return chosen


def search_every_frame(path: Path, finder: Detector) -> int:
    """Decode, search and align each frame by itself; the number of frames."""
    count = 0
    for _, picture in decode.frames(path):
        face = finder.detect(picture)
        if face is not None:
            align(picture, face.landmarks)
        count += 1
    return count


def bare_decoding(path: Path) -> int:
    """PyAV by itself; the number of frames."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def agreement(searched: list[Tracked | None], followed: list[Tracked | None]) -> tuple[float, float]:
    """Mean IoU of the boxes where both have a face, and the share of frames where only one has.

    Raises
    ------
    DataError
        If the two aren't alike: then their speeds can't be compared.
    """
    pairs = list(zip(searched, followed, strict=True))
    overlaps = [iou(a.face.box, b.face.box) for a, b in pairs if a and b]
    overlap = statistics.mean(overlaps) if overlaps else 0.0
    one_sided = sum((a is None) != (b is None) for a, b in pairs) / len(pairs)
    if overlap < LEAST_IOU or one_sided > MOST_ONE_SIDED:
        raise DataError(
            f"Followed faces aren't searched ones: IoU {overlap:.3f}, {one_sided:.1%} of the frames in one only.",
            f"At least {LEAST_IOU} and at most {MOST_ONE_SIDED:.0%} are asked for; see benchmarks/front_end.py.",
        )
    return overlap, one_sided


class Mtcnn:
    """MTCNN in the process of another interpreter, which is asked for one turn after the other."""

    def __init__(self, process: subprocess.Popen[str], frames: int) -> None:
        self._process, self._frames = process, frames
        self.away_s = 0.0  # processor seconds of all turns, had they been about the whole video
        self.found = 0.0

    def __call__(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # then nothing is answered either
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise UsageError("benchmarks/mtcnn.py ended; its error is above.", "Unset MTCNN_PYTHON, or see README.md.")
        told = json.loads(answer)
        self.found = told["found"] / told["frames"]
        self.away_s += told["ms"] / 1000 * self._frames


@contextlib.contextmanager
def mtcnn(path: Path, frames: int) -> Iterator[Mtcnn | None]:
    """MTCNN ready for a video of so many frames; None where MTCNN_PYTHON isn't set."""
    python = os.environ.get("MTCNN_PYTHON")
    if not python:
        yield None
        return
    script = str(Path(__file__).with_name("mtcnn.py"))
    command = [python, script, str(path), "--frames", str(min(frames, _MTCNN_FRAMES)), "--asked"]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    except OSError as error:
        raise UsageError(f"MTCNN_PYTHON={python}: {error.strerror}.", "Name the environment's python.") from None
    with process:
        try:
            yield Mtcnn(process, frames)
        finally:
            process.kill()


def measured(path: Path, used: Material, turns: int) -> Row:
    """The row of one video."""
    searched, followed = front_end(path, used.finder, 1), front_end(path, used.finder, EVERY_FRAMES)
    overlap, one_sided = agreement(searched, followed)
    frames, every = len(searched), f"{used.named} on every frame"
    with mtcnn(path, frames) as other:
        ways: dict[str, Callable[[], object]] = {
            "front end": lambda: front_end(path, used.finder, EVERY_FRAMES),
            every: lambda: search_every_frame(path, used.finder),
            "to RGB": lambda: sum(1 for _ in decode.frames(path)),
            "bare PyAV decoding": lambda: bare_decoding(path),
            **({"MTCNN on every frame": other} if other else {}),
        }
        found = in_turns(ways, turns, lambda: time.process_time() + (other.away_s if other else 0.0))
    costs = {name: [1000 * seconds / frames for seconds in values] for name, values in found.items()}
    note = f"{frames} frames; IoU with a search of every frame {overlap:.3f}, {one_sided:.1%} with a face in one only"
    note += f"; decoded to RGB alone {statistics.median(costs['to RGB']):.2f} ms. {used.remark}"
    note += f" MTCNN found a face in {other.found:.0%}." if other else " MTCNN_PYTHON isn't set: no MTCNN."
    return row(
        f"front end of {path.name}, {used.named} on every {EVERY_FRAMES}th frame",
        "core-ms",
        costs,
        ours="front end",
        alternatives={**({"MTCNN on every frame": _MTCNN_TIMES} if other else {}), every: None},
        limit=("bare PyAV decoding", 1 / 3),
        at_most=2.0,
        why=_WHY,
        note=" ".join(note.split()),
    )


def rows(quick: bool, device: str) -> list[Row]:
    """One row per video; ``device`` makes no difference."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        used = material(quick, Path(folder))
        return [measured(path, used, turns=3 if quick else 7) for path in used.paths]


main = alone(rows)

if __name__ == "__main__":
    main()
