"""Equations 1 to 12: the encoders that are loaded compute what the paper prints of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from common.models import load_model
from common.recipe import load_recipe
from common.timeline import stretch
from stage1_embeddings.encoders.miniature import miniature_folder
from tests.reference import assert_close, weights
from tests.reference import encoders as reference


@pytest.fixture(scope="module")
def encoders(models: Path):
    return {m: load_model(miniature_folder(m, models)) for m in ("visual", "audio", "text")}


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def arrays(module):
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def tensor(values):
    return torch.tensor(values, dtype=torch.float32)


def attention_weights(state, names):
    kinds = ("query", "key", "value", "output")
    return {kind: weights.linear(state, name) for kind, name in zip(kinds, names, strict=True)}


def test_swin_splits_into_patches_and_embeds_them_as_eq_1_and_2(encoders, rng):
    layer, picture = encoders["visual"].embeddings.patch_embeddings, rng.normal(size=(16, 12, 3))
    W = layer.projection.weight.detach().double().numpy()  # (d_v, 3, P, P)
    W_p = W.transpose(2, 3, 1, 0).reshape(-1, len(W))  # rows in the order of eq. 1: y, x, colour
    X_p = reference.patch_partition(picture, patch=4)
    assert X_p.shape == (16 * 12 // 4**2, 4**2 * 3) == (12, len(W_p))
    expected = reference.patch_embedding(X_p, W_p, layer.projection.bias.detach().double().numpy())
    assert_close(layer(tensor(picture.transpose(2, 0, 1)[None]))[0][0], expected)


@pytest.mark.parametrize("biased", [False, True])
def test_swin_attends_within_a_window_as_eq_3(encoders, rng, biased):
    """Without its relative position bias, as printed; and with it, as it is."""
    layer = encoders["visual"].encoder.layers[1].blocks[1].attention  # 64 wide, two heads
    kept = layer.relative_position_bias.relative_position_bias_table.detach().clone()
    with torch.no_grad():
        table = 3 * torch.randn(kept.shape, generator=torch.Generator().manual_seed(0)) if biased else 0 * kept
        layer.relative_position_bias.relative_position_bias_table.copy_(table)
        rows = rng.normal(size=(49, 64))
        ours = layer(tensor(rows[None]))[0][0]
        bias = layer.relative_position_bias()[0].double().numpy()
        layer.relative_position_bias.relative_position_bias_table.copy_(kept)
    parts = attention_weights(arrays(layer), ("q_proj", "k_proj", "v_proj", "o_proj"))
    assert_close(ours, reference.heads_concatenated(rows, **parts, heads=2, bias=bias if biased else None))
    assert biased == bool(bias.any())


def test_hubert_takes_the_waveform_through_a_cnn_to_d_a_as_eq_6(encoders, rng):
    model, wave = encoders["audio"], rng.normal(size=16_000 // 8)
    state, config = arrays(model), model.config
    kernels = [state[f"feature_extractor.conv_layers.{n}.conv.weight"] for n in range(7)]
    norm = {
        "channels": weights.norm(state, "feature_extractor.conv_layers.0.layer_norm"),
        "rows": weights.norm(state, "feature_projection.layer_norm"),
    }
    expected = reference.audio_cnn(
        wave, kernels, config.conv_stride, norm, weights.linear(state, "feature_projection.projection")
    )
    with torch.no_grad():
        ours = model.feature_projection(model.feature_extractor(tensor(wave[None])).transpose(1, 2))[0]
    assert ours.shape == (6, config.hidden_size) == expected.shape  # T'': (2000 - 400) // 320 + 1
    assert_close(ours, expected)


def test_roberta_embeds_tokens_and_positions_as_eq_8(encoders, rng):
    """RoBERTa adds one vector for its single type of token, and normalises; the paper leaves both out."""
    layer, tokens = encoders["text"].embeddings, rng.integers(5, 300, 9)
    state = arrays(layer)
    E_token, E_pos = state["word_embeddings.weight"], state["position_embeddings.weight"]
    embedded = reference.token_embedding(tokens, E_token, E_pos, first_position=layer.padding_idx + 1)
    embedded += state["token_type_embeddings.weight"][0]
    gain, bias = weights.norm(state, "LayerNorm")
    centred = embedded - embedded.mean(axis=1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + layer.LayerNorm.eps) * gain + bias
    with torch.no_grad():
        assert_close(layer(input_ids=torch.from_numpy(tokens[None]))[0], expected)


def test_roberta_attends_with_several_heads_as_eq_9_and_10(encoders, rng):
    layer, rows = encoders["text"].encoder.layer[1].attention, rng.normal(size=(11, 64))
    parts = attention_weights(arrays(layer), ("self.query", "self.key", "self.value", "output.dense"))
    with torch.no_grad():
        ours = layer.output.dense(layer.self(tensor(rows[None]))[0][0])
    assert_close(ours, reference.heads_concatenated(rows, **parts, heads=2))


@pytest.mark.parametrize(("tokens", "frames"), [(1, 7), (2, 7), (9, 7), (7, 7), (5, 40)])
def test_text_is_stretched_over_the_frames_as_eq_12(rng, tokens, frames):
    values = rng.normal(size=(tokens, 6))
    assert_close(stretch(values, frames), reference.interpolate(values, frames))
    assert_close(stretch(values, frames, 2, 5), reference.interpolate(values, frames)[2:5])


def test_maven_names_the_encoders_of_eq_4_7_and_11():
    """Swin, HuBERT and RoBERTa in the sizes whose features are 1024, 768 and 768 wide."""
    stage1 = load_recipe("maven").stage1
    assert "swin-base" in stage1.visual.model and "hubert-base" in stage1.audio.model
    assert "roberta-base" in stage1.text.model and stage1.text.alignment == "interpolate"
