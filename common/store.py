"""Read, write and check one clip file of the cache. The format is described in cache/README.md.

A file is written once, whole, and never changed in place. Every numeric dataset lies contiguously, so that a
window of frames is one slice of a memory map, and carries the CRC-32 of its bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from common.errors import CacheError
from common.files import written_whole
from common.schema import (
    AROUSAL,
    FEATURE_DTYPE,
    MODALITIES,
    REFINED,
    REFINED_DTYPE,
    SCHEMA_VERSION,
    TIME,
    VALENCE,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    present,
)

Array = npt.NDArray[Any]

#: The attribute that names those attributes which are JSON.
_AS_JSON = "as_json"

_CURE = "Delete it and run `make embeddings` again; only what is missing is computed."


@dataclass(frozen=True)
class Location:
    """Where a dataset's bytes lie in its file: enough for ``numpy.memmap``."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def write_clip(path: Path, arrays: Mapping[str, Array | list[str]], attributes: Mapping[str, Any]) -> None:
    """Write a clip file: temporary sibling, close, reopen and validate, flush to disk, rename.

    Parameters
    ----------
    path : Path
        ``<clip>.h5``; replaced if it exists.
    arrays : name to array, or to a list of strings
        Datasets as named in ``common.schema``.
    attributes : name to str, int, float, or anything JSON can hold

    Raises
    ------
    CacheError
        If the arrays don't make a valid clip (see `validate`).
    """
    with written_whole(path) as partial:
        with h5py.File(partial, "w") as file:
            for name, values in arrays.items():
                if isinstance(values, list):
                    file.create_dataset(name, data=np.asarray(values, dtype=object), dtype=h5py.string_dtype())
                else:
                    data = np.ascontiguousarray(values)
                    file.create_dataset(name, data=data).attrs["crc32"] = _crc32(data)
            for name, value in attributes.items():
                file.attrs[name] = value if isinstance(value, str | int | float) else json.dumps(value)
            file.attrs[_AS_JSON] = sorted(n for n, v in attributes.items() if not isinstance(v, str | int | float))
            file.attrs["schema_version"] = SCHEMA_VERSION
        validate(partial, named=path)


def read_attributes(path: Path) -> dict[str, Any]:
    """Attributes of a clip file; those that hold JSON objects or lists are decoded.

    Raises
    ------
    CacheError
        If the file can't be read as HDF5, or was written under another schema version.
    """
    with _opened(path) as file:
        return _attributes(file, path)


def read_clip(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Array | list[str]]:
    """Datasets of a clip file by name, checked against their checksums; all of them where ``names`` is None."""
    with _opened(path) as file:
        _attributes(file, path)
        wanted = _names(file) if names is None else names
        missing = [name for name in wanted if name not in file]
        if missing:
            raise CacheError(f"{path} lacks {', '.join(missing)}.", _CURE)
        _check_sums(file, path, wanted)
        return {name: _values(file[name]) for name in wanted}


def read_locations(path: Path) -> tuple[dict[str, Location], dict[str, Any]]:
    """Where each numeric dataset of a clip file lies, and the file's attributes."""
    with _opened(path) as file:
        attributes = _attributes(file, path)
        places = {}
        for name in _names(file):
            dataset = file[name]
            offset = dataset.id.get_offset()
            if offset is not None and dataset.dtype.kind in "biuf":
                places[name] = Location(offset, dataset.shape, dataset.dtype)
        return places, attributes


def validate(path: Path, *, named: Path | None = None, deep: bool = True) -> None:
    """Check that a file is a whole clip: datasets, shapes, dtypes, a rising clock, masks that say the truth.

    Parameters
    ----------
    named : Path, optional
        The name to use in messages, where ``path`` is a temporary sibling.
    deep : bool
        Also read all data: checksums, finite where present, NaN where absent.

    Raises
    ------
    CacheError
        On the first thing that is wrong, with the dataset's name and value.
    """
    name = named or path
    with _opened(path, named=name) as file:
        _attributes(file, name)
        if TIME not in file:
            raise CacheError(f"{name} has no /{TIME}.", _CURE)
        frames = file[TIME].shape[0]
        if frames < 1:
            raise CacheError(f"{name} has no frames.", _CURE)
        if REFINED in file:
            _check(file, name, REFINED, frames, REFINED_DTYPE)
        else:
            for modality in MODALITIES:
                _check(file, name, modality, frames, FEATURE_DTYPE)
                _check(file, name, present(modality), frames, np.bool_)
        for label in (VALENCE, AROUSAL):
            if label in file:
                _check(file, name, label, frames, np.float32)
        if deep:
            _check_content(file, name)


def _check(file: h5py.File, path: Path, name: str, frames: int, dtype: Any) -> None:
    if name not in file:
        raise CacheError(f"{path} has no /{name}.", _CURE)
    dataset = file[name]
    if dataset.shape[0] != frames or dataset.dtype != np.dtype(dtype):
        raise CacheError(
            f"{path}: /{name} is {dataset.shape} {dataset.dtype}, expected ({frames}, ...) {np.dtype(dtype)}.",
            _CURE,
        )


def _check_content(file: h5py.File, path: Path) -> None:
    _check_sums(file, path, _names(file))
    time_s = file[TIME][()]
    if not np.isfinite(time_s).all() or (np.diff(time_s) <= 0).any():
        at = int(np.argmax(np.append(np.diff(time_s) <= 0, True)))
        raise CacheError(f"{path}: /{TIME} doesn't rise after frame {at} ({time_s[at]} s).", _CURE)
    for modality in MODALITIES:
        if modality not in file:
            continue
        finite = np.isfinite(file[modality][()])
        mask = file[present(modality)][()]
        if (~finite[mask]).any():
            at = int(np.flatnonzero(mask)[np.argmax((~finite[mask]).any(axis=1))])
            raise CacheError(f"{path}: /{modality} isn't finite at frame {at}, which is marked present.", _CURE)
        if finite[~mask].any():
            at = int(np.flatnonzero(~mask)[np.argmax(finite[~mask].any(axis=1))])
            raise CacheError(f"{path}: /{modality} holds numbers at frame {at}, which is marked absent.", _CURE)
    if WORD_TEXT in file and not (len(file[WORD_TEXT]) == len(file[WORD_START]) == len(file[WORD_END])):
        raise CacheError(f"{path}: /words has texts and times of different lengths.", _CURE)


def _check_sums(file: h5py.File, path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        dataset = file[name]
        if "crc32" in dataset.attrs and _crc32(dataset[()]) != int(dataset.attrs["crc32"]):
            raise CacheError(f"{path}: the bytes of /{name} don't match their checksum.", _CURE)


def _opened(path: Path, *, named: Path | None = None) -> h5py.File:
    name = named or path
    if not path.is_file():
        raise CacheError(
            f"There is no {name}.", "Run `make embeddings` (stage 1) or `make train-beit` (stage 2) first."
        )
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise CacheError(f"{name} can't be read as HDF5 ({error}).", _CURE) from error


def _attributes(file: h5py.File, path: Path) -> dict[str, Any]:
    values = {key: value.item() if isinstance(value, np.generic) else value for key, value in file.attrs.items()}
    for name in values.pop(_AS_JSON, ()):
        values[str(name)] = json.loads(values[str(name)])
    version = values.get("schema_version")
    if version != SCHEMA_VERSION:
        raise CacheError(
            f"{path} was written under schema version {version}; this program reads {SCHEMA_VERSION}.", _CURE
        )
    return values


def _names(file: h5py.File) -> tuple[str, ...]:
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return tuple(found)


def _values(dataset: h5py.Dataset) -> Array | list[str]:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return [str(text) for text in dataset.asstr()[()]]
    return np.asarray(dataset[()])


def _crc32(values: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(values).view(np.uint8).reshape(-1).data)
