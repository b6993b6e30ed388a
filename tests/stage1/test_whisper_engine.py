"""Whisper checkpoints: what is loaded, and what is said when there is no model."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from miniature_whisper import write_checkpoint

from common.errors import ModelError, UsageError
from stage1_embeddings.speech.recogniser import Recogniser
from stage1_embeddings.speech.whisper_engine import WhisperEngine


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("whisper") / "miniature.pt")


def whisper_on(model: Path, *, language: str) -> Recogniser:
    return Recogniser(WhisperEngine(model), language=language)


def test_published_heads_are_used_where_they_fit(tmp_path: Path) -> None:
    # tiny has 4 layers of 6 heads; a file of that name with other sizes keeps Whisper's default.
    odd = WhisperEngine(write_checkpoint(tmp_path / "tiny.pt"))
    assert odd._model.alignment_heads.shape == (1, 2)
    fitting = WhisperEngine(write_checkpoint(tmp_path / "tiny.pt", layers=12))
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
            WhisperEngine("tiny")

    def test_unknown_name(self) -> None:
        with pytest.raises(ModelError, match=r"smol is neither a checkpoint file nor .* Give one of tiny\.en, tiny,"):
            WhisperEngine("smol")

    def test_no_such_file(self, tmp_path: Path) -> None:
        for model in (tmp_path / "gone.pt", str(tmp_path / "gone.pt")):
            with pytest.raises(ModelError, match=r"gone\.pt: there is no such file"):
                WhisperEngine(model)

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
            WhisperEngine(path)

    def test_code_in_a_checkpoint_is_not_run(self, tmp_path: Path) -> None:
        class Hostile:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return (Path.touch, (str(tmp_path / "ran"),))

        torch.save({"dims": Hostile(), "model_state_dict": {}}, tmp_path / "hostile.pt")
        with pytest.raises(ModelError, match=r"hostile\.pt can't be loaded"):
            WhisperEngine(tmp_path / "hostile.pt")
        assert not (tmp_path / "ran").exists()

    def test_unknown_language(self, checkpoint: Path) -> None:
        with pytest.raises(UsageError, match=r"doesn't know the language 'klingon'.*en, zh"):
            whisper_on(checkpoint, language="klingon")

    def test_english_only(self, tmp_path: Path) -> None:
        path = write_checkpoint(tmp_path / "mini.en.pt", vocabulary=51_864)
        with pytest.raises(UsageError, match=r"mini\.en knows English only, but speech\.language is 'de'"):
            whisper_on(path, language="de")
        english = whisper_on(path, language="english")
        assert (english.engine.source, english.language) == ("whisper mini.en", "en")
        assert english.engine.tell_language(np.zeros(8000, np.float32)) == "en"

    def test_device(self, checkpoint: Path) -> None:
        with pytest.raises(UsageError, match="isn't available"):
            WhisperEngine(checkpoint, device="abacus")
