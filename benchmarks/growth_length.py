"""How stages 1 and 2 grow with the length of a clip."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.device_clock import seconds_of
from benchmarks.growth_clips import silent
from benchmarks.growth_fit import grown, in_alternation
from benchmarks.memory import peak_mib, repeated
from benchmarks.row import Row

_BAR = 1.05
#: Of the embedded corpus' clips.
_CLIP_S = 7
_WINDOW_FRAMES, _HOP_FRAMES = 300, 200
_EXPORTED = 2000


def extraction(folder: Path, turns: int, times: tuple[int, ...], device: Any) -> list[Row]:
    """Seconds of stage 1 in this process over the length of a video, in clips of the embedded corpus."""
    from common.recipe import load_recipe
    from stage1_embeddings.extract import extract

    cache, recipe = folder / "cache", load_recipe("demo")

    def cost(count: int) -> Callable[[], float]:
        video = talk(folder, count)

        def seconds() -> float:
            shutil.rmtree(cache / "features", ignore_errors=True)
            places = (cache, folder / "run", str(device))
            return seconds_of(lambda: extract(recipe, video, *places, silent, workers=0), device)

        return seconds

    costs = in_alternation({count: cost(count) for count in times}, turns)
    note = f"Clips of {_CLIP_S} s. Loading the miniature encoders is in it, starting a process isn't; no workers."
    return [grown("stage 1 over the length of a video", costs, _BAR, of="clips long, seconds", note=note)]


def memory(folder: Path, times: tuple[int, ...], device: Any) -> list[Row]:
    """Peak memory of the command of stage 1 and its workers over the length of a video."""
    from common.schema import MODALITIES
    from stage1_embeddings.encoders.miniature import miniature_folder

    cache = folder / "cache"
    for modality in MODALITIES:
        miniature_folder(modality, cache)

    def cost(count: int) -> Callable[[], float]:
        places = ["--cache", str(cache), "--run", str(folder / "run"), "--device", str(device)]
        command = [sys.executable, "-m", "stage1_embeddings", "extract", "--data", str(talk(folder, count)), *places]

        def peak() -> float:
            shutil.rmtree(cache / "features", ignore_errors=True)
            return peak_mib(command)[0]

        return peak

    costs = in_alternation({count: cost(count) for count in times}, 2, warm=False)
    note = f"Clips of {_CLIP_S} s; the whole processes."
    return [grown("stage 1 over the length of a video, peak memory", costs, _BAR, of="clips long, MiB", note=note)]


def talk(folder: Path, count: int) -> Path:
    """A video of one clip of the embedded corpus again and again."""
    from common.datasets import open_dataset

    path = folder / f"talk{count}.mkv"
    source = open_dataset(None, Path("cache"), silent).clips[0].source  # drawn once, as `make test` does
    repeated(source, path, count * _CLIP_S)
    return path


def export(folder: Path, turns: int, sizes: tuple[int, ...], device: Any) -> list[Row]:
    """Seconds of refining one clip over its length, by a fusion of the paper's inputs and a narrow rest."""
    import torch

    from benchmarks.training_cache import labelled_cache
    from common.recipe import Window
    from common.windows import FeatureWindows
    from stage2_beit.config import FusionConfig
    from stage2_beit.export import refine
    from stage2_beit.model import FusionModel

    torch.manual_seed(0)
    model = FusionModel(FusionConfig(d_k=64, d_proj=64, beit_layers=1, self_attention=False)).to(device).eval()
    window = Window(frames=_WINDOW_FRAMES, hop_frames=_HOP_FRAMES)
    ways = {}
    for size in sizes:
        manifest = labelled_cache(folder / f"{size}", 1, size * _EXPORTED)
        data = FeatureWindows(folder / f"{size}", manifest, manifest.of("train"), window)
        ways[size] = lambda data=data: seconds_of(lambda: refine(model, data, 4), device)  # type: ignore[misc]
    costs = in_alternation(ways, turns)
    what = "stage 2's export over the length of a clip, a narrow fusion"
    return [grown(what, costs, _BAR, of=f"{_EXPORTED} frames each, seconds")]
