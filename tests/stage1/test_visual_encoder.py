"""Any vision model: what a crop's feature is, that its neighbours don't matter, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image
from transformers import AutoModel

from common.errors import ModelError
from common.recipe import Precision
from common.recipe import VisualEncoder as Settings
from stage1_embeddings.encoders.miniature import miniature_folder
from stage1_embeddings.encoders.pictures import picture_input
from stage1_embeddings.encoders.visual import VisualEncoder
from tests.stage1.encoder_folders import HALF, SMALL, VISION, save, text_folder, vision_folder

#: Tokens before the patches, by the papers: a class token; DeiT's for distillation; four registers.
BEFORE = {"vit": 1, "deit": 2, "beit": 1, "dinov2": 1, "dinov2_with_registers": 5}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vision")


def encoder(folder: Path, **settings: object) -> VisualEncoder:
    return VisualEncoder(folder, Settings.model_validate({"model": str(folder), "batch_size": 4} | settings), "cpu")


def crops(count: int, size: int = 112, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def state_of(folder: Path, pictures: np.ndarray) -> torch.Tensor:
    model = AutoModel.from_pretrained(folder).eval()
    pixels = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.no_grad():
        return model(pixels).last_hidden_state


@pytest.mark.parametrize("name", VISION)
def test_mean_is_over_patches_alone(name: str, root: Path) -> None:
    folder = vision_folder(name, root)
    network = encoder(folder)
    found = network(crops(5))
    state = state_of(folder, crops(5))
    expected = state.mean(dim=(2, 3)) if state.ndim == 4 else state[:, BEFORE.get(name, 0) :].mean(dim=1)
    assert network.size_px == (112, 112)
    assert found.shape == (5, network.dim) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", VISION)
def test_cls_is_the_class_token_and_an_error_where_there_is_none(name: str, root: Path) -> None:
    folder = vision_folder(name, root)
    if name not in BEFORE:
        with pytest.raises(ModelError, match="has no class token. Set stage1.visual.pooling to mean"):
            encoder(folder, pooling="cls")
        return
    found = encoder(folder, pooling="cls")(crops(3))
    np.testing.assert_allclose(found, state_of(folder, crops(3))[:, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", VISION)
def test_a_row_is_the_same_bit_for_bit_in_any_company(name: str, precision: Precision, root: Path) -> None:
    network = encoder(vision_folder(name, root), precision=precision)
    one = crops(1)
    alone = network(one)
    for position in (0, 2, 3, 4, 5):  # a full batch, and one that is made up
        company = crops(6, seed=position + 1)
        company[position] = one[0]
        assert np.array_equal(network(company)[position], alone[0]), f"position {position}"


def test_batches_are_always_full(root: Path) -> None:
    network = encoder(vision_folder("vit", root))
    sizes: list[int] = []
    model = network._network.model
    network._network.model = lambda **inputs: sizes.append(len(inputs["pixel_values"])) or model(**inputs)
    for count in (1, 4, 6):
        assert len(network(crops(count))) == count
    assert sizes == [4, 4, 4, 4]


@pytest.mark.parametrize("name", ["swin", "vit", "convnext"])
def test_bfloat16_is_close_to_float32(name: str, root: Path) -> None:
    folder = vision_folder(name, root)
    exact, rough = encoder(folder)(crops(4)), encoder(folder, precision="bfloat16")(crops(4))
    error = np.linalg.norm(rough - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert 0 < error.max() < 0.03, error


def test_a_crops_feature_is_swins_pooled_output(models: Path) -> None:
    folder = miniature_folder("visual", models)
    model = AutoModel.from_pretrained(folder).eval()
    pixels = (torch.from_numpy(crops(5)).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        expected = model(pixels).pooler_output.numpy()
    np.testing.assert_allclose(encoder(folder)(crops(5)), expected, atol=1e-5)


def test_no_crops_give_no_rows_and_other_sizes_are_resized(root: Path) -> None:
    network = encoder(vision_folder("vit", root))
    assert network(np.empty((0, 112, 112, 3), np.uint8)).shape == (0, network.dim)
    for size in (56, 300):
        grey = np.full((1, size, size, 3), 90, np.uint8)
        np.testing.assert_allclose(network(grey), network(np.full((1, 112, 112, 3), 90, np.uint8)), atol=1e-4)


def test_position_tables_are_stretched_to_the_processors_size(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(vision_folder("vit", root), folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(HALF | {"size": {"height": 160, "width": 160}}))
    network = encoder(folder)
    assert network.size_px == (160, 160)
    model = AutoModel.from_pretrained(folder).eval()
    pixels = (torch.from_numpy(crops(2, 160)).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.no_grad():
        expected = model(pixels, interpolate_pos_encoding=True).last_hidden_state[:, 1:].mean(dim=1)
    np.testing.assert_allclose(network(crops(2, 160)), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(("resample", "size"), [(2, 160), (2, 70), (3, 160), (3, 70)])
def test_crops_are_resized_as_pil_does(resample: int, size: int, tmp_path: Path) -> None:
    values = HALF | {"size": 112, "resample": resample, "do_normalize": False, "do_rescale": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values))
    wanted = picture_input(tmp_path, None)
    # Away from black and white: PIL cuts off overshoot after each of its two passes.
    picture = np.kron(crops(1, size // 10)[0] // 2 + 64, np.ones((10, 10, 1), np.uint8))
    found = wanted(torch.from_numpy(picture[None]))[0].permute(1, 2, 0).numpy()
    expected = np.asarray(Image.fromarray(picture).resize((112, 112), Image.Resampling(resample)), dtype=np.float32)
    assert np.abs(found - expected).max() < 1.6  # PIL rounds twice


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({"size": 96}, (96, 96)),
        ({"size": {"height": 80, "width": 96}}, (80, 96)),
        ({"size": {"shortest_edge": 256}, "crop_size": 224}, (224, 224)),
        ({"size": 224, "crop_size": 96, "do_center_crop": False}, (224, 224)),
        ({"size": 224, "do_resize": False}, (64, 64)),
        ({}, (64, 64)),
    ],
)
def test_the_processors_size_wins_over_the_configurations(
    values: dict[str, object], size: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(HALF | values))
    assert picture_input(tmp_path, tf.ViTConfig(image_size=64)).size_px == size


def test_range_and_normalisation_are_the_processors(tmp_path: Path) -> None:
    values = {"size": 2, "image_mean": [1, 2, 3], "image_std": [2, 2, 4], "rescale_factor": 0.5}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values))
    pixel = picture_input(tmp_path, None)(torch.full((1, 2, 2, 3), 10, dtype=torch.uint8))[0, :, 0, 0]
    assert pixel.tolist() == [2.0, 1.5, 0.5]


def test_a_model_that_does_not_say_how_pixels_are_normalised_is_refused(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(miniature_folder("visual", models), folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5], "image_std": [0.5]}))
    with pytest.raises(ModelError, match="doesn't say how its pixels are normalised"):
        encoder(folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="doesn't say how its pixels are normalised"):
        encoder(folder)


def test_a_model_whose_size_nobody_tells_is_refused(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(HALF))
    with pytest.raises(ModelError, match="doesn't say how large its pictures are"):
        picture_input(tmp_path, None)


def test_a_model_that_sees_nothing_is_refused(root: Path) -> None:
    folder = text_folder("bert", root)
    with pytest.raises(ModelError, match="is a bert model, which takes input_ids, not pictures"):
        encoder(folder)


def test_a_size_the_model_does_not_take_is_known_before_the_first_video(tmp_path: Path) -> None:
    config = tf.SwinConfig(image_size=112, embed_dim=16, depths=[1] * 4, num_heads=[1] * 4, window_size=7)
    folder = save(lambda: tf.SwinModel(config), tmp_path / "m", HALF)
    with pytest.raises(ModelError, match="doesn't take pictures of 112 x 112 px"):
        encoder(folder)


def test_a_model_whose_tokens_are_not_its_patches_is_refused(tmp_path: Path) -> None:
    config = tf.ViTMAEConfig(**SMALL, hidden_size=48, image_size=112)
    folder = save(lambda: tf.ViTMAEModel(config), tmp_path / "m", HALF)
    with pytest.raises(ModelError, match="13 tokens for 49 patches, so it can't be told which"):
        encoder(folder)
