"""Speech recognition: the real Whisper code on a miniature model, and what is said when there is no model."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from media_files import SHARED
from whisper.model import ModelDimensions, Whisper

from common.errors import ModelError, UsageError
from stage1_embeddings.decode import audio
from stage1_embeddings.speech import Recogniser, recognise

RATE_HZ = 16_000


def write_checkpoint(path: Path, *, vocabulary: int = 51_865, layers: int = 1) -> Path:
    torch.manual_seed(3)
    dims = ModelDimensions(
        n_mels=80,
        n_audio_ctx=1500,
        n_audio_state=64,
        n_audio_head=2,
        n_audio_layer=1,
        n_vocab=vocabulary,
        n_text_ctx=32,  # half of it is the longest text per window; real models have 448
        n_text_state=64,
        n_text_head=2,
        n_text_layer=layers,
    )
    model = Whisper(dims)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    torch.save({"dims": vars(dims), "model_state_dict": model.state_dict()}, path)
    return path


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """So small a model loses time with more, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("whisper") / "miniature.pt")


@pytest.fixture(scope="module")
def recogniser(checkpoint: Path) -> Recogniser:
    return Recogniser(checkpoint, language="en", temperatures=[1.0])


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)


def test_words_lie_within_the_sound(recogniser: Recogniser, capsys: pytest.CaptureFixture[str]) -> None:
    start_s = 2.43
    heard = recogniser(noise(2.0), start_s=start_s)
    words = [word for segment in heard.segments for word in segment.words]
    assert words, "a model of random weights is expected to babble"
    for word in words:
        assert start_s <= word.start_s <= word.end_s <= start_s + 2.0
        assert word.text and not any(sign.isspace() for sign in word.text)
    starts = [segment.words[0].start_s for segment in heard.segments]
    assert starts == sorted(starts)
    assert (heard.source, heard.language) == ("whisper miniature", "en")
    assert capsys.readouterr().out == ""
    assert torch.get_num_threads() == 1, "torch's threads were taken over"


def test_the_same_sound_gives_the_same_words(recogniser: Recogniser) -> None:
    torch.manual_seed(1)
    first = recogniser(noise(0.5))
    torch.manual_seed(2)
    drawn = torch.rand(1)
    torch.manual_seed(2)
    assert recogniser(noise(0.5)) == first
    assert torch.rand(1) == drawn, "the caller's random numbers were used up"


def test_no_sound(recogniser: Recogniser) -> None:
    assert recogniser(np.zeros(0, np.float32)).segments == ()


def test_language_is_told_by_the_model(checkpoint: Path) -> None:
    heard = Recogniser(checkpoint, temperatures=[1.0])(noise(0.5))
    assert heard.language is not None and len(heard.language) in (2, 3)


def test_once(checkpoint: Path) -> None:
    heard = recognise(noise(0.5), model=checkpoint, language="English", device="cpu", start_s=7.0, temperatures=[1.0])
    assert heard.language == "en"
    assert all(7.0 <= word.start_s <= 7.5 for segment in heard.segments for word in segment.words)


def test_published_heads_are_used_where_they_fit(tmp_path: Path) -> None:
    # tiny has 4 layers of 6 heads; a file of that name with other sizes keeps Whisper's default.
    odd = Recogniser(write_checkpoint(tmp_path / "tiny.pt"), temperatures=[1.0])
    assert odd._model.alignment_heads.shape == (1, 2)
    fitting = Recogniser(write_checkpoint(tmp_path / "tiny.pt", layers=12), temperatures=[1.0])
    assert fitting._model.alignment_heads.shape == (12, 2)
    assert fitting._model.alignment_heads.to_dense().sum() == 6


class TestFaults:
    def offline(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def unreachable(*args: object, **kwargs: object) -> None:
            raise URLError("[Errno -2] Name or service not known")

        monkeypatch.setattr(urllib.request, "urlopen", unreachable)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def test_no_network(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.offline(monkeypatch, tmp_path)
        with pytest.raises(
            ModelError, match=r"model tiny can't be fetched.*Name or service.*speech\.model.*recogniser"
        ):
            Recogniser("tiny")

    def test_unknown_name(self) -> None:
        with pytest.raises(ModelError, match=r"smol is neither a checkpoint file nor .* Give one of tiny\.en, tiny,"):
            Recogniser("smol")

    def test_no_such_file(self, tmp_path: Path) -> None:
        for model in (tmp_path / "gone.pt", str(tmp_path / "gone.pt")):
            with pytest.raises(ModelError, match=r"gone\.pt: there is no such file"):
                Recogniser(model)

    @pytest.mark.parametrize(
        "write",
        [
            lambda path: path.write_bytes(b"no checkpoint"),
            lambda path: path.write_bytes(b""),
            lambda path: torch.save({"weights": torch.zeros(2)}, path),
            lambda path: torch.save([1, 2], path),
            lambda path: torch.save({"dims": {"n_mels": 80}, "model_state_dict": {}}, path),
            lambda path: path.write_bytes(write_checkpoint(path).read_bytes()[:9000]),
        ],
        ids=["text", "empty", "other", "list", "dims", "cut"],
    )
    def test_not_a_checkpoint(self, tmp_path: Path, write: Callable[[Path], object]) -> None:
        path = tmp_path / "odd.pt"
        write(path)
        with pytest.raises(ModelError, match=r"odd\.pt can't be loaded as a Whisper checkpoint: \S+.*'dims'"):
            Recogniser(path)

    def test_code_in_a_checkpoint_is_not_run(self, tmp_path: Path) -> None:
        class Hostile:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return (Path.touch, (str(tmp_path / "ran"),))

        torch.save({"dims": Hostile(), "model_state_dict": {}}, tmp_path / "hostile.pt")
        with pytest.raises(ModelError, match=r"hostile\.pt can't be loaded"):
            Recogniser(tmp_path / "hostile.pt")
        assert not (tmp_path / "ran").exists()

    def test_unknown_language(self, checkpoint: Path) -> None:
        with pytest.raises(UsageError, match=r"doesn't know the language 'klingon'.*en, zh"):
            Recogniser(checkpoint, language="klingon")

    def test_english_only(self, tmp_path: Path) -> None:
        path = write_checkpoint(tmp_path / "mini.en.pt", vocabulary=51_864)
        with pytest.raises(UsageError, match=r"mini\.en knows English only, but speech\.language is 'de'"):
            Recogniser(path, language="de")
        assert Recogniser(path, language="english").name == "mini.en"

    def test_device(self, checkpoint: Path) -> None:
        with pytest.raises(UsageError, match="isn't available"):
            Recogniser(checkpoint, device="abacus")


@pytest.mark.shared_data
def test_real_speech_goes_through(recogniser: Recogniser) -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent")
    sound = audio(SHARED / "audio" / "jfk.flac")
    assert sound is not None and len(sound.samples) == 11 * RATE_HZ
    heard = recogniser(sound.samples[: 3 * RATE_HZ], start_s=sound.start_s)
    words = [word for segment in heard.segments for word in segment.words]
    assert words and max(word.end_s for word in words) <= 3
