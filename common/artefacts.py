"""A trained model's folder: weights, configuration, and a record of how it came about, written whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import processes
from common.device import torch_device
from common.errors import CacheError
from common.files import sha256, write_json, written_whole
from common.models import quiet
from common.provenance import provenance

RECORD = "record.json"
WEIGHTS = "model.safetensors"


def save_model(folder: Path, model: Any, record: Mapping[str, Any]) -> None:
    """Save ``model`` with ``save_pretrained`` and its record, replacing ``folder`` as a whole.

    The record also says how many processes trained it.
    """
    with written_whole(folder) as partial:
        quiet()
        model.save_pretrained(partial)
        more = {"weights_sha256": sha256(partial / WEIGHTS), "processes": processes.count(), **provenance()}
        write_json(partial / RECORD, {**record, **more})


def remove_checkpoints(folder: Path, stage: str) -> None:
    """Remove the checkpoints of a finished training, and those that trainings with other settings left there."""
    for old in folder.glob(f"{stage}-*"):
        shutil.rmtree(old, ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def load_trained(model_class: Any, folder: Path, device: str, *, made_by: str) -> Any:
    """The model that `save_model` left in ``folder``, in evaluation mode on ``device``.

    Raises
    ------
    CacheError
        If its weights can't be read, naming the command that makes them.
    """
    from safetensors import SafetensorError

    quiet()
    try:
        model = model_class.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise CacheError(
            f"The model in {folder} can't be loaded: {reason}.", f"Delete {folder} and run `{made_by}` again."
        ) from error
    return model.eval().to(torch_device(device))


def check_trained(folder: Path, *, made_by: str) -> dict[str, Any]:
    """The record of a trained model whose weights are there too, none of which is loaded.

    Raises
    ------
    CacheError
        If either is missing, naming the command that makes them.
    """
    record = read_record(folder, made_by=made_by)
    if not (folder / WEIGHTS).is_file():
        raise CacheError(f"There is no {folder / WEIGHTS}.", f"Delete {folder} and run `{made_by}` again.")
    return record


def read_record(folder: Path, *, made_by: str) -> dict[str, Any]:
    """The record of a trained model.

    Raises
    ------
    CacheError
        If there is none, naming the command that makes it.
    """
    path = folder / RECORD
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CacheError(f"There is no trained model in {folder}.", f"Run `{made_by}` with this RUN first.") from error
    except ValueError as error:
        raise CacheError(f"{path} isn't JSON ({error}).", f"Delete {folder} and run `{made_by}` again.") from error
    return values


def is_current(folder: Path, fingerprint: str) -> bool:
    """Was the model in ``folder`` made by exactly these settings from exactly these clips, and is it whole?"""
    try:
        record = read_record(folder, made_by="")
    except CacheError:
        return False
    return record.get("fingerprint") == fingerprint and (folder / WEIGHTS).is_file()
