"""How the stages grow with the number of clips, all in this process."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.device_clock import seconds_of
from benchmarks.growth_fit import beyond_smallest, grown, in_alternation
from benchmarks.row import Row
from benchmarks.scored_run import make_run
from benchmarks.training_cache import labelled_cache

_BAR = 1.05
_WINDOW_FRAMES = 300
#: Windows of each clip of `labelled_cache`.
_WINDOWS_PER_CLIP = 8
_PASSES = 3
_SENTENCE = "The quick brown fox jumps over the lazy dog"


def silent(_: str) -> None:
    """Says nothing."""


def copies(source: Path, folder: Path, count: int) -> Path:
    """A video and what lies beside it under its name, ``count`` times under other names."""
    folder.mkdir(parents=True)
    for number in range(count):
        for path in source.parent.glob(f"{source.stem}.*"):
            shutil.copy(path, folder / f"talk{number}{path.suffix}")
    return folder


def extraction(folder: Path, turns: int, sizes: tuple[int, ...], device: Any) -> list[Row]:
    """Stage 1 over videos, the embedded corpus' miniature encoders."""
    from common.datasets import open_dataset
    from common.recipe import load_recipe
    from stage1_embeddings.extract import extract

    cache = folder / "cache"
    source = open_dataset(None, Path("cache"), silent).clips[0].source  # drawn once, as `make test` does
    data = {count: copies(source, folder / f"clips{count}", count) for count in sizes}
    recipe = load_recipe("demo")
    places = (cache, folder / "run", str(device))

    def cost(count: int) -> Callable[[], float]:
        def seconds() -> float:
            shutil.rmtree(cache / "features", ignore_errors=True)
            return seconds_of(lambda: extract(recipe, data[count], *places, silent, workers=0), device)

        return seconds

    costs = in_alternation({count: cost(count) for count in sizes}, turns)
    note = "Loading the miniature encoders is in it, starting a process isn't; no workers."
    return [grown("stage 1 over clips of seven seconds", costs, _BAR, of="clips, seconds", note=note)]


def upkeep(folder: Path, turns: int, sizes: tuple[int, ...], device: Any) -> list[Row]:
    """Stage 1 over single sentences, then what is left to do when all is done, and the cache's status."""
    from common.recipe import load_recipe
    from stage1_embeddings.extract import extract
    from stage1_embeddings.upkeep.status import cache_status

    recipe = load_recipe("emobank", ("stage1.text.model=miniature",))
    caches = {count: folder / f"cache{count}" for count in sizes}
    data = {count: sentences(folder / f"sentences{count}", count) for count in sizes}

    def run(count: int) -> Any:
        return extract(recipe, data[count], caches[count], folder / f"run{count}", str(device), silent)

    def first(count: int) -> float:
        shutil.rmtree(caches[count] / "features", ignore_errors=True)
        return seconds_of(lambda: run(count), device)

    def status(count: int) -> float:
        return seconds_of(lambda: cache_status(caches[count], [folder / f"run{count}"]), device)

    ways: dict[str, Callable[[int], float]] = {
        "stage 1 over sentences": first,
        "stage 1 again over finished sentences, manifest written": lambda count: seconds_of(lambda: run(count), device),
        "status over finished sentences": status,
    }
    rows = []
    for what, way in ways.items():
        costs = in_alternation({count: lambda count=count, way=way: way(count) for count in sizes}, turns)  # type: ignore[misc]
        note = "" if way is first else "Some milliseconds are the same at every size."
        rows.append(grown(what, costs, _BAR, of="sentences, seconds", note=note))
    return rows


def sentences(folder: Path, count: int) -> Path:
    """A folder as EmoBank is one."""
    folder.mkdir()
    for name in ("train.csv", "dev.csv"):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["id", "split", "V", "A", "D", "text"])
            numbers = range(count - count // 8) if name == "train.csv" else range(count - count // 8, count)
            for number in numbers:
                values = [f"{1 + (number * step) % 5:.1f}" for step in (1, 2, 3)]
                table.writerow([f"sentence{number}", name[:-4], *values, f"{_SENTENCE} {number}."])
    return folder


def reading(folder: Path, turns: int, sizes: tuple[int, ...], device: Any) -> list[Row]:
    """Stage 2's reading: each window of some clips a few times, from opening the files to float32 arrays."""
    from common.recipe import Window
    from common.windows import FeatureWindows

    manifest = labelled_cache(folder, _WINDOWS_PER_CLIP * max(sizes), _WINDOW_FRAMES)
    window = Window(frames=_WINDOW_FRAMES, hop_frames=200)

    def read(count: int) -> None:
        data = FeatureWindows(folder, manifest, manifest.of("train")[:count], window, labelled_only=True)
        for index in list(range(len(data))) * _PASSES:
            data[index]

    ways = {count: lambda count=count: seconds_of(lambda: read(count), device) for count in sizes}  # type: ignore[misc]
    what = f"stage 2's reading of windows over clips of {_WINDOWS_PER_CLIP * _WINDOW_FRAMES} frames"
    return [grown(what, in_alternation(ways, turns), _BAR, of="clips, seconds")]


def scoring(folder: Path, turns: int, sizes: tuple[int, ...], frames: int, device: Any) -> list[Row]:
    """Stage 3's test over clips, without pages of clips."""
    from common.manifest import read_manifest, write_manifest
    from common.recipe import load_recipe
    from stage3_mlp.test import test
    from stage3_mlp.train import train

    counts = (2, *(2 + size for size in sizes))  # one alone has no interval
    made = make_run(folder, clips=max(counts), frames=frames)
    recipe = load_recipe("demo", ("stage3.training.epochs=1", "stage3.head.pool_frames=1"))
    train(recipe, made.cache, made.run, str(device), silent)
    for count in counts:
        run = folder / f"run{count}"
        shutil.copytree(made.run, run)
        for place in (run, run / "fused"):
            manifest = read_manifest(place)
            others = manifest.of("train", "validation")
            write_manifest(place, replace(manifest, clips=(*others, *manifest.of("test")[:count])))

    def cost(count: int) -> Callable[[], float]:
        def seconds() -> float:
            run = folder / f"run{count}"
            shutil.rmtree(run / "test", ignore_errors=True)
            return seconds_of(lambda: test(made.cache, run, str(device), silent, pages="none"), device)

        return seconds

    beyond, nothing_s = beyond_smallest(in_alternation({count: cost(count) for count in counts}, turns))
    note = f"All beyond two clips, which take {nothing_s:.2g} s: loading the head, the report's pictures."
    return [grown(f"stage 3's test over clips of {frames} frames", beyond, _BAR, of="clips, seconds", note=note)]
