"""An imported table: one HDF5 file with its features, and what its other columns say.

    /features/<modality>   (N, D) float32, NaN where absent
    /digest                (N, 32) uint8, SHA-256 of a row's features and of which it has
    /number  /order        (N,) int64, where the row stands in its file; float64, NaN where not said
    /text /label /dialogue /speaker /split /session      (N,) strings, empty where not said

It is written whole, and never changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from common.datasets.tables.cells import Numbers
from common.errors import CacheError
from common.hdf5 import CURE, opened, texts_of
from common.rows import stretches
from common.schema import GIVEN_DTYPE, MODALITIES, Modality

Parts = Mapping[Modality, Mapping[str, int]]
Digests = npt.NDArray[np.uint8]

DIGEST_BYTES = hashlib.sha256().digest_size

#: Rows gathered before they are written.
_TOGETHER = 256
#: Rows of a chunk: one is read for a row wanted alone.
_CHUNK = 16

_TEXTS = ("text", "label", "dialogue", "speaker", "split", "session")


@dataclass(frozen=True)
class Record:
    """What a row says besides its features.

    Attributes
    ----------
    number : int
        Where it stands in its file, as messages name it.
    label : str
        Its class; empty where it isn't annotated.
    order : float
        Its place in its dialogue; NaN where that is its place in the file.
    split : str
        A `common.schema.Split`, or empty.
    """

    number: int
    text: str = ""
    label: str = ""
    dialogue: str = ""
    order: float = float("nan")
    speaker: str = ""
    split: str = ""
    session: str = ""


class TableFeatures:
    """The features of an imported table. Opened at each call: nothing is held between them.

    Raises
    ------
    CacheError
        From every method, if the file is missing or broken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def width(self, modality: Modality) -> int:
        """How many numbers a row has; 0 where the table has none of this modality."""
        with opened(self.path, chunked=True) as file:
            dataset = file.get(_name(modality))
            return int(dataset.shape[1]) if dataset is not None else 0

    def rows(self, numbers: Sequence[int], modality: Modality) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Features of these rows, counted from 0, in any order.

        Returns
        -------
        values : (n, D) float32
            NaN where absent.
        mask : (n,) bool
            Where they are there.
        """
        with opened(self.path, chunked=True) as file:
            names = [one for one in MODALITIES if file.get(_name(one)) is not None]
            held = {one: _picked(file[_name(one)], numbers) for one in names}
            digests = _picked(file["digest"], numbers)
        there = {one: ~np.isnan(values).any(axis=1) for one, values in held.items()}
        for place, number in enumerate(numbers):
            row = {one: values[place] if there[one][place] else None for one, values in held.items()}
            if digest_of(row) != digests[place].tobytes():
                raise CacheError(f"{self.path}: the features of row {number} don't match their checksum.", CURE)
        return held[modality], there[modality]

    def identity(self, numbers: Sequence[int]) -> str:
        """SHA-256, as hex, over all features of these rows; empty where none of them has any."""
        with opened(self.path, chunked=True) as file:
            digests = _picked(file["digest"], numbers)
        if all(digest.tobytes() == NOTHING for digest in digests):
            return ""
        return hashlib.sha256(digests.tobytes()).hexdigest()

    def parts(self) -> Parts:
        """Modality to its columns and their widths, in the order in which they are joined."""
        with opened(self.path, chunked=True) as file:
            found: Parts = json.loads(file.attribute("parts"))
        return found

    def held(self) -> dict[Modality, int]:
        """How many rows have each modality that the table has columns of."""
        with opened(self.path, chunked=True) as file:
            return {
                modality: sum(
                    int((~np.isnan(dataset[start:stop, 0])).sum()) for start, stop in stretches(dataset.shape)
                )
                for modality in MODALITIES
                if (dataset := file.get(_name(modality))) is not None
            }

    def remarks(self) -> tuple[str, ...]:
        """What was noticed when the table was read."""
        with opened(self.path, chunked=True) as file:
            return tuple(json.loads(file.attribute("remarks")))

    def records(self) -> tuple[list[Record], Digests]:
        """What the rows say besides, and the (N, 32) uint8 digests of their features."""
        with opened(self.path, chunked=True) as file:
            texts = {name: texts_of(file[name]) for name in _TEXTS}
            numbers, orders = file["number"][()].tolist(), file["order"][()].tolist()
            digests = file["digest"][()]
        records = [
            Record(number=number, order=order, **dict(zip(_TEXTS, said, strict=True)))
            for number, order, *said in zip(numbers, orders, *texts.values(), strict=True)
        ]
        return records, digests


class FeatureWriter:
    """Writes the features of one row after the other to an open file; holds a few hundred of them."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._waiting: dict[Modality, list[tuple[int, Numbers]]] = {}
        self._count = 0

    def add(self, features: Mapping[Modality, Numbers | None]) -> bytes:
        """Add a row, None where a modality is absent; returns its digest."""
        for modality, values in features.items():
            if values is not None:
                self._waiting.setdefault(modality, []).append((self._count, values))
        self._count += 1
        if self._count % _TOGETHER == 0:
            self._write()
        return digest_of(features)

    def finish(self, records: Sequence[Record], digests: Digests, parts: Parts, remarks: Sequence[str]) -> None:
        """Write the last rows, and what they say besides."""
        self._write()
        for modality, columns in parts.items():
            self._dataset(modality, sum(columns.values())).resize(self._count, axis=0)
        self._file["digest"] = digests
        self._file["number"] = np.array([record.number for record in records], dtype=np.int64)
        self._file["order"] = np.array([record.order for record in records], dtype=np.float64)
        for name in _TEXTS:
            texts = [getattr(record, name) for record in records]
            self._file.create_dataset(name, data=np.array(texts, dtype=object), dtype=h5py.string_dtype())
        self._file.attrs["parts"] = json.dumps(parts)
        self._file.attrs["remarks"] = json.dumps(list(remarks))

    def _write(self) -> None:
        for modality, rows in self._waiting.items():
            first, width = rows[0][0], len(rows[0][1])
            block = np.full((rows[-1][0] + 1 - first, width), np.nan, dtype=GIVEN_DTYPE)
            block[[row - first for row, _ in rows]] = [values for _, values in rows]
            dataset = self._dataset(modality, width)
            dataset.resize(first + len(block), axis=0)
            dataset[first:] = block
        self._waiting.clear()

    def _dataset(self, modality: Modality, width: int) -> h5py.Dataset:
        """Rows that were never written are NaN."""
        name = _name(modality)
        if name not in self._file:
            shape = {"shape": (0, width), "maxshape": (None, width), "chunks": (_CHUNK, width)}
            self._file.create_dataset(name, dtype=GIVEN_DTYPE, fillvalue=np.nan, **shape)
        return self._file[name]


def digest_of(features: Mapping[Modality, Numbers | None]) -> bytes:
    """SHA-256 of a row's features and of which it has."""
    digest = hashlib.sha256()
    for modality in MODALITIES:
        values = features.get(modality)
        digest.update(b"\0" if values is None else b"\1" + values.astype("<f4").tobytes())
    return digest.digest()


#: The digest of a row that has no features.
NOTHING = digest_of({})


def _name(modality: Modality) -> str:
    return f"features/{modality}"


def _picked(dataset: Any, numbers: Sequence[int]) -> npt.NDArray[Any]:
    """Rows of a dataset in the order asked for; neighbours are read at once."""
    wanted = np.asarray(numbers, dtype=np.int64)
    if wanted.size and not 0 <= wanted.min() <= wanted.max() < dataset.shape[0]:
        text = f"{dataset.file.filename} has {dataset.shape[0]} rows, and row {wanted.max()} is asked for."
        raise CacheError(text, CURE)
    values = np.empty((len(wanted), *dataset.shape[1:]), dtype=dataset.dtype)
    for start, stop in _runs(wanted):
        values[start:stop] = dataset[wanted[start] : wanted[stop - 1] + 1]
    return values


def _runs(numbers: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch in which the next number is one more."""
    if len(numbers):
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        yield from zip([0, *breaks.tolist()], [*breaks.tolist(), len(numbers)], strict=True)
