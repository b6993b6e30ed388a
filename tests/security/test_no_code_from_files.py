"""Nothing that comes with a file is run: checkpoints of trainings, models, tokenizers, recipes, arrays."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf

from common.datasets.tables.spec import read_spec
from common.errors import DataError, ModelError, RecipeError, TrainingError
from common.files import sha256
from common.models import fetch, find, load_model, load_tokenizer
from common.provenance import PROJECT
from common.recipe import load_recipe
from tests.common.small_fit import fitted

PACKAGES = ("common", "stage1_embeddings", "stage2_beit", "stage3_mlp", "studies", "benchmarks")

#: What unpickles, whole modules of it.
UNPICKLERS = {"pickle", "_pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}

#: Calls that run text or a shell, or unpickle whatever their arguments.
NEVER = {
    "eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.full_load", "yaml.unsafe_load", "torch.jit.load",
    "torch.hub.load", "pandas.read_pickle", "tempfile.mktemp",
}  # fmt: skip

#: Calls that are safe with this argument alone.
ONLY_WITH = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}

#: Arguments that nothing is given.
FORBIDDEN = {("trust_remote_code", True), ("shell", True), ("allow_pickle", True), ("weights_only", False)}


class Payload:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.mkdir, (self.folder,)  # type: ignore[return-value]


def faults(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNPICKLERS:
            yield from (alias.name for alias in node.names if alias.name != "UnpicklingError")
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {(keyword.arg, getattr(keyword.value, "value", None)) for keyword in node.keywords}
            if name in NEVER or given & FORBIDDEN or (name in ONLY_WITH and ONLY_WITH[name] not in given):
                yield ast.unparse(node)


def test_no_source_file_unpickles_runs_text_or_a_shell() -> None:
    paths = [path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")]
    assert len(paths) > 200
    found = {path.name: list(faults(ast.parse(path.read_text(encoding="utf-8")))) for path in paths}
    # silero-vad's network comes as TorchScript, in its package alone: as much code as the package itself.
    assert {name: calls for name, calls in found.items() if calls} == {
        "voice.py": ["torch.jit.load(str(weights), map_location='cpu')"]
    }


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from joblib import load", "eval(x)", "torch.load(x)", "np.load(x)", "yaml.load(x)",
        "np.load(x, allow_pickle=True)", "subprocess.run(x, shell=True)", "f(trust_remote_code=True)",
    ],
)  # fmt: skip
def test_such_lines_would_be_found(line: str) -> None:
    assert list(faults(ast.parse(line)))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that did one epoch."""
    folder = tmp_path_factory.mktemp("checkpoints")
    fitted(folder, [0, 1, 2] * 5, epochs=1)
    return folder


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_pickle_in_a_checkpoint_is_not_run(checkpoints: Path, tmp_path: Path, name: str) -> None:
    (path,) = checkpoints.glob(f"*/{name}")
    whole = path.read_bytes()
    (path.parent / "checksums.json").unlink(missing_ok=True)  # a stranger's would fit
    torch.save({"state": Payload(tmp_path / "run")}, path)
    try:
        with pytest.raises(TrainingError, match=r"checkpoint-\d+ holds more than numbers.*Delete it"):
            fitted(checkpoints, [0, 1, 2] * 5, epochs=2)
    finally:
        path.write_bytes(whole)
    assert not (tmp_path / "run").exists()


def test_the_arguments_in_a_checkpoint_are_not_read(checkpoints: Path, tmp_path: Path) -> None:
    (path,) = checkpoints.glob("*/training_args.bin")
    torch.save(Payload(tmp_path / "run"), path)
    assert len(fitted(checkpoints, [0, 1, 2] * 5, epochs=2).history) == 2  # it went on from there
    assert not (tmp_path / "run").exists()


def test_the_payload_would_run(tmp_path: Path) -> None:
    path = tmp_path / "optimizer.pt"
    torch.save(Payload(tmp_path / "run"), path)
    torch.load(path, weights_only=False)
    assert (tmp_path / "run").is_dir()


def miniature(folder: Path, **more: object) -> Path:
    """A BERT of random weights whose configuration says more, with code beside it."""
    config = tf.BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    tf.BertModel(config).save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
    run = repr(str(folder / "run"))
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({run}).mkdir()\nclass Evil: ...\n")
    return folder


def test_code_beside_a_model_is_not_run(tmp_path: Path) -> None:
    names = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}
    assert type(load_model(miniature(tmp_path / "known", auto_map=names))).__name__ == "BertModel"
    with pytest.raises(ModelError, match="unknown can't be loaded as AutoModel"):
        load_model(miniature(tmp_path / "unknown", auto_map=names, model_type="evil"))
    tokens = miniature(tmp_path / "tokens", model_type="evil", auto_map=names)
    about = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}
    (tokens / "tokenizer_config.json").write_text(json.dumps(about))
    with pytest.raises(ModelError, match="tokens can't be loaded as AutoTokenizer"):
        load_tokenizer(tokens)
    assert not list(tmp_path.glob("*/run"))


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize("value", ["evil/kernel", {"text_config": "evil/kernel@main:run"}])
def test_kernels_from_the_hub_are_refused(tmp_path: Path, key: str, value: object) -> None:
    folder = miniature(tmp_path / "model", text_config={key: value})
    with pytest.raises(ModelError, match=rf"config.json asks for code from elsewhere: {key} is .*evil/kernel"):
        fetch(find(str(folder), None, "stage1.text"))


def test_weights_that_are_pickled_are_refused(tmp_path: Path) -> None:
    folder = miniature(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save(Payload(tmp_path / "run"), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no config.json with .*safetensors.*can run code"):
        find(str(folder), None, "stage1.text")
    with pytest.raises(ModelError, match="can't be loaded as AutoModel"):
        load_model(folder)
    assert not (tmp_path / "run").exists()


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    text = f"!!python/object/apply:os.mkdir [{json.dumps(str(tmp_path / 'run'))}]"
    path = tmp_path / "recipe.yaml"
    path.write_text(f"base: demo\nname: {text}\n")
    with pytest.raises(RecipeError, match="recipe.yaml isn't valid YAML"):
        load_recipe(str(path))
    with pytest.raises(RecipeError, match="isn't valid YAML"):
        load_recipe("demo", (f"name={text}",))
    path = tmp_path / "table.yaml"
    path.write_text(f"file: {text}\n")
    assert "constructor" in str(read_spec(path))  # a finding
    assert not (tmp_path / "run").exists()


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    from common.datasets.tables.npz import Npz

    path = tmp_path / "table.npz"
    np.savez(path, audio=np.array([Payload(tmp_path / "run")], dtype=object))
    with pytest.raises(DataError, match="table.npz: the column audio holds Python objects"):
        Npz(path, ["audio"], tmp_path)
    assert not (tmp_path / "run").exists() and sha256(path)
