"""What all encoders share: weights that are safetensors and complete, precision, memory, compiling."""

from __future__ import annotations

import functools
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import common.device
from common.device import has_bfloat16, torch_dtype
from common.errors import ModelError, UsageError
from common.models import fetch, find
from common.recipe import AudioEncoder as AudioSettings
from common.recipe import TextEncoder as TextSettings
from common.recipe import VisualEncoder as VisualSettings
from common.schema import MODALITIES, Modality
from stage1_embeddings.encoders.audio import AudioEncoder
from stage1_embeddings.encoders.frozen import Frozen
from stage1_embeddings.encoders.miniature import miniature_folder
from stage1_embeddings.encoders.text import TextEncoder
from stage1_embeddings.encoders.visual import VisualEncoder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def settings(folder: Path) -> dict[str, str]:
    return {"model": str(folder)}


class Called:
    """An encoder of one modality, called with something that makes several batches."""

    def __init__(self, modality: Modality, models: Path, **values: Any) -> None:
        folder = miniature_folder(modality, models)
        given = {"model": str(folder), "batch_size": 4} | values
        self.encoder: Any
        rng = np.random.default_rng(0)
        if modality == "visual":
            self.encoder = VisualEncoder(folder, VisualSettings.model_validate(given), "cpu")
            crops = rng.integers(0, 256, (10, 112, 112, 3), dtype=np.uint8)
            self.features: Callable[[], np.ndarray] = lambda: self.encoder(crops)
        elif modality == "audio":
            short = {"chunk_s": 0.5, "context_s": 0.25}
            self.encoder = AudioEncoder(folder, AudioSettings.model_validate(given | short), "cpu")
            wave = rng.normal(0, 0.1, 16_000 * 5).astype(np.float32)
            self.features = lambda: self.encoder(wave)[0]
        else:
            self.encoder = TextEncoder(folder, TextSettings.model_validate(given), "cpu")
            sentences = [["happy"] * 70] * 10
            self.features = lambda: self.encoder(sentences).tokens
        self.network: Frozen = self.encoder._network


class Cramped(torch.nn.Module):
    """A model in whose memory ``room`` rows fit; more raise what torch raises."""

    def __init__(self, model: torch.nn.Module, room: int, error: Exception) -> None:
        super().__init__()
        self.model, self.room, self.error, self.sizes = model, room, error, []

    def forward(self, **inputs: Any) -> Any:
        self.sizes.append(len(next(iter(inputs.values()))))
        if self.sizes[-1] > self.room:
            raise self.error
        return self.model(**inputs)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cuda", "cpu", "python"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_where_memory_runs_out_the_batch_is_halved_and_stays_so(
    modality: Modality, error: Exception, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    called = Called(modality, models)
    expected = called.features()
    cramped = Cramped(called.network.model, room=1, error=error)
    called.network.model = cramped
    with caplog.at_level(logging.WARNING, "stage1_embeddings"):
        found = called.features()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert [record.getMessage() for record in caplog.records] == [
        f"stage1.{modality}: memory ran out; going on with batch_size {size}" for size in (2, 1)
    ]
    cramped.sizes.clear()
    np.testing.assert_array_equal(called.features(), found)
    assert set(cramped.sizes) == {1} and called.network.batch_size == 1


@pytest.mark.parametrize("modality", MODALITIES)
def test_where_one_item_does_not_fit_there_is_a_cure(modality: Modality, models: Path) -> None:
    called = Called(modality, models)
    called.network.model = Cramped(called.network.model, room=0, error=OUT_OF_MEMORY[0])
    with pytest.raises(ModelError, match=f"one item at a time: CUDA out of memory.*smaller model as stage1.{modality}"):
        called.features()


def test_other_faults_of_a_model_are_not_taken_for_memory(models: Path) -> None:
    called = Called("visual", models)
    called.network.model = Cramped(called.network.model, room=0, error=RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        called.features()
    assert called.network.batch_size == 4


@pytest.mark.parametrize("modality", MODALITIES)
def test_values_that_are_not_finite_are_an_error(modality: Modality, models: Path) -> None:
    called = Called(modality, models)
    with torch.no_grad():
        for weight in called.network.model.parameters():
            weight.fill_(float("inf"))
    with pytest.raises(ModelError, match=f"aren't finite in float32. Set stage1.{modality}.precision"):
        called.features()


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch.compile without its code generator, which takes a minute and a compiler."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("traced")
def test_a_compiled_model_gives_the_same(models: Path) -> None:
    plain, compiled = Called("text", models), Called("text", models, compile=True)
    np.testing.assert_allclose(compiled.features(), plain.features(), atol=2e-5)
    assert compiled.network._compiled is not None and plain.network._compiled is None


@pytest.mark.parametrize("modality", MODALITIES)
def test_where_compiling_fails_there_is_a_cure(
    modality: Modality, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor.exc import InvalidCxxCompiler

    def no_compiler(*_: object, **__: object) -> object:
        raise InvalidCxxCompiler()

    monkeypatch.setattr(torch, "compile", lambda model: no_compiler)
    with pytest.raises(ModelError, match=f"can't be compiled here: .*Set stage1.{modality}.compile to false"):
        Called(modality, models, compile=True).features()


def test_emulated_bfloat16_is_said_once_and_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(common.device, "has_bfloat16", lambda kind: False)
    common.device._warn_of_slow_bfloat16.cache_clear()
    try:
        for _ in range(2):
            assert torch_dtype("bfloat16", torch.device("cpu")) is torch.bfloat16
    finally:
        common.device._warn_of_slow_bfloat16.cache_clear()
    assert [record.getMessage() for record in caplog.records] == [
        "precision: bfloat16 is emulated on this cpu: expect float32 to be faster."
    ]


@pytest.mark.parametrize(
    ("capabilities", "has"),
    [({"avx512_bf16": True, "avx2": True}, True), ({"avx512_bf16": False, "avx2": True}, False), ({}, False)],
)
def test_what_a_cpu_says_of_bfloat16_is_believed(
    capabilities: dict[str, bool], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert has_bfloat16("cpu") is has and has_bfloat16("mps")


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
        VisualEncoder(folder, VisualSettings(**settings(folder)), "cpu")


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
