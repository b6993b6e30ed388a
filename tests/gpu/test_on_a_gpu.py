"""What a GPU must do as the processor does: features, attention, training; and what when its memory runs out.

Everything here is skipped where there is no CUDA. ``make bench DEVICE=cuda`` measures; this compares.
"""

from __future__ import annotations

import copy
import gc
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.device import torch_device
from common.measures import measure_for
from common.recipe import AudioEncoder as AudioSettings
from common.recipe import TextEncoder as TextSettings
from common.recipe import Training
from common.recipe import VisualEncoder as VisualSettings
from common.schema import MODALITIES, Modality
from common.training.arguments import training_arguments
from stage1_embeddings.encoders.audio import AudioEncoder
from stage1_embeddings.encoders.miniature import miniature_folder
from stage1_embeddings.encoders.text import TextEncoder
from stage1_embeddings.encoders.visual import VisualEncoder
from stage2_beit.additive import AdditiveAttention
from tests.common.small_fit import fitted
from tests.stage2.small_fusion import SMALL, T, a_batch, labels, make

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that CUDA can use")


def features(modality: Modality, models: Path, device: str, **values: Any) -> np.ndarray:
    folder = miniature_folder(modality, models)
    given = {"model": str(folder)} | values
    rng = np.random.default_rng(0)
    if modality == "visual":
        crops = rng.integers(0, 256, (70, 112, 112, 3), dtype=np.uint8)
        return VisualEncoder(folder, VisualSettings.model_validate(given), device)(crops)
    if modality == "audio":
        wave = rng.normal(0, 0.1, 16_000 * 30).astype(np.float32)
        return AudioEncoder(folder, AudioSettings.model_validate(given), device)(wave)[0]
    return TextEncoder(folder, TextSettings.model_validate(given), device)([["happy"] * 70] * 10).tokens


def test_float32_is_float32() -> None:
    """TF32, cuDNN's way to convolve by default, has ten bits where float32 has 23."""
    place = torch_device("cuda")
    torch.manual_seed(0)
    signal, layer = torch.randn(4, 64, 4000), torch.nn.Conv1d(64, 64, 15)
    with torch.inference_mode():
        exact = copy.deepcopy(layer).double()(signal.double())
        error = (layer.to(place)(signal.to(place)).double().cpu() - exact).abs().max() / exact.abs().max()
    assert error < 1e-5, f"{error:.1e} of the largest value"


@pytest.mark.parametrize("modality", MODALITIES)
def test_features_are_the_processors(modality: Modality, models: Path) -> None:
    ours, theirs = (features(modality, models, device) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("modality", MODALITIES)
def test_features_in_bfloat16_point_the_same_way(modality: Modality, models: Path) -> None:
    ours = features(modality, models, "cuda", precision="bfloat16").astype(np.float64)
    theirs = features(modality, models, "cpu").astype(np.float64)
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosine.min() > 0.99, f"least cosine {cosine.min():.4f}"


def test_where_the_gpus_memory_runs_out_the_batch_is_halved(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = features("visual", models, "cuda", batch_size=64)
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    limit = torch.cuda.memory_reserved() + 60 * 2**20
    torch.cuda.set_per_process_memory_fraction(limit / total)
    try:
        with caplog.at_level(logging.WARNING, "stage1_embeddings"):
            found = features("visual", models, "cuda", batch_size=64)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "stage1.visual: memory ran out; going on with batch_size 32" in caplog.messages
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("kernel", ["compiled", "eager"])
def test_additive_attention_is_the_formula(kernel: Any) -> None:
    """Eq. 21-24 in float64 on the processor: output and all gradients, 150 frames, of which some are padding."""
    torch.manual_seed(0)
    module, h = AdditiveAttention(64, kernel=kernel), torch.randn(2, 150, 64)
    mask = torch.ones(2, 150, dtype=torch.bool)
    mask[1, 130:] = False
    exact = copy.deepcopy(module).double()
    x = h.double().requires_grad_()
    scores = (exact.query(x)[:, :, None] + exact.key(x)[:, None]).tanh() @ exact.v
    out = scores.masked_fill(~mask[:, None], float("-inf")).softmax(dim=-1) @ x
    out.square().sum().backward()
    ours = module.to("cuda")
    y = h.to("cuda").requires_grad_()
    found = ours(y, mask.to("cuda"))
    found.square().sum().backward()
    pairs = [(found, out), (y.grad, x.grad)]
    pairs += [(p.grad, q.grad) for p, q in zip(ours.parameters(), exact.parameters(), strict=True)]
    for one, other in pairs:
        assert one is not None and other is not None
        error = float((one.detach().double().cpu() - other.detach()).abs().max())
        assert error <= 1e-5 * max(1.0, float(other.detach().abs().max()))


@pytest.mark.parametrize("changes", [{}, {"attention": "beit"}], ids=["additive", "beit"])
def test_the_fusion_is_the_processors(changes: dict[str, Any]) -> None:
    batch = a_batch() | {"labels": labels(frames=T)}
    losses, gradients = [], []
    for device in ("cpu", "cuda"):
        model = make(**SMALL | changes).to(device)
        loss = model(**{name: values.to(device) for name, values in batch.items()}).loss
        loss.backward()
        losses.append(loss.item())
        gradients.append({name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None})
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, one in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], one, rtol=1e-3, atol=1e-5 * max(1.0, float(one.abs().max())))


def test_a_training_goes_the_processors_way(tmp_path: Path) -> None:
    rows = [number % 3 for number in range(40)]
    one, other = (fitted(tmp_path / d, rows, device=d, epochs=3) for d in ("cpu", "cuda"))
    assert [row["loss"] for row in one.history] == pytest.approx([row["loss"] for row in other.history], rel=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains(precision: Any, tmp_path: Path) -> None:
    rows = [number % 3 for number in range(40)]
    history = fitted(tmp_path, rows, device="cuda", epochs=4, precision=precision).history
    assert history[-1]["loss"] < history[0]["loss"]


def test_one_gpu_is_taken_whatever_there_is(tmp_path: Path) -> None:
    arguments = training_arguments(Training(), measure_for(categorical=False), tmp_path, 0, "cuda")
    assert arguments.n_gpu == 1 and arguments.dataloader_pin_memory
