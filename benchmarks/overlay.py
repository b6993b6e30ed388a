"""Drawing a prediction into a video and writing its small copy: processor and wall time beside bare decoding.

    python -m benchmarks.overlay [VIDEO ...] [--quick] [--tracks 1]

A made-up prediction with labels and words; the ways take turns in one process. The last two columns are processor and
wall seconds per second of video: a wall of 0.5 is done in half of the time that the video plays. Without VIDEO: real
videos beside the project.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from common.errors import UsageError
from common.media import decode
from common.polar import to_polar
from common.schema import MODALITIES
from common.timeline import frame_edges_s
from common.words import Word
from stage3_mlp.predictions import ClipPrediction
from stage3_mlp.views.overlay.rendition import render
from stage3_mlp.views.view import Track, VideoView

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

#: 512 x 512, 640 x 360 and 1280 x 720.
VIDEOS = (
    "videos/WDA_KatieHill_000.mp4",
    "hard/severalfaces_short_hamilton_clip.mp4",
    "hard/no_duration_moviepy.webm",
)

WORD_S = 0.4


def made_up(path: Path, tracks: int) -> VideoView:
    """A view of the video in which every frame has faces, values and labels, and every moment a word."""
    time_s = np.array(list(decode.times(path)))
    info = decode.probe(path)
    people = []
    for index in range(tracks):
        values = 0.7 * np.stack([np.sin(time_s + index), np.cos(0.7 * time_s + index)], axis=1).astype(np.float32)
        intensity, theta = (part.astype(np.float32) for part in to_polar(*values.T))
        present = {modality: np.ones(len(time_s), dtype=bool) for modality in MODALITIES}
        prediction = ClipPrediction(f"face{index + 1}", time_s, values, intensity, theta, 0.8 * values, present)
        shape = np.array([0.1 + 0.2 * index, 0.2, 0.2, 0.4]) * np.tile((info.width_px, info.height_px), 2)
        people.append(Track(prediction, np.tile(shape.astype(np.float32), (len(time_s), 1))))
    starts = np.arange(time_s[0], time_s[-1], WORD_S).tolist()
    words = tuple(Word(f"word{index}", start_s, start_s + WORD_S) for index, start_s in enumerate(starts))
    return VideoView(path.stem, path, tuple(people), words)


def measured(ways: dict[str, Callable[[], object]], turns: int) -> dict[str, list[tuple[float, float]]]:
    """Processor and wall seconds of each way, in alternation, after one turn that isn't counted."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = time.process_time(), time.perf_counter()
            way()
            if turn > 0:
                spent[name].append((time.process_time() - began[0], time.perf_counter() - began[1]))
    return spent


def report(path: Path, folder: Path, tracks: int, turns: int) -> None:
    """Measure one video and print its rows."""
    view = made_up(path, tracks)
    overlay, plain = folder / "overlay.mp4", folder / "plain.mp4"
    ways: dict[str, Callable[[], object]] = {
        "bare decoding": lambda: sum(1 for _ in decode.times(path)),
        "decoding to RGB": lambda: sum(1 for _ in decode.frames(path)),
        "plain": lambda: render(view, overlay=None, plain=plain),
        "overlay": lambda: render(view, overlay=overlay, plain=None),
        "both": lambda: render(view, overlay=overlay, plain=plain),
    }
    spent = measured(ways, turns)
    edges = frame_edges_s(view.tracks[0].prediction.time_s)
    frames, plays_s = len(edges) - 1, float(edges[-1] - edges[0])
    bare_s = [processor_s for processor_s, _ in spent["bare decoding"]]
    for name, values in spent.items():
        processor_s, wall_s = (statistics.median(column) for column in zip(*values, strict=True))
        ratios = [own / bare for (own, _), bare in zip(values, bare_s, strict=True)]
        print(
            f"{path.name:40}{name:18}{1000 * processor_s / frames:8.2f}{statistics.median(ratios):8.1f}"
            f"{min(ratios):7.1f}{max(ratios):7.1f}{frames / wall_s:10.0f}"
            f"{processor_s / plays_s:11.2f}{wall_s / plays_s:7.2f}"
        )


@click.command()
@click.argument("videos", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--quick", is_flag=True, help="One video, fewer turns.")
@click.option("--tracks", default=1, show_default=True)
def main(videos: tuple[Path, ...], quick: bool, tracks: int) -> None:
    paths = videos or tuple(SHARED / name for name in VIDEOS[: 1 if quick else None])
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise UsageError(f"There is no {missing[0]}.", "Name videos of your own.")
    print("ms = processor time per frame, all threads; x bare = its ratio, median (min to max)")
    print(
        f"{'video':40}{'way':18}{'ms':>8}{'x bare':>8}{'min':>7}{'max':>7}{'frames/s':>10}{'processor':>11}{'wall':>7}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            report(path, Path(folder), tracks, turns=2 if quick else 5)


if __name__ == "__main__":
    main()
