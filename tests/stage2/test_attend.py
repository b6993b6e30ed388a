"""The command ``attend``: which clips, what it writes, what it doesn't do again, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from common.artefacts import load_trained
from common.files import sha256, write_json
from common.listening import Listening, read_listening
from common.manifest import read_manifest, write_manifest
from common.sealed import write_sealed
from stage2_beit.attend import in_words
from stage2_beit.attention import PATHS, path_name
from stage2_beit.cli import main
from stage2_beit.export import export
from stage2_beit.finetune import FineTunedModel
from stage2_beit.train import train
from stage2_beit.words import SpokenWindows, collate
from tests.integration.chain import Chain
from tests.stage2.dialogues import GUIDED, folder_of, recipe, write_run


@pytest.fixture
def exported(finished: Chain, tmp_path: Path) -> Chain:
    """The finished chain, with a run of its own."""
    shutil.copytree(finished.run, tmp_path / "run")
    return replace(finished, run=tmp_path / "run")


def attend(chain: Chain, *arguments: str) -> Result:
    places = ["--cache", str(chain.cache), "--run", str(chain.run), "--device", "cpu"]
    return CliRunner().invoke(main, ["attend", *arguments, *places])


def contents(chain: Chain) -> dict[str, str]:
    return {clip.id: clip.content for clip in read_manifest(chain.run / "fused").clips}


def written(chain: Chain) -> set[str]:
    return {path.stem for path in (chain.run / "attention").glob("*")}


def no_model_may_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("transformers.PreTrainedModel.from_pretrained", refuse)


def test_named_clips_are_written_once(exported: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = {clip["id"]: clip for clip in exported.manifest()["clips"]}
    some = [name for name in clips if name.startswith("video")]
    result = attend(exported, "video*", some[0])
    assert result.exit_code == 0, result.output
    assert written(exported) == set(some) and 0 < len(some) < len(clips)
    assert f"attention of {len(some)} of {len(some)} clips written" in result.output
    for name in some:
        found = read_listening(exported.run, name, contents(exported)[name])
        assert found is not None and found.paths == tuple(path_name(*path) for path in PATHS)
        assert found.strength.shape == (clips[name]["frames"], 6)
        assert f"{name}: {in_words(found)}" in result.output
    before = {name: sha256(exported.run / "attention" / f"{name}.npz") for name in some}
    all_of_them = attend(exported, "--all")
    assert f"attention of {len(clips) - len(some)} of {len(clips)} clips written" in all_of_them.output
    assert written(exported) == set(clips)
    no_model_may_load(monkeypatch)
    again = attend(exported, "--all")
    assert again.exit_code == 0 and "nothing to do, no model loaded" in again.output
    assert {name: sha256(exported.run / "attention" / f"{name}.npz") for name in some} == before


def test_a_clip_is_done_again_where_its_file_is_broken_or_of_other_content(exported: Chain) -> None:
    one, two, three = list(contents(exported))[:3]
    assert attend(exported, one, two, three).exit_code == 0
    folder = exported.run / "attention"
    right = {name: (folder / f"{name}.npz").read_bytes() for name in (one, two, three)}
    (folder / f"{one}.npz").write_bytes(right[one][:200])
    shutil.copy(folder / f"{three}.npz", folder / f"{two}.npz")
    result = attend(exported, one, two, three)
    assert f"{one}: computed again, as " in result.output and "attention of 2 of 3 clips written" in result.output
    assert {name: (folder / f"{name}.npz").read_bytes() for name in right} == right


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "No clip is named. Name some, or give --all. There are: {first}, {second}"),
        (("{first}", "--all"), "Clips are named, and all of them asked for as well."),
        (("{first}x",), "'{first}x' fits no clip. Did you mean {first}"),
        (("{first}", "nobody"), "'nobody' fits no clip. There are: {first}, {second}"),
    ],
)
def test_a_wrong_choice_is_wrong_usage(exported: Chain, arguments: tuple[str, ...], words: str) -> None:
    names = dict(zip(("first", "second"), contents(exported), strict=False))
    result = attend(exported, *(argument.format(**names) for argument in arguments))
    assert result.exit_code == 2 and words.format(**names) in result.output
    assert not (exported.run / "attention").exists()


def test_few_of_many_names_are_listed(exported: Chain) -> None:
    names = list(contents(exported))
    assert f"There are: {', '.join(names[:5])} and {len(names) - 5} more." in attend(exported).output


def test_a_run_that_was_not_exported_is_refused(exported: Chain) -> None:
    shutil.rmtree(exported.run / "fused")
    result = attend(exported, "--all")
    assert result.exit_code == 1
    assert "There is no" in result.output and "Run `make train-beit` with this RUN first." in result.output


def test_refined_features_of_another_fusion_or_of_other_features_are_refused(exported: Chain, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(exported.run / "fusion", other)
    record = json.loads((other / "record.json").read_text())
    write_sealed(other / "record.json", record | {"weights_sha256": "of other weights"})
    clip = next(iter(contents(exported)))
    result = attend(exported, clip, "--fusion", str(other))
    assert result.exit_code == 1
    assert f"The refined features of {clip} in " in result.output and f"aren't what {other} makes" in result.output
    manifest = read_manifest(exported.run)
    write_manifest(exported.run, replace(manifest, clips=(replace(manifest.clips[0], content="new"),)))
    result = attend(exported, clip)
    assert result.exit_code == 1 and "or export again: python -m stage2_beit export." in result.output
    assert not written(exported)


def test_the_text_guided_fusion_has_no_attention_to_show(exported: Chain, tmp_path: Path) -> None:
    guided = recipe("miniature", fusion=GUIDED, finetune=False)
    write_json(tmp_path / "guided" / "record.json", {"recipe": guided.model_dump(mode="json")})
    result = attend(exported, "--all", "--fusion", str(tmp_path / "guided"))
    assert result.exit_code == 2
    assert "is a text-guided fusion: each row asks one key alone" in result.output
    assert "stage2.fusion.kind: six-path" in result.output


def test_words_reach_the_paths_through_a_trained_text_encoder(tmp_path: Path) -> None:
    cache, run = tmp_path, tmp_path / "run"
    settings = recipe("miniature", "stage2.training={epochs: 1, loss: mse, batch_size: 4, learning_rate: 3.0e-3}")
    manifest = write_run(cache, run, folder_of("miniature", tmp_path), model="miniature")
    fusion = train(settings, cache, run, "cpu", lambda _: None)
    fused = export(fusion, cache, run, "cpu", lambda _: None)
    result = attend(Chain(tmp_path, cache, run), "dia12", "dia1")
    assert result.exit_code == 0, result.output
    assert "Note: " in result.output and "longer than" in result.output  # a text that was cut
    model = load_trained(FineTunedModel, fusion, "cpu", made_by="")
    clip = next(clip for clip in manifest.clips if clip.id == "dia1")
    data = SpokenWindows(cache, manifest, [clip], settings.stage2.window, subwords=model.subwords())
    inputs = collate([data[index] for index in range(len(data))])
    with torch.no_grad():
        maps = model(**inputs, output_attentions=True).attentions
    found = read_listening(run, "dia1", {one.id: one.content for one in fused.clips}["dia1"])
    assert found is not None and len(data) == 2
    for index, (source, target) in enumerate(PATHS):
        asking, keys = inputs[f"present_{source}"], inputs[f"present_{target}"]  # pathway: paper
        share = maps[path_name(source, target)].sum(dim=1) * keys.sum(1, keepdim=True) / asking.sum(1, keepdim=True)
        share[~keys] = torch.nan
        rows = np.full((2, clip.frames), np.nan)
        for window, place in enumerate(data.places):
            rows[window, place.start : place.start + place.frames] = share[window, : place.frames]
        there = np.isfinite(rows)
        mean = np.where(there, rows, 0).sum(axis=0) / np.where(there.any(axis=0), there.sum(axis=0), np.nan)
        np.testing.assert_allclose(found.attended[:, index], mean, atol=1e-5)


def test_in_words() -> None:
    values = np.full((4, 6), np.nan, dtype=np.float32)
    paths = tuple(path_name(*path) for path in PATHS)
    assert in_words(Listening(paths, values, values)) == "no path adds anything"
    values[:3, 1] = 0.1, 0.25, 3
    values[0, 4] = 0.5
    ends = "(median): text->visual 0.50, visual->text 0.25"
    assert in_words(Listening(paths, values, values)).endswith(ends)
