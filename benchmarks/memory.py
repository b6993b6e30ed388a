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
from collections.abc import Sequence
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


def extracted(
    video: Path, seconds: float, folder: Path, *, recipe: str = "demo", sets: Sequence[str] = (), device: str = "cpu"
) -> tuple[float, float, float]:
    """What `python -m stage1_embeddings extract` takes for ``video`` repeated to a length.

    Parameters
    ----------
    folder : Path
        For the repeated video, the miniature encoders and the cache; it must be empty, and is so afterwards.
    sets : ``key=value`` of the recipe

    Returns
    -------
    peak : MiB of resident memory, the command and its workers together
    spent_s : seconds of the command
    size : MiB of the cache's file
    """
    talk, cache = folder / "talk.mkv", folder / "cache"
    repeated(video, talk, seconds)
    for modality in MODALITIES:
        miniature_folder(modality, cache)
    command = [sys.executable, "-m", "stage1_embeddings", "extract", "--data", str(talk), "--recipe", recipe]
    command += [part for setting in sets for part in ("--set", setting)]
    peak, spent_s = peak_mib([*command, "--cache", str(cache), "--run", str(folder / "run"), "--device", device])
    size = sum(path.stat().st_size for path in (cache / "features").rglob("*.h5")) / 2**20
    talk.unlink()
    for left in (cache, folder / "run"):
        shutil.rmtree(left)
    return peak, spent_s, size


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="6 minutes in place of 60.")
@click.option("--minutes", default=60, show_default=True)
@recipe_options
def main(quick: bool, minutes: int, recipe: str, overrides: tuple[str, ...]) -> None:
    clip = open_dataset(None, Path("cache"), lambda _: None).clips[0]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for length in (1, 6 if quick else minutes):
            peak, spent_s, size = extracted(clip.source, 60 * length, Path(folder), recipe=recipe, sets=overrides)
            found.append(peak)
            click.echo(f"{length:4d} min: peak {peak:7.0f} MiB, {spent_s:6.0f} s, cache file {size:.1f} MiB")
    click.echo(f"ratio {found[1] / found[0]:.3f}")


if __name__ == "__main__":
    main()
