"""What a fusion model is made with and keeps: statistics, its folder, its configuration, pretrained layers."""

import numpy as np
import pytest
import torch
from transformers import BeitConfig, BeitModel

from common.errors import CacheError, DataError, ModelError, RecipeError
from common.schema import MODALITIES
from stage2_beit.beit import load_beit_layers
from stage2_beit.config import FusionConfig
from stage2_beit.model import FusionModel
from tests.stage2.small_fusion import VARIANTS, B, T, a_batch, make, statistics

# Statistics


def test_features_are_standardised_by_the_training_statistics():
    model, batch = make(), a_batch()
    stats = statistics()
    plain = model(**batch).prediction
    raw = {m: batch[m] * torch.tensor(stats[m][1]).float() + torch.tensor(stats[m][0]).float() for m in MODALITIES}
    model.set_statistics(stats)
    assert torch.allclose(model(**batch | raw).prediction, plain, atol=1e-5)
    assert not torch.allclose(model(**batch).prediction, plain, atol=1e-2)


def test_a_constant_dimension_has_no_influence():
    model, batch = make(), a_batch()
    mean, std = np.zeros(12), np.ones(12)
    mean[3], std[3] = 0.7, 0.0
    model.set_statistics({"visual": (mean, std)})
    plain = model(**batch).prediction
    batch["visual"][..., 3] += 1.0
    assert torch.equal(model(**batch).prediction, plain)


def test_published_fault_test_clips_were_standardised_by_themselves():
    """A shift of all features shows in the output, in evaluation as in training."""
    model, batch = make(), a_batch()
    model.set_statistics(statistics())
    shifted = batch | {"visual": batch["visual"] + 1}
    assert not torch.allclose(model(**shifted).prediction, model(**batch).prediction, atol=1e-3)


def test_published_fault_a_row_depended_on_the_statistics_of_others():
    """What goes into the fusion for one frame is the same bit for bit, whatever the other frames hold."""
    model, batch = make(), a_batch()
    model.set_statistics(statistics())
    for m in MODALITIES:
        x, there = batch[m], torch.ones(B, T, dtype=torch.bool)
        other = torch.cat([x[:, :1], 100 * x[:, 1:] + 7], dim=1)
        ours, theirs = model.inputs[m](x, there), model.inputs[m](other, there)
        assert torch.equal(ours[:, 0], theirs[:, 0]) and not torch.allclose(ours[:, 1:], theirs[:, 1:])


def test_statistics_of_another_width_are_refused():
    with pytest.raises(DataError, match=r"statistics of the audio features .* expects \(8,\)"):
        make().set_statistics({"audio": (np.zeros(9), np.ones(9))})


# Saving


@pytest.mark.parametrize("changes", VARIANTS)
@pytest.mark.parametrize("scramble", [True, False])
def test_saved_and_loaded_it_is_the_same_model(tmp_path, changes, scramble):
    model, batch = make(scramble=scramble, **changes), a_batch()
    model.set_statistics(statistics())
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    loaded, info = FusionModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert not loaded.training
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert torch.equal(model(**batch).prediction, loaded(**batch).prediction)
    keep = set(FusionConfig().to_dict()) - {"transformers_version", "architectures", "dtype", "_name_or_path"}
    assert {key: getattr(model.config, key) for key in keep} == {key: getattr(loaded.config, key) for key in keep}


def test_features_of_another_width_are_refused():
    batch = a_batch() | {"audio": torch.zeros(B, T, 9)}
    with pytest.raises(CacheError, match="audio features are 9 wide; the model was made for 8"):
        make()(**batch)


# Configuration


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pathway": "both"}, "pathway is 'both'"),
        ({"loss": "mae"}, "loss is 'mae'"),
        ({"positional": "learned"}, "positional is 'learned'"),
        ({"attention": "beit", "block": "bare"}, "BEiT's own layers are whole blocks"),
        ({"heads": 3}, "3 attention heads don't divide a width of 8"),
        ({"attention": "beit", "beit_heads": 3}, "3 BEiT heads don't divide a width of 8"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        make(**changes)


def test_the_defaults_are_the_papers():
    config = FusionConfig()
    assert (config.visual_dim, config.audio_dim, config.text_dim) == (1024, 768, 768)
    assert (config.pathway, config.attention, config.beit_layers, config.loss) == ("paper", "additive", 2, "mse")


# Pretrained BEiT layers


@pytest.fixture
def pretrained(tmp_path):
    config = BeitConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=4, intermediate_size=16, image_size=8, patch_size=4
    )
    BeitModel(config).save_pretrained(tmp_path)
    return load_beit_layers(tmp_path, layers=2)


def test_pretrained_layers_go_into_the_fusion(pretrained):
    model = make(attention="beit")
    model.use_pretrained_layers(pretrained)
    for name, value in model.beit.layers.state_dict().items():
        assert torch.equal(value, pretrained.state[name])


def test_additive_blocks_take_all_but_the_attention(pretrained):
    model = make(attention="additive", beit_heads=1)
    before = {name: value.clone() for name, value in model.beit.layers.state_dict().items()}
    model.use_pretrained_layers(pretrained)
    for name, value in model.beit.layers.state_dict().items():
        assert torch.equal(value, before[name] if ".attention." in name else pretrained.state[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_proj": 16}, "d_proj is 16, but the BEiT layers at .* have a hidden_size of 8"),
        ({"beit_heads": 2}, "beit_heads is 2, but .* a num_attention_heads of 4"),
        ({"mlp_ratio": 3.0}, "intermediate_size is 24, but .* 16"),
        ({"attention": "additive", "block": "bare"}, "block: bare has nothing"),
    ],
)
def test_pretrained_layers_of_another_shape_are_refused(pretrained, changes, message):
    with pytest.raises(ModelError, match=message):
        make(**{"attention": "beit"} | changes).use_pretrained_layers(pretrained)
