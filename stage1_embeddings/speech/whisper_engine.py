"""openai-whisper as an engine of speech recognition."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import numpy.typing as npt

from common.device import torch_device
from common.errors import ModelError, UsageError
from common.reasons import headline_of
from common.timeline import AUDIO_RATE_HZ
from stage1_embeddings.speech.heard import Heard, HeardWord

#: Whisper's own: sample at the next temperature where a window comes out repetitive or improbable.
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

#: Temperatures above 0 draw random numbers; the same sound shall give the same words.
SEED = 0


class WhisperEngine:
    """A Whisper model, loaded once.

    Parameters
    ----------
    model : str or Path
        A name that Whisper knows, such as ``small`` (fetched once into ``~/.cache/whisper``, checked by its sha256),
        or a checkpoint file in Whisper's form.
    device : str
        As `common.device.torch_device` takes it; half precision on ``cuda``. In place of ``mps`` it takes the CPU:
        Whisper's word times need float64.
    temperatures : sequence of float
        Tried in this order, each in [0, 1].

    Raises
    ------
    ModelError
        If the model isn't known, can't be fetched, or isn't a Whisper checkpoint.
    UsageError
        If the device isn't there.
    """

    def __init__(self, model: str | Path, *, device: str = "cpu", temperatures: Sequence[float] = TEMPERATURES) -> None:
        self.name = Path(model).stem if _is_file(model) else str(model)
        self._temperatures = tuple(temperatures)
        _leave_torch_its_threads()
        place = torch_device(device)
        self._half = place.type == "cuda"
        self._model = _loaded(model, "cpu" if place.type == "mps" else place)

    @property
    def source(self) -> str:
        """``whisper`` and the model's name."""
        return f"whisper {self.name}"

    def language_code(self, language: str | None) -> str | None:
        """See `heard.Engine`."""
        return known_language(language, self.name, multilingual=self._model.is_multilingual)

    def tell_language(self, samples: npt.NDArray[np.float32]) -> str:
        """See `heard.Engine`."""
        import torch
        from whisper.audio import log_mel_spectrogram, pad_or_trim

        if not self._model.is_multilingual:
            return "en"
        mel = log_mel_spectrogram(pad_or_trim(samples), self._model.dims.n_mels).to(self._model.device)
        _, probabilities = self._model.detect_language(mel.to(torch.float16 if self._half else torch.float32))
        return str(max(probabilities, key=probabilities.get))

    def hear(self, samples: npt.NDArray[np.float32], language: str) -> list[Heard]:
        """See `heard.Engine`."""
        import torch
        import whisper

        length_s = len(samples) / AUDIO_RATE_HZ
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            heard = whisper.transcribe(
                self._model,
                np.ascontiguousarray(samples, dtype=np.float32),
                verbose=None,
                temperature=self._temperatures,
                word_timestamps=True,
                condition_on_previous_text=False,
                language=language,
                fp16=self._half,
            )
        return [
            Heard(
                tuple(
                    heard_word(word["word"], word["start"], word["end"], word["probability"], length_s)
                    for word in segment["words"]
                ),
                float(segment["avg_logprob"]),
                float(segment["no_speech_prob"]),
            )
            for segment in heard["segments"]
        ]


def heard_word(text: str, start_s: float, end_s: float, probability: float, length_s: float) -> HeardWord:
    """A word with its times kept within the sound (they come in steps of 20 ms, over padded windows)."""
    first_s = min(max(float(start_s), 0.0), length_s)
    last_s = min(max(float(end_s), first_s), length_s)
    return HeardWord(" ".join(text.replace("\0", "").split()), first_s, last_s, float(probability))


def known_language(language: str | None, name: str, *, multilingual: bool) -> str | None:
    """The code of a language by code or name; UsageError where Whisper, or the model, doesn't know it."""
    from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

    if language is None:
        return None
    code: str = TO_LANGUAGE_CODE.get(language.lower(), language.lower())
    if code not in LANGUAGES:
        raise UsageError(f"Whisper doesn't know the language {language!r}.", f"Give one of {', '.join(LANGUAGES)}.")
    if not multilingual and code != "en":
        raise UsageError(
            f"The Whisper model {name} knows English only, but speech.language is {language!r}.",
            f"Choose a model for all languages, such as {name.removesuffix('.en')}.",
        )
    return code


def _leave_torch_its_threads() -> None:
    """Keep numba, which aligns Whisper's words, off OpenMP.

    There it sets the number of threads of the whole process, torch's included, to that of the CPUs: on a busy
    machine of two cores a window then takes 8 s in place of 0.3.
    """
    import numba

    settings: Any = numba.config
    if settings.THREADING_LAYER == "default":
        settings.THREADING_LAYER = "workqueue"


def _is_file(model: str | Path) -> bool:
    import whisper

    if isinstance(model, Path):
        return True
    return model not in whisper.available_models() and (model.endswith(".pt") or Path(model).is_file())


def _loaded(model: str | Path, device: Any) -> Any:
    import whisper

    known = whisper.available_models()
    if not _is_file(model):
        if str(model) not in known:
            raise ModelError(
                f"{model} is neither a checkpoint file nor a Whisper model.", f"Give one of {', '.join(known)}."
            )
        try:
            return whisper.load_model(str(model), device=device)
        except (OSError, RuntimeError) as error:
            raise ModelError(
                f"The Whisper model {model} can't be fetched or loaded: {error}.",
                "Fetch it where there is a network, and copy its .pt file into ~/.cache/whisper or set speech.model to "
                "its path; or put transcripts beside the videos; or set speech.recogniser: none.",
            ) from None
    path = Path(model)
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file.", f"Check the path, or give one of {', '.join(known)}.")
    try:
        loaded = whisper.load_model(str(path), device=device)
    except (
        UnpicklingError,
        OSError,
        RuntimeError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise ModelError(
            f"{path} can't be loaded as a Whisper checkpoint: {headline_of(error)}.",
            "It has to hold 'dims' and 'model_state_dict', as openai-whisper saves them.",
        ) from None
    _set_alignment_heads(loaded, path.stem)
    return loaded


def _set_alignment_heads(model: Any, name: str) -> None:
    """Give a published model that was loaded from a file the attention heads its word times are read from.

    Whisper does so only for models loaded by name; otherwise it takes all heads of the upper half.
    """
    import whisper

    heads = getattr(whisper, "_ALIGNMENT_HEADS", {}).get(name)
    if heads and len(gzip.decompress(base64.b85decode(heads))) == model.dims.n_text_layer * model.dims.n_text_head:
        model.set_alignment_heads(heads)
