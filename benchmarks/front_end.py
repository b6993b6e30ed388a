"""What comes before the visual encoder: processor time per frame, and how far followed faces are from searched ones.

    python -m benchmarks.front_end [VIDEO ...] [--quick] [--detector yunet|haar] [--every-frames 8]

Decoding, searching, following and aligning, as stage 1 does it, beside decoding alone and beside a search of every
frame. Processor time of all threads together. Without VIDEO: the real videos beside the project, in H.264 at 640 x 360.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import click
import cv2
import numpy as np

from common.errors import UsageError
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
            width = round(picture.shape[1] * SIZE_PX[1] / picture.shape[0])
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
    """Decode, search and align each frame by itself."""
    count = 0
    for _, picture in decode.frames(path):
        face = finder.detect(picture)
        if face is not None:
            align(picture, face.landmarks)
        count += 1
    return count


def processor_ms(ways: dict[str, Callable[[], object]], turns: int, frames: int) -> dict[str, list[float]]:
    """Processor milliseconds per frame of each way, in alternation, after one turn that isn't counted."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            if turn > 0:
                spent[name].append(1000 * (time.process_time() - began) / frames)
    return spent


def agreement(searched: list[Tracked | None], followed: list[Tracked | None]) -> tuple[float, float]:
    """Mean IoU of the boxes where both have a face, and the share of frames where only one has."""
    pairs = list(zip(searched, followed, strict=True))
    overlaps = [iou(a.face.box, b.face.box) for a, b in pairs if a and b]
    one_sided = sum((a is None) != (b is None) for a, b in pairs)
    return (statistics.mean(overlaps) if overlaps else float("nan")), one_sided / len(pairs)


@click.command()
@click.argument("videos", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--quick", is_flag=True, help="One video, fewer turns.")
@click.option("--detector", "kind", type=click.Choice(["yunet", "haar"]), default="yunet", show_default=True)
@click.option("--every-frames", default=12, show_default=True)
@click.option("--detect-width-px", type=int, default=None, help="Default: 320 for yunet, 192 for haar.")
def main(videos: tuple[Path, ...], quick: bool, kind: str, every_frames: int, detect_width_px: int | None) -> None:
    cv2.setNumThreads(1)
    paths = videos or tuple(SHARED / name for name in VIDEOS[: 1 if quick else None])
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise UsageError(f"There is no {missing[0]}.", "Name videos of your own.")
    weights = SHARED / "weights" / "face_detection_yunet_2023mar.onnx"
    width_px = detect_width_px or {"yunet": 320, "haar": 192}[kind]
    finder = detector(
        "yunet" if kind == "yunet" else "haar",
        weights=weights if weights.is_file() else None,
        min_score=0.6,
        detect_width_px=width_px,
    )
    print(f"{kind}, {width_px} px, every {every_frames}. frame; ms = processor time per frame, median (min to max)")
    print(f"{'video':34}{'way':26}{'ms':>8}{'min':>7}{'max':>7}{'x bare':>8}{'IoU':>8}{'one-sided':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            report(at_640x360(path, Path(folder)), finder, every_frames, turns=3 if quick else 7)


def report(path: Path, finder: Detector, every_frames: int, turns: int) -> None:
    """Measure one video and print its rows."""
    ways: dict[str, Callable[[], object]] = {
        "bare decoding": lambda: sum(1 for _ in decode.times(path)),
        "decoding to RGB": lambda: sum(1 for _ in decode.frames(path)),
        "front end": lambda: front_end(path, finder, every_frames),
        "search of every frame": lambda: search_every_frame(path, finder),
    }
    searched, followed = front_end(path, finder, 1), front_end(path, finder, every_frames)
    overlap, one_sided = agreement(searched, followed)
    spent = processor_ms(ways, turns, len(searched))
    for name, values in spent.items():
        middle = statistics.median(values)
        ratio = statistics.median(own / bare for own, bare in zip(values, spent["bare decoding"], strict=True))
        close = f"{overlap:8.3f}{one_sided:11.4f}" if name == "front end" else ""
        print(f"{path.name:34}{name:26}{middle:8.2f}{min(values):7.2f}{max(values):7.2f}{ratio:8.2f}{close}")


if __name__ == "__main__":
    main()
