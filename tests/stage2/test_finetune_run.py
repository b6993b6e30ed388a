"""The text encoder trained with the fusion through the stage's own functions: it learns, resumes, travels, refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from common.errors import CacheError, DataError, MavenError, RecipeError
from common.files import sha256
from common.manifest import Manifest, write_manifest
from common.recipe import Recipe, load_recipe
from common.schema import REFINED, WORD_TEXT, present
from common.store import read_attributes, read_clip, write_clip
from common.windows import FeatureWindows
from stage2_beit.build import model_class
from stage2_beit.export import export, refine
from stage2_beit.finetune import FineTunedModel
from stage2_beit.train import train, training_fingerprint
from stage2_beit.words import SpokenWindows, collate
from tests.stage2.dialogues import LONG, folder_of, recipe, write_run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finetune")


class Trained:
    """A run trained once by the stage's own function."""

    def __init__(self, root: Path, name: str, *settings: str, finetune: bool = True, **said: Any) -> None:
        self.cache, self.run = root, root / "runs" / name
        self.folder = folder_of("miniature", root)
        self.recipe: Recipe = recipe("miniature", *settings, finetune=finetune)
        self.manifest: Manifest = write_run(self.cache, self.run, self.folder, model="miniature")
        self.lines: list[str] = []
        self.fusion = train(self.recipe, self.cache, self.run, "cpu", said.get("say", self.lines.append))

    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.fusion / "model.safetensors")

    def record(self) -> dict[str, Any]:
        return json.loads((self.fusion / "record.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def trained(root: Path) -> Trained:
    return Trained(root, "trained")


def test_the_encoder_learns(trained: Trained, root: Path) -> None:
    before = {f"encoder.{name}": p for name, p in load_file(trained.folder / "model.safetensors").items()}
    after = trained.weights()
    ours = {name for name in after if name.startswith("encoder.")}
    assert ours == set(before)
    moved = {name for name in ours if not torch.equal(before[name], after[name])}
    assert len(moved) > 0.9 * len(ours), ours - moved
    losses = [row["loss"] for row in trained.record()["history"]]
    assert len(losses) == 8 and losses[-1] < 0.5 * losses[0], losses
    assert any("training the text encoder too: RobertaModel, 0.1 M weights" in line for line in trained.lines)
    again = train(trained.recipe, root, trained.run, "cpu", trained.lines.append)
    assert again == trained.fusion and "nothing to do, no model loaded" in trained.lines[-1]


def test_frozen_stays_frozen_without_the_setting(trained: Trained, root: Path) -> None:
    kept = sha256(trained.folder / "model.safetensors")
    frozen = Trained(root, "frozen", finetune=False)
    assert not any(name.startswith("encoder.") for name in frozen.weights())
    assert not (frozen.fusion / "tokenizer.json").exists()
    assert "FineTuned" not in model_class(frozen.recipe.stage2).__name__
    assert sha256(trained.folder / "model.safetensors") == kept
    assert training_fingerprint(frozen.recipe, frozen.manifest) != training_fingerprint(
        trained.recipe, trained.manifest
    )


def test_a_loaded_model_is_the_trained_one(trained: Trained) -> None:
    model = FineTunedModel.from_pretrained(trained.fusion).eval()
    windows = SpokenWindows(
        trained.cache, trained.manifest, trained.manifest.clips, trained.recipe.stage2.window, subwords=model.subwords()
    )
    batch = collate([windows[index] for index in range(len(windows))])
    fresh = FineTunedModel(model.config).eval()
    fresh.load_state_dict(trained.weights())
    with torch.no_grad():
        assert torch.equal(model(**batch).prediction, fresh(**batch).prediction)
    assert str(trained.cache) not in (trained.fusion / "config.json").read_text(), "a path of this machine"


def test_export_works_anywhere_on_other_words(trained: Trained, tmp_path: Path) -> None:
    moved = shutil.copytree(trained.fusion, tmp_path / "fusion")
    cache, run, lines = tmp_path / "cache", tmp_path / "run", []
    others = {"new": ("test", ["happy day", "", "day", "happy happy day", LONG, "what?"]), "mute": ("test", [" ", ""])}
    manifest = write_run(cache, run, trained.folder, others)  # type: ignore[arg-type]
    fused = export(moved, cache, run, "cpu", lines.append)
    assert any("1 of 5 texts are longer than 126 tokens" in line for line in lines), lines
    model = FineTunedModel.from_pretrained(trained.fusion).eval()
    for clip in manifest.clips:
        found = read_clip(cache / fused.folder / f"{clip.id}.h5", (REFINED,))[REFINED]
        window = trained.recipe.stage2.window
        data = SpokenWindows(cache, manifest, [clip], window, subwords=model.subwords())
        np.testing.assert_array_equal(found, refine(model, data, batch=1 if clip.id == "mute" else 4))
    assert "nothing to do" in said_by(lambda say: export(moved, cache, run, "cpu", say))[-1]


def test_withheld_text_is_not_read_at_all(trained: Trained, tmp_path: Path) -> None:
    def refined(**withheld: Any) -> Any:
        fused = export(trained.fusion, trained.cache, trained.run, "cpu", lambda _: None, **withheld)
        return read_clip(trained.cache / fused.folder / "dia12.h5", (REFINED,))[REFINED]

    manifest, clip = trained.manifest, trained.manifest.of("test")[0]
    model = FineTunedModel.from_pretrained(trained.fusion).eval()
    data = FeatureWindows(trained.cache, manifest, [clip], trained.recipe.stage2.window, modalities=["visual", "audio"])
    total = np.zeros((clip.frames, 16))
    seen = np.zeros((clip.frames, 1))
    for place, item in zip(data.places, data, strict=False):
        with torch.no_grad():
            rows = model.fusion(**collate([item])).refined[0, : place.frames].numpy()
        total[place.start : place.start + place.frames] += rows
        seen[place.start : place.start + place.frames] += 1
    np.testing.assert_allclose(refined(without=("text",)), total / seen, atol=1e-5)
    assert np.abs(refined() - refined(without=("text",))).max() > 1e-3


def test_a_killed_training_ends_as_if_undisturbed(trained: Trained, root: Path) -> None:
    class Killed(Exception):
        pass

    def kill(line: str) -> None:
        if "epoch 5/8" in line:
            raise Killed

    with pytest.raises(Killed):
        Trained(root, "killed", say=kill)
    checkpoint = next((root / "runs" / "killed" / "checkpoints").glob("*/checkpoint-*"))
    assert any(name.startswith("encoder.") for name in load_file(checkpoint / "model.safetensors"))
    resumed = Trained(root, "killed")
    assert any("goes on from checkpoint-" in line for line in resumed.lines), resumed.lines
    assert sha256(resumed.fusion / "model.safetensors") == sha256(trained.fusion / "model.safetensors")


def test_the_encoders_identity_is_in_the_fingerprint(root: Path) -> None:
    settings = recipe("miniature")
    one, other = (write_run(root, root / "r", folder_of(name, root)) for name in ("bert", "electra"))
    assert training_fingerprint(settings, one) != training_fingerprint(settings, other)


def said_by(call: Callable[[Callable[[str], None]], Any]) -> list[str]:
    lines: list[str] = []
    call(lines.append)
    return lines


def refused(error: type[MavenError], match: str, settings: Recipe, cache: Path, run: Path) -> None:
    with pytest.raises(error, match=match):
        train(settings, cache, run, "cpu", lambda _: None)
    assert not (run / "fusion").exists()


def test_videos_and_other_encoders_are_refused(root: Path, tmp_path: Path) -> None:
    folder, run = folder_of("miniature", root), tmp_path / "run"
    manifest = write_run(root, run, folder, model="miniature")
    write_manifest(run, replace(manifest, rows="frames"))
    refused(
        DataError, r"words of utterances; the rows of table.csv are frames\. Set .* false", recipe(folder), root, run
    )
    write_manifest(run, manifest)
    other = recipe(folder_of("bert", root))
    refused(CacheError, r"bert \(sha256:\w+\), but .* made by miniature \(sha256:\w+\)\. Run", other, root, run)
    gone = recipe("miniature")
    shutil.copytree(root / "features", tmp_path / "cache" / "features")
    refused(CacheError, r"miniature \(which isn't there\), but", gone, tmp_path / "cache", run)
    brought = {**manifest.encoders, "text": {"model": "given", "revision": None, "identity": 'given:{"bert": 64}'}}
    write_manifest(run, replace(manifest, encoders=brought))
    refused(CacheError, r"were made by given .* what a table brings has no encoder", recipe(folder), root, run)


@pytest.mark.parametrize(("words", "says"), [(None, "no texts"), (["day"], "1 texts")])
def test_a_file_without_the_words_of_its_rows_is_named(
    words: list[str] | None, says: str, root: Path, tmp_path: Path
) -> None:
    folder = folder_of("miniature", root)
    manifest = write_run(tmp_path, tmp_path / "run", folder)
    path = tmp_path / manifest.folder / "dia1.h5"
    arrays: dict[str, Any] = {n: v for n, v in read_clip(path).items() if not n.startswith("words/")}
    if words:
        arrays |= {WORD_TEXT: words, "words/start_s": np.zeros(1), "words/end_s": np.ones(1)}
    write_clip(path, arrays, {"content": read_attributes(path)["content"]})
    match = rf"dia1.h5 has 6 rows, and {says} of them in /words/text.*Delete it"
    refused(CacheError, match, recipe(folder), tmp_path, tmp_path / "run")
    assert arrays[present("text")].sum() == 5


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            ("stage2.modalities=[visual, audio]",),
            "stage2: finetune_text trains the text encoder, and modalities are vis",
        ),
        (("stage1.text={model: none}",), "stage2.finetune_text trains stage1.text.model, which is none"),
        (("stage1.text={model: given}",), "stage2.finetune_text trains stage1.text.model, which is given"),
    ],
)
def test_a_recipe_without_an_encoder_to_train_is_refused(settings: tuple[str, ...], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        load_recipe("meld", ("stage2.finetune_text=true", *settings))
    assert load_recipe("meld", ("stage2.finetune_text=true",)).stage2.finetune_text
