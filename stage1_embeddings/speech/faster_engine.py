"""faster-whisper (CTranslate2) as an engine of speech recognition: the same models, several times as fast."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.device import torch_device
from common.errors import ModelError
from common.reasons import headline_of
from common.timeline import AUDIO_RATE_HZ
from stage1_embeddings.speech.heard import Heard
from stage1_embeddings.speech.whisper_engine import heard_word, known_language

#: Its own default. It doesn't sample where a window comes out badly, as Whisper does: CTranslate2 can't be seeded
#: again, so that the words of a sound would depend on the sounds before it.
BEAMS = 5

#: What a converted model consists of; without its tokenizer the package would ask the network.
_FILES = ("model.bin", "config.json", "tokenizer.json")


class FasterEngine:
    """A Whisper model in CTranslate2's form, loaded once; takes the place of `whisper_engine.WhisperEngine`.

    Parameters
    ----------
    model : str or Path
        A name that faster-whisper knows, such as ``small``, or a hub id (fetched once from the Hugging Face hub), or
        a folder that holds a converted model.
    device : str
        As `common.device.torch_device` takes it; half precision on ``cuda``, the CPU in place of ``mps``.

    Raises
    ------
    ModelError
        If the package isn't installed, or the model isn't known, can't be fetched, or isn't a converted one.
    UsageError
        If the device isn't there.
    """

    def __init__(self, model: str | Path, *, device: str = "cpu") -> None:
        package = _package()
        self.name = Path(model).name
        self._model = _loaded(package, model, torch_device(device))

    @property
    def source(self) -> str:
        """``faster-whisper`` and the model's name."""
        return f"faster-whisper {self.name}"

    def language_code(self, language: str | None) -> str | None:
        """See `heard.Engine`."""
        return known_language(language, self.name, multilingual=self._model.model.is_multilingual)

    def tell_language(self, samples: npt.NDArray[np.float32]) -> str:
        """See `heard.Engine`."""
        if not self._model.model.is_multilingual:
            return "en"
        return str(self._model.detect_language(samples)[0])

    def hear(self, samples: npt.NDArray[np.float32], language: str) -> list[Heard]:
        """See `heard.Engine`."""
        length_s = len(samples) / AUDIO_RATE_HZ
        segments, _ = self._model.transcribe(
            np.ascontiguousarray(samples, dtype=np.float32),
            language=language,
            beam_size=BEAMS,
            temperature=0.0,
            word_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        return [
            Heard(
                tuple(
                    heard_word(word.word, word.start, word.end, word.probability, length_s)
                    for word in segment.words or ()
                ),
                float(segment.avg_logprob),
                float(segment.no_speech_prob),
            )
            for segment in segments
        ]


def _package() -> Any:
    try:
        return importlib.import_module("faster_whisper")
    except ImportError as error:
        raise ModelError(
            f"speech.recogniser is faster-whisper, which isn't installed or can't be imported: {error}.",
            "pip install faster-whisper==1.2.1 (requirements-faster-whisper.txt), or set speech.recogniser: whisper.",
        ) from None


def _loaded(package: Any, model: str | Path, place: Any) -> Any:
    import httpx2  # what huggingface_hub speaks through; its errors come up unwrapped

    cuda = place.type == "cuda"
    path = Path(model).expanduser()
    local = isinstance(model, Path) or path.exists() or model.startswith((".", "/", "~"))
    if local:
        lacking = [name for name in _FILES if not (path / name).is_file()]
        if lacking:
            raise ModelError(
                f"{path} is no folder of a converted Whisper model: it lacks {', '.join(lacking)}.",
                "Convert one with ct2-transformers-converter --copy_files tokenizer.json preprocessor_config.json.",
            )
    elif "/" not in str(model) and str(model) not in package.available_models():
        known = ", ".join(package.available_models())
        raise ModelError(
            f"{model} is neither a folder nor a model of faster-whisper.", f"Give one of {known}, or a hub id."
        )
    try:
        return package.WhisperModel(
            str(path) if local else str(model),
            device="cuda" if cuda else "cpu",
            device_index=place.index or 0,
            compute_type="float16" if cuda else "float32",
        )
    except (OSError, RuntimeError, ValueError, httpx2.HTTPError) as error:
        raise ModelError(
            f"The faster-whisper model {model} can't be fetched or loaded: {headline_of(error)}.",
            "Fetch it where there is a network and set speech.model to its folder; or put transcripts beside the "
            "videos; or set speech.recogniser: none.",
        ) from None
