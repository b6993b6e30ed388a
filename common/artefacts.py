"""A trained model's folder: weights, configuration, and a record of how it came about, written whole."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from common.device import torch_device
from common.errors import CacheError
from common.files import sha256, write_json, written_whole
from common.models import check_configuration, quiet
from common.outside_text import first_fault, in_a_line, json_of
from common.provenance import provenance
from common.recipe import Recipe

RECORD = "record.json"
WEIGHTS = "model.safetensors"

#: No training has so many epochs.
MOST_EPOCHS = 10**6


def save_model(folder: Path, model: Any, record: Mapping[str, Any]) -> None:
    """Save ``model`` with ``save_pretrained`` and its record, replacing ``folder`` as a whole."""
    with written_whole(folder) as partial:
        quiet()
        model.save_pretrained(partial)
        write_json(partial / RECORD, {**record, "weights_sha256": sha256(partial / WEIGHTS), **provenance()})


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
    check_configuration(folder)
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
        If there is none, naming the command that makes it; if it isn't one of this program; from the record, where it
        is asked for what it doesn't say.
    """
    path, cure = folder / RECORD, f"Delete {folder} and run `{made_by}` again."
    try:
        values = json_of(path.read_text(encoding="utf-8"))
        _Known.model_validate(values)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CacheError(f"There is no trained model in {folder}.", f"Run `{made_by}` with this RUN first.") from error
    except ValidationError as error:
        raise CacheError(f"{path} isn't a record of this program ({first_fault(error)}).", cure) from error
    except ValueError as error:
        raise CacheError(f"{path} isn't JSON ({in_a_line(error)}).", cure) from error
    return _Record(values, path=path, cure=cure)


def recipe_of(folder: Path, record: Mapping[str, Any], *, made_by: str) -> Recipe:
    """The recipe in the record of the model in ``folder``.

    Raises
    ------
    CacheError
        If another version wrote it.
    """
    try:
        return Recipe.model_validate(record.get("recipe"))
    except ValidationError as error:
        raise CacheError(
            f"The model in {folder} was trained by another version: its recipe has {error.error_count()} setting(s) "
            "that this one can't read.",
            f"Delete that folder and run `{made_by}` with this RUN again.",
        ) from error


def _is_row(row: dict[str, float | None]) -> dict[str, float | None]:
    epoch = row.get("epoch")
    if epoch is None or not 0 <= epoch < MOST_EPOCHS:  # also NaN
        raise ValueError(f"a row is of epoch {epoch}")
    return row


class _Known(BaseModel):
    """The types of what a record says, where it says it."""

    model_config = ConfigDict(strict=True)

    fingerprint: str = ""
    weights_sha256: str = ""
    recipe: dict[str, Any] = {}
    seed: int = 0
    classes: list[str] = []
    counts: list[int] = []
    remarks: list[str] = []
    features: dict[str, str] = {}
    encoders: dict[str, dict[str, Any]] = {}
    smoothing: dict[str, Any] = {}
    history: list[Annotated[dict[str, float | None], AfterValidator(_is_row)]] = []


class _Record(dict[str, Any]):
    """What a record says; asked for what it doesn't say, it is an error that names the file."""

    def __init__(self, values: Mapping[str, Any], *, path: Path, cure: str) -> None:
        super().__init__(values)
        self._path, self._cure = path, cure

    def __missing__(self, key: str) -> Any:
        raise CacheError(f"{self._path} says nothing of {key!r}.", self._cure)


def is_current(folder: Path, fingerprint: str) -> bool:
    """Was the model in ``folder`` made by exactly these settings from exactly these clips, and is it whole?"""
    try:
        record = read_record(folder, made_by="")
    except CacheError:
        return False
    return record.get("fingerprint") == fingerprint and (folder / WEIGHTS).is_file()
