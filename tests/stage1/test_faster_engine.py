"""faster-whisper in Whisper's place: what is said without the package, and the real code on a miniature model."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from common.errors import ModelError, UsageError
from common.recipe import Speech
from stage1_embeddings.speech import recogniser as speech
from stage1_embeddings.speech.faster_engine import FasterEngine
from stage1_embeddings.speech.recogniser import Recogniser

RATE_HZ = 16_000

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("faster_whisper") is None, reason="requirements-faster-whisper.txt isn't installed"
)


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)


def write_tokenizer(folder: Path) -> None:
    """Whisper's multilingual vocabulary, without merges: enough to put tokens into words."""
    import base64

    import whisper
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from whisper.tokenizer import LANGUAGES

    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in letters]
    sign = {byte: chr(byte) for byte in letters} | {byte: chr(256 + at) for at, byte in enumerate(others)}
    ranks = (Path(whisper.__file__).parent / "assets" / "multilingual.tiktoken").read_text().split("\n")
    tokens = [base64.b64decode(line.split()[0]) for line in ranks if line]
    vocabulary = {"".join(sign[byte] for byte in token): at for at, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    tasks = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
    special = ["endoftext", "startoftranscript", *list(LANGUAGES)[:99], *tasks]
    made.add_special_tokens([f"<|{name}|>" for name in special])
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<|endoftext|>").save_pretrained(folder)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper of random weights, from transformers, as CTranslate2 converts it."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    folder = tmp_path_factory.mktemp("faster")
    source, target = folder / "transformers", folder / "miniature"
    torch.manual_seed(3)
    sizes = {
        f"{part}_{what}": count
        for part in ("encoder", "decoder")
        for what, count in [("layers", 1), ("attention_heads", 2)]
    }
    config = WhisperConfig(d_model=64, encoder_ffn_dim=64, decoder_ffn_dim=64, vocab_size=51_865, **sizes)
    model = WhisperForConditionalGeneration(config)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(source)
    write_tokenizer(source)
    converter = importlib.import_module("ctranslate2").converters.TransformersConverter
    converter(str(source), copy_files=["tokenizer.json"]).convert(str(target))
    settings = json.loads((target / "config.json").read_text())
    settings["lang_ids"] = list(range(50_259, 50_358))
    (target / "config.json").write_text(json.dumps(settings))
    return target


@needs_package
class TestMiniature:
    def test_words_lie_within_the_sound(self, converted: Path) -> None:
        engine = FasterEngine(converted)
        engine._model.max_length = 32  # of the text of a window; real ones have 448
        segments = engine.hear(noise(2.0), "en")
        words = [word for segment in segments for word in segment.words]
        assert words, "a model of random weights is expected to babble"
        assert all(0 <= word.start_s <= word.end_s <= 2.0 and 0 <= word.probability <= 1 for word in words)
        assert all(segment.avg_logprob <= 0 <= segment.no_speech_prob <= 1 for segment in segments)
        assert engine.hear(noise(2.0), "en") == segments, "the same sound gives the same words"

    def test_in_a_recogniser(self, converted: Path) -> None:
        settings = Speech(recogniser="faster-whisper", model=str(converted), vad_threshold=1e-6)
        made = speech.recogniser(settings, "cpu")
        assert made is not None and isinstance(made.engine, FasterEngine)
        made.engine._model.max_length = 32
        heard = made(noise(0.5), start_s=3.0)
        assert heard.source == "faster-whisper miniature"
        assert heard.language is not None and len(heard.language) in (2, 3)
        assert all(3.0 <= word.start_s <= word.end_s <= 3.5 for segment in heard.segments for word in segment.words)

    def test_unknown_language(self, converted: Path) -> None:
        with pytest.raises(UsageError, match="doesn't know the language 'klingon'"):
            Recogniser(FasterEngine(converted), language="klingon")

    def test_unknown_name(self) -> None:
        with pytest.raises(
            ModelError, match=r"smol is neither a folder nor a model of faster-whisper. Give one of .*tiny"
        ):
            FasterEngine("smol")

    def test_not_a_converted_model(self, converted: Path, tmp_path: Path) -> None:
        with pytest.raises(
            ModelError, match=r"gone is no folder of a converted .* lacks model\.bin, config\.json, tok"
        ):
            FasterEngine(tmp_path / "gone")
        for path in converted.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes()[:100])
        with pytest.raises(ModelError, match=r"can't be fetched or loaded: .*speech\.model to its folder"):
            FasterEngine(str(tmp_path))


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ModelError, match=r"isn't installed .* pip install faster-whisper==1\.2\.1"):
        speech.recogniser(Speech(recogniser="faster-whisper", model="small"), "cpu")


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2

    def unreachable(*args: object, **kwargs: object) -> None:
        raise httpx2.ConnectError("[Errno -2] Name or service not known")

    package = ModuleType("faster_whisper")
    package.available_models = lambda: ["tiny", "small"]  # type: ignore[attr-defined]
    package.WhisperModel = unreachable  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", package)
    with pytest.raises(ModelError, match=r"model small can't be fetched or loaded: .*Name or service not known"):
        FasterEngine("small")


def test_pinned_version_is_the_one_of_the_cure() -> None:
    pins = (Path(__file__).parents[2] / "requirements-faster-whisper.txt").read_text()
    assert "\nfaster-whisper==1.2.1 " in pins
