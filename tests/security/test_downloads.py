"""What is fetched, or lies where it was fetched to, is checked before it is used; YuNet's tests are its own."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path

import pytest
import torch

from common.errors import ModelError
from stage1_embeddings.speech.whisper_engine import WhisperEngine
from tests.security.test_no_code_from_files import Payload


class Answer(io.BytesIO):
    """A server that gives something else."""

    def info(self) -> dict[str, str]:
        return {"Content-Length": str(len(self.getvalue()))}


def test_whisper_s_models_are_their_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = tmp_path / "whisper" / "tiny.pt"
    kept.parent.mkdir()
    torch.save(Payload(tmp_path / "run"), kept)
    evil = kept.read_bytes()
    asked: list[str] = []

    def answer(url: str, *_: object, **__: object) -> Answer:
        asked.append(url)
        return Answer(evil)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    with (
        pytest.warns(UserWarning, match="SHA256 checksum does not match"),
        pytest.raises(ModelError, match="Whisper model tiny can't be fetched or loaded.*SHA256"),
    ):
        WhisperEngine("tiny")
    assert len(asked) == 1, "the file that lay there was taken"
    assert not (tmp_path / "run").exists()
