"""Encoders of the real ones' sizes with random weights: what they cost doesn't depend on the weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from common.files import write_json
from common.models import quiet
from common.schema import Modality
from stage1_embeddings.encoders.miniature import miniature_folder


def base_encoders(folder: Path) -> dict[Modality, Path]:
    """Swin-base for 224 px, HuBERT-base and RoBERTa-base (with the miniature's tokenizer), written to ``folder``."""
    quiet()
    return {
        "visual": swin_base(folder / "swin-base"),
        "audio": hubert_base(folder / "hubert-base"),
        "text": roberta_base(folder / "roberta-base", miniature_folder("text", folder)),
    }


def swin_base(folder: Path) -> Path:
    import torch
    from transformers import SwinConfig, SwinModel

    torch.manual_seed(0)
    size = {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32]}
    SwinModel(SwinConfig(image_size=224, **size)).save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", {"image_mean": [0.5] * 3, "image_std": [0.25] * 3})
    return folder


def hubert_base(folder: Path) -> Path:
    import torch
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    HubertModel(HubertConfig(mask_time_prob=0.0)).save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", {"do_normalize": True, "sampling_rate": 16_000})
    return folder


def roberta_base(folder: Path, tokenizer: Path) -> Path:
    """Its table of tokens is the real one's, of which the tokenizer uses a part."""
    import torch
    from transformers import RobertaConfig, RobertaModel

    torch.manual_seed(0)
    size = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}
    RobertaModel(RobertaConfig(**size), add_pooling_layer=False).save_pretrained(folder)
    for path in tokenizer.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            shutil.copy(path, folder / path.name)
    return folder
