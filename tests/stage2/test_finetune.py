"""The text encoder before the fusion: it starts where the frozen one is, and what isn't said changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from common.errors import ModelError
from common.manifest import read_manifest
from common.models import in_folder
from common.recipe import TextEncoder as Settings
from common.schema import WORD_TEXT
from common.store import read_clip
from stage1_embeddings.encoders.text import TextEncoder
from stage2_beit.build import build_model
from stage2_beit.finetune import load_trainable
from stage2_beit.words import SpokenWindows, Subwords, collate, initial_encoder
from tests.stage2.dialogues import FUSION, GUIDED, LONG, NAMES, folder_of, recipe, write_run

ODD = ["We're happy!", "day", "<s> [SEP] </s> zebras", "\u200b", "half a \ud800 pair", LONG]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finetune")


def untrained(root: Path, name: str = "miniature", fusion: str = FUSION) -> tuple[Any, Any, SpokenWindows]:
    """The fusion alone, the same one behind its text encoder, and windows over all dialogues, the long one too."""
    folder = folder_of(name, root)
    manifest = write_run(root, root / "runs" / name, folder)
    settings = recipe(folder, fusion=fusion)
    text = load_trainable(initial_encoder(settings.stage1.text, manifest, root))
    window, counts = settings.stage2.window, np.zeros(0, dtype=np.int64)
    data = SpokenWindows(root, manifest, manifest.clips, window, subwords=text.subwords)
    models = []
    for encoder in (None, text):
        transformers.set_seed(0)
        models.append(build_model(settings.stage2, manifest, data, counts, encoder).eval())
    return *models, data


def without_words(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name not in ("input_ids", "attention_mask")}


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_what_the_frozen_encoder_reads(name: str, root: Path) -> None:
    folder = folder_of(name, root)
    subwords = load_trainable(initial_encoder(Settings(model=str(folder)), write_run(root, root / "r", folder), root))
    pack = TextEncoder(folder, Settings(model=str(folder)), "cpu").pack
    found = subwords.subwords(ODD)
    for ids, block in zip(found[:-1], pack.apart(ODD[:-1]), strict=True):
        assert ids.tolist() == pack.before + block.ids + pack.after
    most = subwords.subwords.most
    assert most == min(128, pack.room + len(pack.before) + len(pack.after)) and len(found[-1]) == most
    first = pack.apart([LONG])[0].ids[: most - len(pack.before) - len(pack.after)]
    assert found[-1].tolist() == pack.before + first + pack.after
    assert subwords.subwords.remarks() == [
        f"1 of 6 texts are longer than {most} tokens: the encoder reads their beginnings."
    ]


@pytest.mark.parametrize("fusion", [FUSION, GUIDED], ids=["six-path", "text-guided"])
@pytest.mark.parametrize("name", NAMES)
def test_before_the_first_step_it_predicts_as_on_frozen_features(name: str, fusion: str, root: Path) -> None:
    plain, tuned, data = untrained(root, name, fusion)
    short = [index for index in range(len(data)) if data.clips[data.places[index].clip].id != "dia12"]
    batch = collate([data[index] for index in short])
    with torch.no_grad():
        cached = plain(**without_words(batch))
        own = tuned(**batch)
        torch.testing.assert_close(own.prediction, cached.prediction, atol=1e-2, rtol=0)  # the cache is of float16
        torch.testing.assert_close(own.loss, cached.loss, atol=1e-2, rtol=0)
        batch["text"] = torch.zeros_like(batch["text"])
        batch["text"][batch["present_text"]] = exact(folder_of(name, root), data, short)
        frozen = plain(**without_words(batch))
    torch.testing.assert_close(own.prediction, frozen.prediction, atol=2e-5, rtol=0)
    torch.testing.assert_close(own.refined, frozen.refined, atol=2e-5, rtol=1e-5)


def exact(folder: Path, data: SpokenWindows, windows: list[int]) -> torch.Tensor:
    """(N, D) float32 features of all texts in these windows, past the cache."""
    texts = []
    for place in (data.places[index] for index in windows):
        rows = range(place.start, place.start + place.frames)
        words = read_clip(data.arrays[place.clip].path, (WORD_TEXT,))[WORD_TEXT]
        texts += [str(words[row]) for row in rows if words[row]]
    return torch.from_numpy(TextEncoder(folder, Settings(model=str(folder)), "cpu").whole(texts))


def test_nothing_depends_on_words_that_are_absent_or_padding(root: Path) -> None:
    _, tuned, data = untrained(root)
    batch = collate([data[index] for index in range(4)])
    there = batch["attention_mask"].bool()
    assert (there.any(-1) == batch["present_text"]).all() and not there.all() and not batch["present_text"].all()
    with torch.no_grad():
        before = tuned(**batch).prediction
        batch["input_ids"] = torch.where(there, batch["input_ids"], 9)
        batch["text"] = torch.full_like(batch["text"], torch.nan)
        batch["attention_mask"][~batch["present_text"]] = 1
        after = tuned(**batch).prediction
    mask = batch["frame_mask"]
    assert torch.equal(before[mask], after[mask])


def test_without_text_nothing_is_encoded(root: Path) -> None:
    _, tuned, data = untrained(root)
    silent = SpokenWindows(
        root,
        read_manifest(root / "runs" / "miniature"),
        data.clips,
        data.window,
        subwords=tuned.subwords(),
        modalities=["audio"],
    )
    batch = collate([silent[index] for index in range(4)])
    assert batch["input_ids"].shape == (4, 4, 0)

    def refuse(*_: Any) -> None:
        raise AssertionError("the encoder was called")

    tuned.encoder.register_forward_pre_hook(refuse)
    with torch.no_grad():
        assert torch.isfinite(tuned(**batch).prediction).all()
        with pytest.raises(AssertionError, match="was called"):
            tuned(**collate([data[0]]))


def test_a_batch_is_as_wide_as_its_longest_text(root: Path) -> None:
    _, tuned, data = untrained(root)
    items = [data[index] for index in range(len(data))]
    widths = [item["input_ids"].shape[1] for item in items]
    assert min(widths) < 15 and max(widths) == tuned.config.most_tokens == 126
    assert collate(items[:2])["input_ids"].shape[-1] == max(widths[:2])
    with torch.no_grad():
        assert torch.isfinite(tuned(**collate(items)).loss)


def test_gradients_reach_the_encoder_and_checkpointing_leaves_them_alone(root: Path) -> None:
    def step(model: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        torch.manual_seed(3)
        model.train()
        loss = model(**batch).loss
        loss.backward()
        return loss, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    _, one, data = untrained(root)
    _, other, _ = untrained(root)
    batch = collate([data[index] for index in range(6)])
    loss, gradients = step(one)
    other.activation_checkpointing_enable()
    parts = (other.encoder, other.fusion)
    assert all(part.is_activation_checkpointing for part in parts)
    calls = []
    other.encoder.encoder.layer[0].attention.register_forward_pre_hook(lambda *_: calls.append(1))
    again, others = step(other)
    assert len(calls) == 2 and torch.equal(loss, again) and gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, others[name], atol=1e-6, rtol=0)
    reached = [name for name in gradients if name.startswith("encoder.")]
    assert len(reached) == sum(1 for _ in one.encoder.parameters()), "a weight of the encoder has no gradient"


def test_mixed_precision_stays_near(root: Path) -> None:
    _, tuned, data = untrained(root)
    batch = collate([data[index] for index in range(6)])
    with torch.no_grad():
        whole = tuned(**batch).loss
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = tuned(**batch).loss
    assert torch.isfinite(half) and abs(float(whole - half)) < 0.05


def test_a_checkpoint_of_half_precision_is_trained_in_float32(root: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("bert", root), tmp_path / "half")
    transformers.AutoModel.from_pretrained(folder).to(torch.float16).save_pretrained(folder)
    text = load_trainable(initial_encoder(Settings(model=str(folder)), write_run(tmp_path, tmp_path, folder), tmp_path))
    assert {p.dtype for p in text.network.parameters()} == {torch.float32} and text.config["dtype"] == "float32"


def test_evaluation_collects_predictions_alone(root: Path, tmp_path: Path) -> None:
    _, tuned, data = untrained(root)
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        label_names=["labels"],
        remove_unused_columns=False,
    )
    trainer = transformers.Trainer(model=tuned, args=arguments, data_collator=collate)
    found = trainer.predict(data).predictions
    assert isinstance(found, np.ndarray) and found.shape == (len(data), 4, 2)


def test_positions_bound_a_text_where_the_tokenizer_knows_no_bound(root: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("miniature", root), tmp_path / "unbounded")
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    del tokenizer["model_max_length"]
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    text = load_trainable(in_folder("unbounded", folder))
    assert text.subwords.most == 126 and len(text.subwords([LONG])[0]) == 126, "of 128 positions RoBERTa skips two"
    text.network(input_ids=torch.from_numpy(text.subwords([LONG])[0])[None])


def test_a_limit_without_room_for_a_word_is_refused(root: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder_of("bert", root))
    with pytest.raises(ModelError, match=r"reads 2 tokens at once, no more than its special ones\. Give another"):
        Subwords(tokenizer, 2)
