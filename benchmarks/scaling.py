"""What is left to do of very many clips: seconds and peak memory by their number; manifest and folders beside it.

    python -m benchmarks.scaling [--clips 1000000] [--folder DIR] [--quick]

A hundredth, a tenth and all of the clips, each in a process of its own. The index, the look at the files and the
manifest are the real code; the videos and clip files are real but hold nothing (scaling_set.py), so that what opening
them would take isn't in it: one clip in a thousand isn't done. Twice the clips are files in DIR, by default the folder
for temporary ones; they are removed afterwards. ``--quick``: 100,000 clips.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.growth_fit import exponent
from benchmarks.scaling_set import Places, clips_of, make, plan_of, why_left

Part = Callable[[Places, int], int]


def streamed(places: Places, count: int) -> int:
    """Making the clips one by one, which is part of the listing."""
    return sum(1 for _ in clips_of(places, count))


def listed(places: Places, count: int) -> int:
    """Listing what is left to do."""
    from stage1_embeddings.left import left

    found = sum(1 for _ in left(plan_of(places), clips_of(places, count)))
    expected = sum(why_left(number) not in (None, "failed") for number in range(count))
    if found != expected:
        raise SystemExit(f"{found} of {count} clips are left, not {expected}: the listing is wrong.")
    return found


def scanned(places: Places, _: int) -> int:
    """Names and sizes of the folder of clip files."""
    with os.scandir(plan_of(places).folder) as entries:
        return sum(entry.stat().st_size > 0 for entry in entries)


def opened(places: Places, _: int) -> int:
    """The data set: a list of all its clips."""
    from common.datasets import open_dataset

    return len(open_dataset(places.videos, places.cache, lambda _: None).clips)


def written(places: Places, count: int) -> int:
    """Writing a manifest of all clips."""
    from common.manifest import CachedClip, Manifest, write_manifest

    digits = "0123456789abcdef"
    entries = (
        CachedClip(clip.id, clip.split, str(clip.source), 4900, True, digits, digits)
        for clip in clips_of(places, count)
    )
    manifest = Manifest("videos", "folder", f"features/{digits}", {}, {}, tuple(entries))
    return write_manifest(places.root, manifest).stat().st_size


def read(places: Places, _: int) -> int:
    """Reading it."""
    from common.manifest import read_manifest

    return len(read_manifest(places.root).clips)


PARTS: tuple[Part, ...] = (streamed, listed, scanned, opened, written, read)


def peak_mib() -> float:
    """Peak resident memory of this process since it began; of Linux alone."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def alone(part: Part, places: Places, count: int) -> tuple[float, float, float]:
    """Seconds, those of the processor, and peak memory in MiB of a part in a process of its own; without its start."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--folder", str(places.root), "--clips", str(count)]
    done = subprocess.run([*command, "--part", part.__name__], stdout=subprocess.PIPE, text=True, check=True)
    seconds, processor, peak = json.loads(done.stdout)
    return seconds, processor, peak


def _measure(part: Part, places: Places, count: int) -> None:
    plan_of(places)  # what is loaded once is no part of it
    began, spent = time.perf_counter(), time.process_time()
    part(places, count)
    print(json.dumps([time.perf_counter() - began, time.process_time() - spent, peak_mib()]))


def _made(places: Places, count: int) -> float:
    began = time.perf_counter()
    make(places, count)
    return time.perf_counter() - began


def lines(what: str, found: dict[int, tuple[float, float, float]]) -> list[str]:
    """A line for each size, and how it grew."""
    text = [f"{what}:"]
    for count, (seconds, processor, peak) in found.items():
        each = f"{1e6 * processor / count:7.1f} us of the processor a clip"
        text.append(f"  {count:>9,} clips {seconds:8.2f} s, {processor:7.2f} s of the processor {each} {peak:7.0f} MiB")
    if len(found) > 1:
        grown = exponent({count: processor for count, (_, processor, _) in found.items()})
        peaks = [peak for _, _, peak in found.values()]
        text.append(f"  grows with the power {grown:.2f}; memory by {max(peaks) - min(peaks):.0f} MiB")
    return text


@click.command(help=__doc__)
@click.option("--clips", default=1_000_000, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=None, help="Where files are made.")
@click.option("--quick", is_flag=True, help="100,000 clips.")
@click.option("--part", type=click.Choice([part.__name__ for part in PARTS]), hidden=True)
def main(clips: int, folder: Path | None, quick: bool, part: str | None) -> None:
    if part is not None:
        assert folder is not None
        _measure(next(one for one in PARTS if one.__name__ == part), Places(folder), clips)
        return
    clips = 100_000 if quick else clips
    sizes = tuple(dict.fromkeys((max(1000, clips // 100), max(1000, clips // 10), clips)))
    found: dict[str, dict[int, tuple[float, float, float]]] = {}
    for count in sizes:
        with tempfile.TemporaryDirectory(dir=folder) as root:
            places = Places(Path(root))
            print(f"{count:,} clips laid out in {_made(places, count):.0f} s")
            size = sum(path.stat().st_size for path in plan_of(places).folder.glob(".index/*"))
            print(f"  their index: {size / 1e6:.1f} MB")
            for one in PARTS:
                costs = found.setdefault(str(one.__doc__).rstrip("."), {})
                costs[count] = alone(one, places, count)
                print("\n".join(lines(str(one.__doc__).rstrip("."), {count: costs[count]})), flush=True)
            shutil.rmtree(root)
            Path(root).mkdir()
    for what, costs in found.items():
        print("\n".join(lines(what, costs)))


if __name__ == "__main__":
    main()
