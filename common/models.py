"""Pretrained models: from a recipe's ``model`` and ``revision`` to an identity, a folder, a loaded network.

A model is a local folder, or a hub id at a pinned commit. Its identity goes into the fingerprint of what it shapes:
the commit for the hub, the SHA-256 of configuration and weights for a folder. Weights are safetensors only; code that
comes with a model is never run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ModelError, UsageError
from common.files import sha256
from common.reasons import reason_of

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT_S = 20.0
_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt")


@dataclass(frozen=True)
class Pretrained:
    """A model that is known but not loaded. ``folder`` is None until a hub model has been fetched."""

    model: str
    revision: str | None
    folder: Path | None
    identity: str

    def describe(self) -> dict[str, Any]:
        """For manifests and reports."""
        return {"model": self.model, "revision": self.revision, "identity": self.identity}


def find(model: str, revision: str | None, key: str) -> Pretrained:
    """Find out which weights ``model`` and ``revision`` name, without a network.

    Parameters
    ----------
    key : str
        The recipe's key, for messages: ``stage1.visual``.

    Raises
    ------
    ModelError
        If a folder lacks its configuration or safetensors weights.
    UsageError
        If a hub id comes without a commit of 40 hex digits, or a folder with one.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        if revision is not None:
            raise UsageError(f"{key}: {path} is a folder, and a folder has no revision.", "Remove the revision.")
        return in_folder(model, path)
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise ModelError(f"{key}: there is no folder {path}.", "Correct the path.")
    if revision is None or not _COMMIT.fullmatch(revision):
        raise UsageError(
            f"{key}: {model!r} comes with revision {revision!r}.",
            "Pin a hub model to a commit of 40 hex digits (a branch can move), or give the path of a folder.",
        )
    return Pretrained(model, revision, None, f"{model}@{revision}")


def in_folder(model: str, folder: Path) -> Pretrained:
    """A model that lies in a local folder; its identity is the SHA-256 of its weights and configuration."""
    others = [path for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.txt")) if path.is_file()]
    return Pretrained(model, None, folder, "sha256:" + sha256(*_weights(folder), *others))


def fetch(found: Pretrained) -> Path:
    """The folder of the model's files, fetched from the hub once where it isn't local.

    Raises
    ------
    ModelError
        Naming the model, the reason and the cure, where the hub can't be reached or doesn't know it.
    """
    if found.folder is not None:
        return found.folder
    import httpx2  # what huggingface_hub speaks through; its errors come up unwrapped
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted: dict[str, Any] = {"revision": found.revision, "allow_patterns": list(_FILES)}
    try:
        folder = Path(snapshot_download(found.model, local_files_only=True, **wanted))
    except (LocalEntryNotFoundError, HFValidationError):
        try:
            # One quick question first: the download itself asks again and again before it gives up.
            HfApi().model_info(found.model, revision=found.revision, timeout=_TIMEOUT_S)
            folder = Path(snapshot_download(found.model, **wanted))
        except (HfHubHTTPError, HFValidationError, OSError, httpx2.HTTPError) as error:
            raise ModelError(
                f"The model {found.model} (revision {found.revision}) can't be fetched: {_reason(error)}.",
                "Connect to the Hugging Face hub once, or download it elsewhere and give the folder as `model`.",
            ) from error
    _weights(folder)
    return folder


def load_model(folder: Path) -> Any:
    """The model in a local folder, ready to infer; weights from safetensors only, never remote code.

    Raises
    ------
    ModelError
        Where the files don't make a model, or lack weights that shape its features.
    """
    from transformers import AutoModel

    model, info = _from_pretrained(AutoModel, folder, use_safetensors=True, output_loading_info=True)
    # A pooler on top is never used here, and many checkpoints come without one.
    missing = sorted(key for key in info["missing_keys"] if "pooler" not in key)
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} weights of a {type(model).__name__}, among them {missing[0]}.",
            "They would be random; give a complete checkpoint.",
        )
    return model.eval()


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer in a local folder; ModelError where there is none."""
    from transformers import AutoTokenizer

    tokenizer = _from_pretrained(AutoTokenizer, folder)
    if not tokenizer.is_fast:
        raise ModelError(f"{folder} has no fast tokenizer.", "Put its tokenizer.json there.")
    return tokenizer


def _from_pretrained(auto_class: Any, folder: Path, **arguments: Any) -> Any:
    quiet()
    try:
        return auto_class.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **arguments)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError) as error:
        from common.device import memory_ran_out

        if memory_ran_out(error):
            raise ModelError(
                f"Memory doesn't suffice to load {folder} ({_reason(error)}).",
                "Give a smaller model, or free memory: fewer --workers, a machine with more of it.",
            ) from error
        raise ModelError(
            f"{folder} can't be loaded as {auto_class.__name__}: {_reason(error)}.",
            "Give a folder written by save_pretrained, with safetensors weights.",
        ) from error


def quiet() -> None:
    """Keep transformers from drawing bars and from advising; what matters is checked and said here."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def check_configuration(folder: Path) -> None:
    """Refuse a ``config.json`` that names code to be fetched: transformers takes attention kernels from the hub.

    Raises
    ------
    ModelError
    """
    path = folder / "config.json"
    try:
        waiting = [json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, RecursionError):
        return  # whoever loads it says what is wrong with it
    while waiting:
        values = waiting.pop()
        if isinstance(values, list):
            waiting += values
        elif isinstance(values, dict):
            waiting += values.values()
            for key, value in values.items():
                if key.endswith("_implementation") and "/" in str(value):
                    raise ModelError(
                        f"{path} asks for code from elsewhere: {key} is {str(value)[:100]!r}.",
                        f"Take {key} out of it; code that comes with a model is never run.",
                    )


def _weights(folder: Path) -> list[Path]:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder} has no config.json with *.safetensors beside it.",
            "Give a folder written by save_pretrained; other weight formats can run code and are refused.",
        )
    check_configuration(folder)
    return weights


def _reason(error: BaseException) -> str:
    first = re.split(r"(?<=[a-z])\.\s", str(error).strip())[0]
    return reason_of(first) or type(error).__name__
