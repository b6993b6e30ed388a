"""Miniature encoders for the embedded corpus and the tests: real classes, a real folder each, seeded random weights.

They need no network and cost next to nothing. They know nothing of people: every output made with them says so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.artefacts import save_weights
from common.files import one_at_a_time, written_whole
from common.models import quiet
from common.schema import Modality

MINIATURE_REMARK = "The encoders are miniatures with random weights: these figures say nothing about people."

#: Part of the folder's name: raise it when a definition below changes.
_VERSION = 2
_SEED = 20


def miniature_folder(modality: Modality, cache: Path) -> Path:
    """The folder of a miniature encoder below ``cache/models``, made on first use."""
    folder = cache / "models" / f"miniature-{modality}-v{_VERSION}"
    if not folder.is_dir():
        quiet()
        with one_at_a_time(folder):
            if not folder.is_dir():
                with written_whole(folder) as partial:
                    _BUILDERS[modality](partial)
    return folder


def _visual(folder: Path) -> None:
    """Swin for 112 px: three stages, as a fourth would be smaller than its window of 7."""
    from transformers import SwinConfig, SwinModel

    config = SwinConfig(
        image_size=112, patch_size=4, embed_dim=32, depths=[2, 2, 2], num_heads=[1, 2, 4], window_size=7
    )
    _save(lambda: SwinModel(config), folder)
    _write_preprocessor(folder, {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]})


def _audio(folder: Path) -> None:
    """HuBERT with the strides of the real one: 320 samples a hop, 50 hops a second."""
    from transformers import HubertConfig, HubertModel

    config = HubertConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        conv_dim=[32] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        mask_time_prob=0.0,
    )
    _save(lambda: HubertModel(config), folder)
    _write_preprocessor(folder, {"do_normalize": False, "sampling_rate": 16_000})


def _text(folder: Path) -> None:
    """RoBERTa over a byte-level BPE tokenizer that has the words of the embedded corpus whole, others in pieces."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    from common.datasets.demo.script import LEXICON

    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        [" " + word for word in LEXICON], vocab_size=1000, min_frequency=1, special_tokens=specials, show_progress=False
    )
    folder.mkdir(parents=True)
    trained.save_model(str(folder))
    tokenizer = RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=126)
    tokenizer.save_pretrained(folder)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=128,
        type_vocab_size=1,
    )
    _save(lambda: RobertaModel(config, add_pooling_layer=False), folder)


_BUILDERS: dict[Modality, Callable[[Path], None]] = {"visual": _visual, "audio": _audio, "text": _text}


def _save(build: Callable[[], Any], folder: Path) -> None:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        save_weights(build().eval(), folder)


def _write_preprocessor(folder: Path, values: dict[str, Any]) -> None:
    import json

    (folder / "preprocessor_config.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
