"""A clip file as HDF5: opened with a sentence where that fails, attributes decoded, checksums told and checked."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from common.clipfile import CURE, ClipFile
from common.errors import CacheError
from common.reasons import reason_of
from common.rows import Array, Rows, blocks, stretches
from common.schema import SCHEMA_VERSION

__all__ = [
    "AS_JSON",
    "CURE",
    "attributes_of",
    "check_sums",
    "check_version",
    "opened",
    "texts_of",
    "values_of",
    "write_rows",
]

#: The attribute that names those attributes which are JSON.
AS_JSON = "as_json"

#: Characters of one of them; ours have thousands.
_MOST_JSON = 1 << 24


@contextmanager
def opened(path: Path, *, named: Path | None = None, chunked: bool = False) -> Iterator[ClipFile]:
    """Open a clip file to read; whatever its damage makes HDF5 say becomes a `CacheError`.

    Parameters
    ----------
    named : Path, optional
        What messages call it.
    chunked : bool
        It is an imported table (see `ClipFile`).
    """
    name = named or path
    if not path.is_file():
        raise CacheError(
            f"There is no {name}.", "Run `make embeddings` (stage 1) or `make train-beit` (stage 2) first."
        )
    try:
        # Nothing is written in place, so there is nothing to lock; on some network mounts asking for it fails or hangs.
        with h5py.File(path, "r", locking=False) as file:
            yield ClipFile(file, path, name, chunked=chunked)
    except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
        raise CacheError(f"{name} can't be read as HDF5 ({reason_of(error)}).", CURE) from error


def check_version(file: ClipFile, path: Path) -> None:
    """Refuse a file of another schema version."""
    version = file.attribute("schema_version")
    if version != SCHEMA_VERSION:
        raise CacheError(
            f"{path} was written under schema version {version}; this program reads {SCHEMA_VERSION}.", CURE
        )


def attributes_of(file: ClipFile, path: Path) -> dict[str, Any]:
    check_version(file, path)
    values = file.attributes()
    noted = values.pop("crc32", None)
    if noted is not None and noted != _crc32_of(values):
        raise CacheError(f"{path}: its attributes don't match their checksum.", CURE)
    for name in values.pop(AS_JSON, ()):
        text = values[str(name)]
        if len(text) > _MOST_JSON:
            raise CacheError(f"{path} is refused: its attribute {name!r} has {len(text)} characters.", CURE)
        values[str(name)] = json.loads(text)
    return values


def seal_attributes(file: h5py.File) -> None:
    """Note the CRC-32 of all attributes, the last thing that is written: HDF5 itself doesn't check them."""
    values = {key: value.item() if isinstance(value, np.generic) else value for key, value in file.attrs.items()}
    file.attrs["crc32"] = _crc32_of(values)


def _crc32_of(attributes: dict[str, Any]) -> int:
    plain = {key: list(value) if isinstance(value, np.ndarray) else value for key, value in attributes.items()}
    return zlib.crc32(json.dumps(plain, sort_keys=True, default=str).encode())


def values_of(dataset: h5py.Dataset) -> Array | list[str]:
    return texts_of(dataset) if h5py.check_string_dtype(dataset.dtype) is not None else np.asarray(dataset[()])


def texts_of(dataset: h5py.Dataset) -> list[str]:
    return [str(text) for text in dataset.asstr()[()]]


def write_texts(file: h5py.File, name: str, values: list[str]) -> None:
    """Strings, with the CRC-32 of all of them."""
    dataset = file.create_dataset(name, data=np.asarray(values, dtype=object), dtype=h5py.string_dtype())
    dataset.attrs["crc32"] = _crc32_texts(values)


def _crc32_texts(values: list[str]) -> int:
    return zlib.crc32("\0".join(values).encode())


def write_rows(file: h5py.File, name: str, values: Rows | Array) -> None:
    """A contiguous dataset with the CRC-32 of its bytes, written in blocks."""
    dataset = file.create_dataset(name, shape=values.shape, dtype=values.dtype)
    if not values.shape:
        raise ValueError(f"/{name} is a single number")
    check, start = 0, 0
    for block in blocks(values):
        data = np.ascontiguousarray(block, dtype=values.dtype)
        dataset[start : start + len(data)] = data
        check = _crc32(data, check)
        start += len(data)
    dataset.attrs["crc32"] = check


def _crc32(values: Array, before: int = 0) -> int:
    return zlib.crc32(values.view(np.uint8).reshape(-1).data, before)


def _crc32_stored(dataset: h5py.Dataset) -> int:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return _crc32_texts(texts_of(dataset))
    check = 0
    for start, stop in stretches(dataset.shape):
        check = _crc32(np.ascontiguousarray(dataset[start:stop]), check)
    return check


def check_sums(file: ClipFile, path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        check = file.checksum(name)
        if check is not None and _crc32_stored(file[name]) != check:
            raise CacheError(f"{path}: the bytes of /{name} don't match their checksum.", CURE)
