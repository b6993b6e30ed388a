"""Stage 1's frames per second against the bare encoders on the same crops, sound and words.

    python -m benchmarks.stage1 [--quick] [--recipe demo] [--set stage1.visual.model=FOLDER]

The whole stage decodes, detects, aligns, encodes, validates and writes; the limit only encodes what the stage cut out,
in the same precision and batches.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from benchmarks.table import in_turns, print_table
from common.command import recipe_options
from common.datasets import open_dataset
from common.manifest import Clip
from common.recipe import load_recipe
from common.schema import MODALITIES
from common.store import read_clip, write_clip
from stage1_embeddings import decode
from stage1_embeddings.extract import compute, file_attributes
from stage1_embeddings.faces import LargestFace, align
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.tools import Tools
from stage1_embeddings.transcript import find_transcript, read_transcript


@dataclass(frozen=True)
class Inputs:
    """What the three encoders get of one clip."""

    crops: npt.NDArray[np.uint8]
    samples: npt.NDArray[np.float32]
    sentences: list[list[str]]


def inputs_of(clip: Clip, tools: Tools) -> Inputs:
    """Decode, detect and align once, outside of what is measured."""
    follow = LargestFace(tools.detector)
    found = [(frame, follow(frame)) for _, frame in decode.frames(clip.source)]
    size_px = tools.settings.faces.crop_px
    crops = [align(frame, face.landmarks, size_px=size_px) for frame, face in found if face]
    sound = decode.audio(clip.source)
    beside = find_transcript(clip.source)
    segments = read_transcript(beside).segments if beside else ()
    return Inputs(
        np.stack(crops),
        sound.samples if sound else np.empty(0, np.float32),
        [[word.text for word in segment.words] for segment in segments],
    )


@click.command()
@click.option("--quick", is_flag=True, help="Fewer clips and turns.")
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Videos (default: the embedded corpus).")
@click.option("--device", default="auto", show_default=True)
@recipe_options
def main(quick: bool, data: Path | None, device: str, recipe: str, overrides: tuple[str, ...]) -> None:
    number, turns = (2, 2) if quick else (6, 5)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        clips = open_dataset(data, Path("cache"), lambda _: None).clips[:number]
        plan = FeaturePlan(load_recipe(recipe, overrides).stage1, cache)
        tools = Tools(plan, device)
        tools.load(MODALITIES)
        inputs = [inputs_of(clip, tools) for clip in clips]
        frames = sum(len(one.crops) for one in inputs)

        def whole_stage() -> None:
            for clip in clips:
                plan.path(clip).unlink(missing_ok=True)
                source = plan.source(clip)
                arrays, _ = compute(clip, source, plan, tools)
                write_clip(plan.path(clip), arrays, file_attributes(clip, source, plan, arrays))

        def bare_encoders() -> list[npt.NDArray[np.float32]]:
            return [tools.visual(one.crops) for one in inputs if (tools.audio(one.samples), tools.text(one.sentences))]

        whole_stage()
        for clip, visual in zip(clips, bare_encoders(), strict=True):
            stored = read_clip(plan.path(clip), ("visual", "present/visual"))
            kept = np.asarray(stored["visual"])[np.asarray(stored["present/visual"])]
            assert np.allclose(kept, visual, rtol=2e-3, atol=2e-3), "the two sides differ"
        seconds = in_turns({"stage 1": whole_stage, "bare encoders": bare_encoders}, turns)
        print(f"{len(clips)} clips, {frames} frames with a face, visual encoder {plan.resolved['visual'].model}")
        print_table(seconds, units=frames, unit="frames", limit="bare encoders")


if __name__ == "__main__":
    main()
