"""The doctor's look at a recipe's models: whole, broken, missing, not needed; nothing is fetched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from common.doctor import models
from common.doctor.check import Check, looked_at
from common.doctor.found import Found
from common.recipe import load_recipe


def only(checks: list[Check], name: str) -> Check:
    found = [check for check in checks if check.name == name]
    assert len(found) == 1, found
    return found[0]


def weights(folder: Path, **config: object) -> Path:
    """A folder with weights of four numbers."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    save_file({"weight": np.zeros(4, np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta", **config}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def text_model(folder: Path, found: Found | None = None) -> Check:
    recipe = load_recipe("demo", (f"stage1.text.model={json.dumps(str(folder))}",))
    return only(looked_at("models", "models", lambda: models.encoders(recipe, found or Found())), "text")


def test_a_whole_folder_is_a_model(tmp_path: Path) -> None:
    found = Found()
    check = text_model(weights(tmp_path / "ü model's", hidden_size=384), found)
    assert check.state == "ok" and "ü model's" in check.text and found.widths == {"text": 384}


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def without_shard(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-2.safetensors"}}')


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "model.safetensors, which isn't whole"),
        (without_tokenizer, "lacks tokenizer.json or"),
        (without_shard, "lacks model-2.safetensors"),
    ],
)
def test_a_folder_that_isnt_whole_stops_a_run(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    folder = weights(tmp_path / "model")
    damage(folder)
    check = text_model(folder)
    assert check.state == "failed" and said in check.text and "Copy the folder again" in check.cure


def test_a_hub_model_is_looked_for_where_the_stages_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    hub = tmp_path / "hub"
    folder = weights(hub / "models--some--model" / "snapshots" / commit, hidden_size=96)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    recipe = load_recipe("demo", ("stage1.text.model=some/model", f"stage1.text.revision={commit}"))

    def look() -> Check:
        return only(list(models.encoders(recipe, Found())), "text")

    assert look().state == "ok" and look().facts["folder"] == str(folder)
    cut(folder)
    assert look().state == "failed" and f"--revision {commit}" in look().command
    shutil.rmtree(hub)
    assert look().state == "missing" and not look().cure  # the caller knows the command


def test_a_network_is_asked_only_where_that_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as hub

    folder = weights(tmp_path / "model")
    offline: list[bool] = []

    def fetch(named: object) -> Path:
        offline.append(hub.HF_HUB_OFFLINE)
        return folder

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(models, "fetch", fetch)
    text_model(folder)
    text_model(folder, Found(fetching=True))
    assert offline == [True, False] and hub.HF_HUB_OFFLINE is False


def test_what_the_data_bring_needs_no_model() -> None:
    recipe, found = load_recipe("meld"), Found(brings={"visual": "none", "audio": "given"})
    checks = {check.name: check for check in models.encoders(recipe, found)}
    assert (checks["visual"].state, checks["audio"].state) == ("ok", "ok")
    assert "the data set brings" in checks["audio"].text
    assert only(list(models.yunet(recipe.stage1, found)), "faces").state == "ok"


def test_yunets_own_file_is_checked_by_stage_1(tmp_path: Path) -> None:
    wrong = tmp_path / "ü yunet.onnx"
    wrong.write_bytes(b"not it")
    settings = ("stage1.faces.detector=yunet", f"stage1.faces.weights={json.dumps(str(wrong))}")
    recipe = load_recipe("demo", settings)
    check = only(list(models.yunet(recipe.stage1, Found())), "faces")
    assert check.state == "failed" and "isn't YuNet" in check.text and "ü yunet.onnx" in check.text
