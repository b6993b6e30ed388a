"""A Whisper checkpoint of random weights, as small as the real code takes it."""

from __future__ import annotations

from pathlib import Path

import torch
from whisper.model import ModelDimensions, Whisper


def write_checkpoint(path: Path, *, vocabulary: int = 51_865, layers: int = 1) -> Path:
    torch.manual_seed(3)
    dims = ModelDimensions(
        n_mels=80,
        n_audio_ctx=1500,
        n_audio_state=64,
        n_audio_head=2,
        n_audio_layer=1,
        n_vocab=vocabulary,
        n_text_ctx=32,  # half of it is the longest text per window; real models have 448
        n_text_state=64,
        n_text_head=2,
        n_text_layer=layers,
    )
    model = Whisper(dims)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    torch.save({"dims": vars(dims), "model_state_dict": model.state_dict()}, path)
    return path
