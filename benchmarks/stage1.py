"""Stage 1's frames per second against the bare encoders on the same crops, sound and words.

    python -m benchmarks.stage1 [--quick] [--encoder recipe|swin-base] [--set stage1.visual.precision=bfloat16]

The whole stage starts its workers, decodes, detects, follows, aligns, encodes, validates and writes; the limit only
encodes what the stage cut out, in the same precision and batches. Models are loaded before.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from benchmarks.table import in_turns, print_table
from common.command import recipe_options
from common.datasets import open_dataset
from common.manifest import Clip
from common.media import decode
from common.recipe import load_recipe
from common.schema import MODALITIES
from common.store import read_clip
from stage1_embeddings.events import Frames, Task
from stage1_embeddings.front_end import FrontEnd
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.tools import Tools
from stage1_embeddings.transcript import find_transcript, read_transcript
from stage1_embeddings.work import Work


@dataclass(frozen=True)
class Inputs:
    """What the three encoders get of one clip."""

    crops: npt.NDArray[np.uint8]
    samples: npt.NDArray[np.float32]
    sentences: list[list[str]]


def inputs_of(clip: Clip, plan: FeaturePlan, front_end: FrontEnd) -> Inputs:
    """Decode, detect and align once, outside of what is measured."""
    task = Task(clip.id, clip.source, None, None, plan.faces(clip), 0, picture=True, sound=False, keep=False)
    crops = [event.crops for event in front_end(task) if isinstance(event, Frames)]
    sound = decode.audio(clip.source)
    beside = find_transcript(clip.source)
    segments = read_transcript(beside).segments if beside else ()
    return Inputs(
        np.concatenate(crops),
        sound.samples if sound else np.empty(0, np.float32),
        [[word.text for word in segment.words] for segment in segments],
    )


def swin_base(folder: Path) -> Path:
    """Swin-base for 224 px with random weights: what it costs doesn't depend on them."""
    import torch
    from transformers import SwinConfig, SwinModel

    from common.files import write_json

    torch.manual_seed(0)
    size = {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32]}
    SwinModel(SwinConfig(image_size=224, **size)).save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", {"image_mean": [0.5] * 3, "image_std": [0.25] * 3})
    return folder


@click.command()
@click.option("--quick", is_flag=True, help="Fewer clips and turns.")
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Videos (default: the embedded corpus).")
@click.option("--device", default="auto", show_default=True)
@click.option("--encoder", type=click.Choice(["recipe", "swin-base"]), default="recipe", help="The visual encoder.")
@click.option("--workers", default=1, show_default=True)
@recipe_options
def main(
    quick: bool,
    data: Path | None,
    device: str,
    encoder: str,
    workers: int,
    recipe: str,
    overrides: tuple[str, ...],
) -> None:
    number, turns = (2, 2) if quick else (12, 5)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        if encoder == "swin-base":
            number, turns = (1, 1) if quick else (2, 3)
            overrides = (f"stage1.visual.model={swin_base(cache / 'swin')}", *overrides)
        clips = open_dataset(data, Path("cache"), lambda _: None).clips[:number]
        plan = FeaturePlan(load_recipe(recipe, overrides).stage1, cache)
        plan.folder.mkdir(parents=True)
        tools = Tools(plan, device)
        tools.load(MODALITIES)
        front_end = FrontEnd(tools.detector_weights)
        inputs = [inputs_of(clip, plan, front_end) for clip in clips]
        crops = np.concatenate([one.crops for one in inputs])

        def whole_stage() -> Work:
            shutil.rmtree(plan.folder)
            plan.folder.mkdir()
            work = Work(plan, tools, lambda _: None, workers=workers, retry_failed=False)
            work.run(clips)
            assert not work.tally.failures
            return work

        def bare_encoders() -> Any:
            for one in inputs:
                tools.audio(one.samples)
                tools.text(one.sentences)
            return tools.visual(crops)

        whole_stage()
        stored = [read_clip(plan.path(clip), ("visual", "present/visual")) for clip in clips]
        kept = np.concatenate([np.asarray(one["visual"])[np.asarray(one["present/visual"])] for one in stored])
        assert np.array_equal(kept, bare_encoders().astype(np.float16)), "the two sides differ"
        seconds = in_turns({"stage 1": whole_stage, "bare encoders": bare_encoders}, turns)
        named = plan.resolved["visual"].model if encoder == "recipe" else encoder
        print(f"{len(clips)} clips, {len(crops)} frames with a face; {named}, {plan.settings.visual.precision}")
        print_table(seconds, units=len(crops), unit="frames", limit="bare encoders")


if __name__ == "__main__":
    main()
