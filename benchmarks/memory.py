"""Peak memory of stage 1 over a long video against a short one: it should be the same.

    python -m benchmarks.memory [--quick] [--minutes 60] [--set stage1.visual.precision=bfloat16]

One clip of the embedded corpus is repeated (its packets are copied) to 1 minute and to 60. Each is extracted by its own
process, as a user would; measured is the peak of the resident memory of that process and its workers together.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import click
import psutil

from common.command import recipe_options
from common.datasets import open_dataset
from common.schema import MODALITIES
from stage1_embeddings.encoders.miniature import miniature_folder

_LOOK_EVERY_S = 0.1


def repeated(video: Path, path: Path, seconds: float) -> None:
    """A Matroska file with the streams of ``video`` again and again, for ``seconds``."""
    with av.open(str(video)) as source:
        length_s = float(source.duration or 0) / av.time_base
    ends: dict[int, int] = {}
    with av.open(str(path), "w") as target:
        for turn in range(round(seconds / length_s)):
            with av.open(str(video)) as source:
                if turn == 0:
                    streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
                for packet in source.demux():
                    if packet.dts is None or packet.time_base is None or packet.pts is None:
                        continue
                    shift = round(turn * length_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    if packet.dts <= ends.get(packet.stream_index, packet.dts - 1):
                        continue  # where a turn begins, its first sound would overlap the last one's end
                    ends[packet.stream_index] = packet.dts
                    packet.stream = streams[packet.stream_index]
                    target.mux(packet)


def peak_mib(command: list[str]) -> tuple[float, float]:
    """Peak resident memory in MiB of a command and its children together, and its seconds."""
    began_s, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                family = [root, *root.children(recursive=True)]
                peak = max(peak, sum(member.memory_info().rss for member in family))
            except psutil.NoSuchProcess:
                continue  # one of them has just ended
            time.sleep(_LOOK_EVERY_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return peak / 2**20, time.monotonic() - began_s


@click.command()
@click.option("--quick", is_flag=True, help="6 minutes in place of 60.")
@click.option("--minutes", default=60, show_default=True)
@recipe_options
def main(quick: bool, minutes: int, recipe: str, overrides: tuple[str, ...]) -> None:
    clip = open_dataset(None, Path("cache"), lambda _: None).clips[0]
    sets = [part for setting in overrides for part in ("--set", setting)]
    found = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for length in (1, 6 if quick else minutes):
            data = folder / f"{length}"
            data.mkdir()
            repeated(clip.source, data / "talk.mkv", 60 * length)
            cache = data / "cache"
            for modality in MODALITIES:
                miniature_folder(modality, cache)
            command = [sys.executable, "-m", "stage1_embeddings", "extract", "--data", str(data / "talk.mkv")]
            places = ["--cache", str(cache), "--run", str(data / "run"), "--device", "cpu"]
            found[length], seconds = peak_mib([*command, "--recipe", recipe, *sets, *places])
            size = sum(path.stat().st_size for path in (cache / "features").rglob("*.h5")) / 2**20
            print(f"{length:4d} min: peak {found[length]:7.0f} MiB, {seconds:6.0f} s, cache file {size:.1f} MiB")
            shutil.rmtree(data)
    short, long = found.values()
    print(f"ratio {long / short:.3f}")


if __name__ == "__main__":
    main()
