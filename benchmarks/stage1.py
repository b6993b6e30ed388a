"""Stage 1's frames per second against the bare encoders on the same crops, sound and words.

    python -m benchmarks.stage1 [--quick] [--recipe demo] [--set stage1.visual.model=FOLDER]

The whole stage decodes, detects, aligns, encodes, validates and writes; the limit only encodes what the stage cut out,
in the same precision and batches.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.table import in_turns, print_table
from common.command import recipe_options
from common.datasets import open_dataset
from common.manifest import Clip
from common.recipe import load_recipe
from common.schema import MODALITIES
from stage1_embeddings import decode
from stage1_embeddings.clip import audio_arrays, text_arrays, visual_arrays
from stage1_embeddings.extract import compute, file_attributes
from stage1_embeddings.faces import LargestFace, align
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.tools import Tools
from stage1_embeddings.transcript import find_transcript, read_transcript
from common.store import write_clip


def inputs_of(clip: Clip, tools: Tools) -> tuple[Any, Any, Any]:
    """What the three encoders get of a clip: crops, samples, sentences."""
    follow = LargestFace(tools.detector)
    found = [(frame, follow(frame)) for _, frame in decode.frames(clip.source)]
    crops = np.stack([align(frame, face.landmarks, size_px=112) for frame, face in found if face])
    sound = decode.audio(clip.source)
    beside = find_transcript(clip.source)
    segments = read_transcript(beside).segments if beside else ()
    return crops, sound.samples if sound else None, [[word.text for word in segment.words] for segment in segments]
