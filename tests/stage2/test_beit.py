"""The encoders around additive attention; BEiT's own layers, fresh and from a checkpoint."""

from functools import partial

import pytest
import torch
from torch import nn
from transformers import BeitConfig, BeitForMaskedImageModeling, BeitModel, ViTConfig, ViTModel

from common.errors import ModelError, RecipeError
from stage2_beit.beit import AdditiveBlock, BeitEncoder, load_beit_layers
from tests.reference import assert_close as close
from tests.reference import refinement as reference
from tests.reference import weights
from tests.stage2.small_window import B, E, a_window, arrays


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(9)


def test_padded_frames_are_never_attended():
    h, mask = a_window()
    other = torch.where(mask[..., None], h, 1e3 * torch.randn_like(h))
    for block in ("beit", "bare"):
        module = BeitEncoder(E, block=block).eval()
        ours, theirs = module(h, mask), module(other, mask)
        assert torch.equal(ours[mask], theirs[mask])
        assert torch.isfinite(ours).all()


@pytest.mark.parametrize("block", ["beit", "bare"])
def test_additive_blocks_are_the_equations_in_their_frame(block):
    module, (h, mask) = AdditiveBlock(E, block=block, mlp_ratio=2).eval(), a_window()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    out = module(h, mask)
    for b in range(B):
        x, valid = h[b].double().numpy(), mask[b].numpy()
        if block == "bare":
            expected = reference.additive_attention(x, valid, *weights.additive_attention(arrays(module), "attention."))
        else:
            expected = reference.beit_block(x, valid, weights.beit_block(arrays(module)))
        close(out[b], expected)


def test_bare_has_eq_21_to_24_and_nothing_else():
    names = {name for name, _ in AdditiveBlock(E, block="bare").named_parameters()}
    assert names == {"attention.v", "attention.query.weight", "attention.query.bias", "attention.key.weight"}


@pytest.mark.parametrize("arrangement", ["series", "parallel"])
@pytest.mark.parametrize("attention", ["additive", "beit"])
def test_encoders_are_composed_as_eq_25_or_side_by_side(arrangement, attention):
    settings = {"attention": attention, "arrangement": arrangement, "heads": 4, "mlp_ratio": 2}
    encoder, (h, mask) = BeitEncoder(E, layers=3, **settings).eval(), a_window(empty=False)
    mask[2, :2] = True
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.5)
    out, state = encoder(h, mask), arrays(encoder)
    for b in range(B):
        blocks = [
            partial(
                reference.beit_block,
                valid=mask[b].numpy(),
                p=weights.beit_block(state, f"layers.{n}."),
                heads=4 if attention == "beit" else None,
            )
            for n in range(3)
        ]
        close(out[b], reference.compose(blocks, h[b].double().numpy(), arrangement))


# BEiT's own layers


@pytest.fixture
def beit_folder(tmp_path):
    """A miniature pretrained BEiT on disk; keyword arguments change its configuration."""

    def make(cls=BeitModel, **changes):
        settings = {
            "hidden_size": E,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "intermediate_size": 2 * E,
            "image_size": 8,
            "patch_size": 4,
            "use_relative_position_bias": False,
            "vocab_size": 16,
            "drop_path_rate": 0.0,
        }
        model = cls(BeitConfig(**settings | changes)).eval()
        for name, parameter in model.named_parameters():
            nn.init.normal_(parameter, std=0.3, mean=float("norm" in name or "lambda" in name))
        folder = tmp_path / "beit"
        model.save_pretrained(folder)
        return folder, model

    return make


def test_pretrained_layers_compute_what_beit_computes(beit_folder):
    folder, model = beit_folder()
    pretrained = load_beit_layers(folder, layers=3)
    encoder = BeitEncoder(E, layers=3, attention="beit", heads=2, mlp_ratio=2).eval()
    encoder.layers.load_state_dict(pretrained.state)
    with torch.no_grad():
        states = model(torch.randn(2, 3, 8, 8), output_hidden_states=True).hidden_states
        out = encoder(states[0], torch.ones(2, states[0].shape[1], dtype=torch.bool))
    assert torch.allclose(out, states[3], atol=1e-5)
    assert pretrained.shape["hidden_size"] == E and pretrained.source == str(folder)


def test_frames_behind_the_mask_are_not_attended_by_beit():
    encoder, (h, mask) = BeitEncoder(E, attention="beit", heads=2).eval(), a_window()
    other = torch.where(mask[..., None], h, 1e3 * torch.randn_like(h))
    ours, theirs = encoder(h, mask), encoder(other, mask)
    assert torch.allclose(ours[mask], theirs[mask], atol=1e-6)
    assert torch.isfinite(ours).all()
    ours.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters())


@pytest.mark.parametrize("bias", ["use_relative_position_bias", "use_shared_relative_position_bias"])
def test_weights_without_a_place_are_named(beit_folder, bias):
    folder, model = beit_folder(**{bias: True})
    pretrained = load_beit_layers(folder, layers=2)
    assert any("relative_position_bias_table" in name for name in pretrained.unused)
    assert any(name.startswith("embeddings.") for name in pretrained.unused)
    assert any(name.startswith("layers.2.") for name in pretrained.unused)
    used = {f"layers.{name}" for name in pretrained.state}
    assert used.isdisjoint(pretrained.unused)
    assert used | set(pretrained.unused) == set(model.state_dict())
    BeitEncoder(E, attention="beit", heads=2, mlp_ratio=2).layers.load_state_dict(pretrained.state)


def test_the_model_of_masked_image_modelling_is_read_too(beit_folder):
    """The published beit-base-patch16-224-pt22k is one of these."""
    folder, model = beit_folder(cls=BeitForMaskedImageModeling, use_shared_relative_position_bias=True)
    pretrained = load_beit_layers(folder, layers=2)
    for name, value in pretrained.state.items():
        assert torch.equal(value, model.state_dict()[f"beit.layers.{name}"])
    assert "lm_head.weight" in pretrained.unused


def test_a_beit_without_layer_scale_has_a_scale_of_one(beit_folder):
    folder, _ = beit_folder(layer_scale_init_value=0.0)
    state = load_beit_layers(folder, layers=2).state
    assert torch.equal(state["1.lambda_2"], torch.ones(E))
    BeitEncoder(E, attention="beit", heads=2, mlp_ratio=2).layers.load_state_dict(state)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"The BEiT at .*nowhere can't be loaded"):
        load_beit_layers(tmp_path / "nowhere")


def test_pickled_weights_are_not_read(beit_folder):
    folder, model = beit_folder()
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_beit_layers(folder)


def test_a_truncated_checkpoint(beit_folder):
    folder, _ = beit_folder()
    weights_file = folder / "model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:1000])
    with pytest.raises(ModelError, match="can't be loaded"):
        load_beit_layers(folder)


def test_weights_of_another_size_than_their_configuration_says(beit_folder):
    folder, _ = beit_folder()
    config = folder / "config.json"
    config.write_text(config.read_text().replace(f'"intermediate_size": {2 * E}', f'"intermediate_size": {3 * E}'))
    with pytest.raises(ModelError, match="can't be loaded"):
        load_beit_layers(folder)


def test_a_checkpoint_of_something_else(tmp_path):
    config = ViTConfig(hidden_size=E, num_hidden_layers=2, num_attention_heads=2, intermediate_size=E, image_size=8)
    ViTModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="isn't a BEiT"):
        load_beit_layers(tmp_path)


def test_too_few_layers(beit_folder):
    folder, _ = beit_folder()
    with pytest.raises(ModelError, match="has 3 layers, 4 were asked for"):
        load_beit_layers(folder, layers=4)


def test_beit_heads_must_divide_the_width():
    with pytest.raises(RecipeError, match="3 BEiT heads don't divide a width of 8"):
        BeitEncoder(8, attention="beit", heads=3)
