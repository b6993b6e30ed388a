"""A cache of dialogues as stage 1 leaves it, with the words of each row, for the tests of a trained text encoder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import transformers

from common.manifest import CachedClip, Manifest, write_manifest
from common.models import in_folder
from common.recipe import Recipe, load_recipe
from common.recipe import TextEncoder as Settings
from common.rows import Array
from common.schema import AROUSAL, TIME, VALENCE, WORD_END, WORD_START, WORD_TEXT, Split, present
from common.store import write_clip
from stage1_embeddings.encoders.miniature import miniature_folder
from stage1_embeddings.encoders.text import TextEncoder
from tests.stage1.encoder_folders import TEXT, save, text_folder

WIDTHS = {"visual": 8, "audio": 4}
NAMES = ("miniature", *TEXT, "t5")
LONG = "we are happy and they are not " * 30
FUSION = "stage2.fusion={d_k: 8, heads: 4, d_proj: 16, beit_heads: 4, beit_layers: 1, dropout: 0.1}"
GUIDED = "stage2.fusion={kind: text-guided, width: 16, heads: 4, branch: 8, narrow_branch: 4}"
TRAINING = "{epochs: 8, loss: mse, batch_size: 4, learning_rate: 3.0e-3, weight_decay: 0.01}"


def recipe(folder: Path | str, *settings: str, fusion: str = FUSION, finetune: bool = True) -> Recipe:
    """Dialogues in windows of four rows that overlap by two."""
    return load_recipe(
        "emobank",
        (
            f"stage1.text={{model: {folder}}}",
            "stage2.modalities=[visual, audio, text]",
            "stage2.window={frames: 4, hop_frames: 2}",
            fusion,
            f"stage2.training={TRAINING}",
            f"stage2.finetune_text={str(finetune).lower()}",
            *settings,
        ),
    )


def said(number: int) -> list[str]:
    """The rows of a dialogue, of which one is silent; the first words say how it is meant."""
    return [f"{'happy ' * (1 + (number + row) % 4)}day" if row != 2 else "" for row in range(5 + number % 2)]


DIALOGUES: dict[str, tuple[Split, list[str]]] = {
    f"dia{number}": ("validation" if number % 4 == 3 else "train", said(number)) for number in range(12)
} | {"dia12": ("test", [*said(12), LONG, "what's that?"])}


def write_run(
    cache: Path,
    run: Path,
    folder: Path,
    dialogues: Mapping[str, tuple[Split, Sequence[str]]] = DIALOGUES,
    *,
    model: str | None = None,
    **manifest: Any,
) -> Manifest:
    """Clip files with the frozen features of ``folder``'s encoder, and the run's manifest."""
    encoder = TextEncoder(folder, Settings(model=str(folder)), "cpu")
    identity = in_folder(str(folder), folder).identity
    clips = []
    for name, (split, texts) in dialogues.items():
        content = hashlib.sha256(json.dumps([identity, *texts]).encode()).hexdigest()[:16]
        arrays = _arrays(texts, encoder, np.random.default_rng(len(clips)))
        write_clip(cache / "features" / identity[7:15] / f"{name}.h5", arrays, {"content": content})
        clips.append(CachedClip(name, split, "table.csv", len(texts), True, content))
    made = {"model": model or str(folder), "revision": None, "identity": identity}
    nothing = {"model": "given", "revision": None, "identity": "given"}
    values: dict[str, Any] = {
        "data": "table.csv",
        "data_kind": "table",
        "folder": f"features/{identity[7:15]}",
        "fingerprints": {"visual": "v", "audio": "a", "text": identity},
        "encoders": {"visual": nothing, "audio": nothing, "text": made},
        "clips": tuple(clips),
        "rows": "utterances",
    }
    whole = Manifest(**values | manifest)
    write_manifest(run, whole)
    return whole


def _arrays(texts: Sequence[str], encoder: TextEncoder, rng: np.random.Generator) -> dict[str, Array | list[str]]:
    rows = len(texts)
    spoken = np.array([bool(text.strip()) for text in texts])
    text = np.full((rows, encoder.dim), np.nan, dtype=np.float16)
    text[spoken] = encoder.whole([one for one in texts if one.strip()])
    arrays: dict[str, Array | list[str]] = {TIME: np.arange(rows, dtype=np.float64), "text": text}
    arrays[present("text")] = spoken
    for modality, width in WIDTHS.items():
        mask = rng.random(rows) > 0.3
        values = rng.normal(size=(rows, width)).astype(np.float32)
        values[~mask] = np.nan
        arrays |= {modality: values, f"present/{modality}": mask}
    meant = np.array([one.count("happy") for one in texts], dtype=np.float32)
    arrays |= {VALENCE: np.tanh(meant / 2 - 1), AROUSAL: np.tanh(1 - meant / 3)}
    start = np.arange(rows, dtype=np.float64)
    return arrays | {WORD_TEXT: list(texts), WORD_START: start, WORD_END: start + 1}


def folder_of(name: str, root: Path) -> Path:
    if name == "miniature":
        return miniature_folder("text", root)
    if name != "t5":
        return text_folder(name, root)
    folder = root / "t5"
    if not folder.is_dir():
        tokenizer = transformers.AutoTokenizer.from_pretrained(text_folder("bert", root))
        config = transformers.T5Config(
            vocab_size=len(tokenizer), d_model=48, d_kv=12, d_ff=64, num_layers=2, num_heads=4
        )
        save(lambda: transformers.T5Model(config), folder)
        tokenizer.save_pretrained(folder)
    return folder
