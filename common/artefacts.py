"""A trained model's folder: weights, configuration, and a record of how it came about, written whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from common import processes
from common.device import torch_device
from common.errors import CacheError
from common.files import sha256, written_whole
from common.models import check_configuration, quiet
from common.outside_text import first_fault
from common.provenance import provenance
from common.reasons import in_a_line, reason_of
from common.recipe import Recipe
from common.sealed import read_sealed, write_sealed

RECORD = "record.json"
WEIGHTS = "model.safetensors"

#: No training has so many epochs.
MOST_EPOCHS = 10**6
#: What torch says where a file of its own can't be written.
_TORCH_WRITES = ("inline_container", "PytorchStreamWriter")


def save_model(folder: Path, model: Any, record: Mapping[str, Any]) -> None:
    """Save ``model`` with ``save_pretrained`` and its record, replacing ``folder`` as a whole.

    The record also says how many processes trained it.
    """
    with written_whole(folder) as partial:
        save_weights(model, partial, named=folder)
        files = {path.name: sha256(path) for path in sorted(partial.iterdir())}
        known = {"weights_sha256": files[WEIGHTS], "files_sha256": files, "processes": processes.count()}
        write_sealed(partial / RECORD, {**record, **known, **provenance()})


def save_weights(model: Any, folder: Path, *, named: Path | None = None) -> None:
    """``save_pretrained`` into ``folder``; ``named`` is its name in messages, where it is a temporary sibling.

    Raises
    ------
    CacheError
        If it can't be written.
    """
    quiet()
    try:
        model.save_pretrained(folder)
    except Exception as error:
        failure = not_written(error, named or folder)
        if failure is None:
            raise
        raise failure from error


def not_written(error: Exception, folder: Path) -> CacheError | None:
    """What to say where safetensors or torch couldn't write into ``folder``; their errors name no file."""
    from safetensors import SafetensorError

    text = reason_of(error)
    if not isinstance(error, SafetensorError) and not any(sign in text for sign in _TORCH_WRITES):
        return None
    return CacheError(
        f"{folder} can't be written: {text}.", "Check the disk (is it full?) and the rights, then run it again."
    )


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
        If its weights can't be read, or aren't those that were trained, naming the command that makes them.
    """
    from safetensors import SafetensorError

    quiet()
    check_configuration(folder)
    if (folder / RECORD).is_file() and (damage := _damage(folder, read_record(folder, made_by=made_by))):
        raise CacheError(damage, f"Delete {folder} and run `{made_by}` again.")
    try:
        model = model_class.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        problem = f"The model in {folder} can't be loaded: {reason_of(error)}."
        raise CacheError(problem, f"Delete {folder} and run `{made_by}` again.") from error
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
        values = read_sealed(path, cure=cure)
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
    files_sha256: dict[str, str] = {}
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


def is_current(folder: Path, fingerprint: str, say: Callable[[str], None]) -> bool:
    """Was the model in ``folder`` made by exactly these settings from exactly these clips, and is it whole?

    That a model is damaged is said: it has to be trained again.
    """
    if not (folder / RECORD).is_file():
        return False
    try:
        record = read_record(folder, made_by="")
    except CacheError as error:
        say(f"Trained again: {error.problem}")
        return False
    if record.get("fingerprint") != fingerprint:
        return False
    if damage := _damage(folder, record):
        say(f"Trained again: {damage}")
    return not damage


def _damage(folder: Path, record: Mapping[str, Any]) -> str:
    """What of a model isn't as it was written; empty where all is."""
    written = {WEIGHTS: record.get("weights_sha256"), **record.get("files_sha256", {})}
    for name, digest in written.items():
        path = folder / name
        if not path.is_file():
            return f"There is no {path}."
        if digest is not None and sha256(path) != digest:
            return f"{path} is damaged: its SHA-256 isn't the one that {RECORD} noted."
    return ""
