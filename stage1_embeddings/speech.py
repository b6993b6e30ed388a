"""Words and their times by speech recognition, for videos without a transcript (openai-whisper)."""

from __future__ import annotations

import base64
import gzip
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.device import torch_device
from common.errors import ModelError, UsageError
from common.timeline import AUDIO_RATE_HZ
from stage1_embeddings.transcript import Transcript, Word, spread, transcript

#: Whisper's own: sample at the next temperature where a window comes out repetitive or improbable.
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

#: Temperatures above 0 draw random numbers; the same sound shall give the same words.
_SEED = 0


class Recogniser:
    """A Whisper model, loaded once.

    Parameters
    ----------
    model : str or Path
        A name that Whisper knows, such as ``small`` (fetched once into ``~/.cache/whisper``, checked by its sha256),
        or a checkpoint file in Whisper's form.
    language : str or None
        A code or name, such as ``en`` or ``english``; None lets the model tell from the first 30 s.
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
        If Whisper doesn't know the language, or the device isn't there.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        language: str | None = None,
        device: str = "cpu",
        temperatures: Sequence[float] = TEMPERATURES,
    ) -> None:
        self.name = Path(model).stem if _is_file(model) else str(model)
        self._language = _language_code(language)
        self._temperatures = tuple(temperatures)
        _leave_torch_its_threads()
        place = torch_device(device)
        self._half = place.type == "cuda"
        self._model = _loaded(model, "cpu" if place.type == "mps" else place)
        if not self._model.is_multilingual and self._language not in (None, "en"):
            raise UsageError(
                f"The Whisper model {self.name} knows English only, but speech.language is {language!r}.",
                f"Choose a model for all languages, such as {self.name.removesuffix('.en')}.",
            )

    def __call__(self, samples: npt.NDArray[np.float32], *, start_s: float = 0.0) -> Transcript:
        """Transcribe.

        Parameters
        ----------
        samples : (N,) float32, mono, 16 kHz, in [-1, 1]
        start_s : float
            Presentation time of the first sample, added to every word.

        Returns
        -------
        Transcript
            Word times lie within the sound; segments as Whisper cuts them.
        """
        import torch
        import whisper

        length_s = len(samples) / AUDIO_RATE_HZ
        if not len(samples):
            return Transcript((), f"whisper {self.name}", self._language)
        with torch.random.fork_rng():
            torch.manual_seed(_SEED)
            heard = whisper.transcribe(
                self._model,
                np.asarray(samples, dtype=np.float32),
                verbose=None,
                temperature=self._temperatures,
                word_timestamps=True,
                language=self._language,
                fp16=self._half,
            )
        segments = [
            [word for timed in segment["words"] for word in _words(timed, start_s, length_s)]
            for segment in heard["segments"]
        ]
        return transcript(segments, source=f"whisper {self.name}", language=heard["language"])


def recognise(
    samples: npt.NDArray[np.float32],
    *,
    model: str | Path,
    language: str | None,
    device: str,
    start_s: float = 0.0,
    temperatures: Sequence[float] = TEMPERATURES,
) -> Transcript:
    """Load a `Recogniser`, use it once."""
    return Recogniser(model, language=language, device=device, temperatures=temperatures)(samples, start_s=start_s)


def _words(timed: dict[str, Any], start_s: float, length_s: float) -> list[Word]:
    """Whisper's word, with its times kept within the sound (they come in steps of 20 ms, over padded windows)."""
    first_s = min(max(float(timed["start"]), 0.0), length_s)
    last_s = min(max(float(timed["end"]), first_s), length_s)
    return spread(timed["word"].replace("\0", ""), start_s + first_s, start_s + last_s)


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


def _language_code(language: str | None) -> str | None:
    from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

    if language is None:
        return None
    code: str = TO_LANGUAGE_CODE.get(language.lower(), language.lower())
    if code not in LANGUAGES:
        raise UsageError(f"Whisper doesn't know the language {language!r}.", f"Give one of {', '.join(LANGUAGES)}.")
    return code


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
        pickle.UnpicklingError,
        OSError,
        RuntimeError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{path} can't be loaded as a Whisper checkpoint: {reason}.",
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
