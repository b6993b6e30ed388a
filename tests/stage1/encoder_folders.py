"""Checkpoints of the real classes, miniature and with random weights, as save_pretrained writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf

from common.models import quiet

SMALL = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
SEED = 7

#: What ViT's and BEiT's processors say.
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "rescale_factor": 1 / 255, "resample": 2}


def save(model: Callable[[], Any], folder: Path, preprocessor: dict[str, Any] | None = None) -> Path:
    """Write a model with seeded weights, spread wider than its initialisation, so that inputs make a difference."""
    quiet()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        built = model().eval()
        for name, weight in built.named_parameters():
            if weight.ndim == 2 and "embed" not in name:
                torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
            elif "token" in name or "position_embeddings" in name or name.endswith(".bias"):
                torch.nn.init.normal_(weight, std=0.1)
            elif "layer_scale" in name or "lambda" in name:
                torch.nn.init.constant_(weight, 0.7)
    built.save_pretrained(folder)
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def _vision() -> dict[str, tuple[Callable[[], Any], dict[str, Any]]]:
    flat = SMALL | {"hidden_size": 48}
    dino = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 140, "patch_size": 14}
    swin = {"image_size": 112, "patch_size": 4, "embed_dim": 32, "depths": [2, 2, 2], "num_heads": [1, 2, 4]}
    cropped = HALF | {"size": {"shortest_edge": 128}, "crop_size": {"height": 112, "width": 112}}
    return {
        "swin": (lambda: tf.SwinModel(tf.SwinConfig(**swin, window_size=7)), HALF),
        "swinv2": (lambda: tf.Swinv2Model(tf.Swinv2Config(**swin, window_size=7)), HALF),
        "vit": (lambda: tf.ViTModel(tf.ViTConfig(**flat, image_size=112)), HALF | {"size": 112}),
        "deit": (lambda: tf.DeiTModel(tf.DeiTConfig(**flat, image_size=112)), cropped),
        "beit": (
            lambda: tf.BeitModel(tf.BeitConfig(**flat, image_size=112)),
            HALF | {"size": {"height": 112, "width": 112}, "crop_size": 96, "do_center_crop": False},
        ),
        "dinov2": (lambda: tf.Dinov2Model(tf.Dinov2Config(**dino)), cropped),
        "dinov2_with_registers": (
            lambda: tf.Dinov2WithRegistersModel(tf.Dinov2WithRegistersConfig(**dino, num_register_tokens=4)),
            cropped,
        ),
        "convnext": (
            lambda: tf.ConvNextModel(tf.ConvNextConfig(hidden_sizes=[16, 24, 32, 40], depths=[1, 1, 1, 1])),
            HALF | {"size": {"shortest_edge": 112}},
        ),
    }


VISION = tuple(_vision())


def vision_folder(name: str, root: Path) -> Path:
    """A vision model; `VISION` lists them. Each takes 112 px."""
    model, preprocessor = _vision()[name]
    folder = root / name
    return folder if folder.is_dir() else save(model, folder, preprocessor)


def _speech() -> dict[str, tuple[Callable[[], Any], dict[str, Any]]]:
    small = SMALL | {
        "hidden_size": 48,
        "conv_dim": [24] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    }
    group = small | {"feat_extract_norm": "group"}
    layer = small | {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
    raw, normalised = {"do_normalize": False, "sampling_rate": 16_000}, {"do_normalize": True, "sampling_rate": 16_000}
    data2vec = small | {"conv_pos_kernel_size": 7, "num_conv_pos_embeddings": 2}
    data2vec |= {"num_hidden_layers": 2}
    whisper = tf.WhisperConfig(
        d_model=48,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=96,
        decoder_ffn_dim=96,
        vocab_size=64,
        max_source_positions=200,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    return {
        "hubert-group": (lambda: tf.HubertModel(tf.HubertConfig(**group)), raw),
        "hubert-layer": (lambda: tf.HubertModel(tf.HubertConfig(**layer)), normalised),
        "wav2vec2": (lambda: tf.Wav2Vec2Model(tf.Wav2Vec2Config(**group)), normalised),
        "wavlm": (lambda: tf.WavLMModel(tf.WavLMConfig(**group)), raw),
        "data2vec-audio": (lambda: tf.Data2VecAudioModel(tf.Data2VecAudioConfig(**data2vec)), normalised),
        # 200 positions are 4 s, where the real one has 1500 and 30 s.
        "whisper": (
            lambda: tf.WhisperModel(whisper),
            {"feature_size": 80, "sampling_rate": 16_000, "hop_length": 160, "chunk_length": 4, "n_fft": 400},
        ),
    }


SPEECH = tuple(_speech())


def speech_folder(name: str, root: Path) -> Path:
    """A speech model; `SPEECH` lists them."""
    model, preprocessor = _speech()[name]
    folder = root / name
    return folder if folder.is_dir() else save(model, folder, preprocessor)


WORDS = (
    "the a day night sea very good bad happy sad we you they are is was not it what . , ! ? ' un ##un ##happy ##s ##ly"
)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def _text() -> dict[str, Callable[[int], Any]]:
    def flat(words: int) -> dict[str, Any]:
        return SMALL | {"hidden_size": 48, "vocab_size": words, "max_position_embeddings": 66}

    return {
        "bert": lambda words: tf.BertModel(tf.BertConfig(**flat(words)), add_pooling_layer=False),
        "electra": lambda words: tf.ElectraModel(tf.ElectraConfig(**flat(words), embedding_size=24)),
        "distilbert": lambda words: tf.DistilBertModel(
            tf.DistilBertConfig(
                vocab_size=words, dim=48, n_layers=2, n_heads=4, hidden_dim=96, max_position_embeddings=66
            )
        ),
        "deberta-v2": lambda words: tf.DebertaV2Model(
            tf.DebertaV2Config(
                **flat(words), relative_attention=True, pos_att_type=["p2c", "c2p"], position_biased_input=False
            )
        ),
    }


TEXT = tuple(_text())


def text_folder(name: str, root: Path) -> Path:
    """A language model with an uncased WordPiece tokenizer that doesn't say how long a text may be."""
    folder = root / name
    if folder.is_dir():
        return folder
    vocabulary = [*SPECIALS, *WORDS.split(), *LETTERS, *("##" + letter for letter in LETTERS)]
    tokenizer = tf.BertTokenizer(vocab={word: index for index, word in enumerate(dict.fromkeys(vocabulary))})
    save(lambda: _text()[name](len(tokenizer)), folder)
    tokenizer.save_pretrained(folder)
    return folder
