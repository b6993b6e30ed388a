"""The numbers of one cached clip, checked once before they are used: no damage and no NaN gets into a training.

A dataset's bytes must match the checksum they were written with, features must be finite where they are marked present,
labels must lie in [-1, 1]. That costs one reading at some 3 GB/s; later uses cost nothing.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import CacheError
from common.schema import AROUSAL, EMOTION, MODALITIES, REFINED, TIME, VALENCE, present
from common.store import Location, read_locations

Array = npt.NDArray[Any]

#: A dataset of fewer bytes is read, a larger one mapped: a map keeps its file open, and clips of single sentences are
#: thousands.
READ_BELOW_BYTES = 1 << 16

CURE = (
    "Delete it (`python -m stage1_embeddings verify --delete` finds all that is damaged) and run make again; "
    "only what is missing is computed."
)

#: Rows looked at together: a block that fits the processor's cache.
_ROWS = 2048

#: The exponents of numbers that aren't finite: NumPy's isfinite takes eight times as long for float16.
_EXPONENT: dict[int, np.unsignedinteger[Any]] = {2: np.uint16(0x7C00), 4: np.uint32(0x7F800000)}


class CachedArrays:
    """The numeric datasets of one clip file; large ones share one memory map, opened on first use.

    Parameters
    ----------
    content : what the manifest says of the file
    frames : what it says of its length, if that is to be checked

    Raises
    ------
    CacheError
        If the file's content is another than ``content``; on use, if a dataset isn't there, is damaged, or holds what
        can't be: file, dataset and frame are named.
    """

    def __init__(self, path: Path, content: str, frames: int | None = None) -> None:
        self.path = path
        places, attributes = read_locations(path)
        if attributes.get("content") != content:
            raise CacheError(
                f"{path} isn't the file the manifest speaks of: its content is {attributes.get('content')}, "
                f"expected {content}.",
                "Another run has replaced it; run `make embeddings` again with this RUN, or give each its CACHE=.",
            )
        if frames is not None and TIME in places and places[TIME].shape[0] != frames:
            raise CacheError(f"{path} has {places[TIME].shape[0]} frames, the manifest says {frames}.", CURE)
        _check_shapes(path, places)
        self._places: dict[str, Location] = places
        self._arrays: dict[str, Array] = {}
        self._checked: frozenset[str] = frozenset()
        self._map: Array | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._places

    @property
    def keeps_open(self) -> bool:
        """Is the file mapped, and so kept open, once all of it has been used?"""
        return any(place.nbytes >= READ_BELOW_BYTES for place in self._places.values())

    def __getitem__(self, name: str) -> Array:
        if name not in self._arrays:
            place = self._places.get(name)
            if place is None:
                raise CacheError(f"{self.path} has no /{name}.", "Delete it and run `make embeddings` again.")
            values = self._read(place) if place.nbytes < READ_BELOW_BYTES else self._mapped(place)
            if name not in self._checked:
                self._check(name, place, values)
                self._checked |= {name}
            self._arrays[name] = values
        return self._arrays[name]

    def _check(self, name: str, place: Location, values: Array) -> None:
        if place.crc32 is not None and zlib.crc32(values.reshape(-1).view(np.uint8).data) != place.crc32:
            raise CacheError(f"{self.path}: the bytes of /{name} don't match their checksum.", CURE)
        if name in MODALITIES or name == REFINED:
            bad = ~finite_rows(values)
            if name in MODALITIES:
                bad &= self[present(name)]
            what = "isn't finite" if name == REFINED else "isn't finite, but marked present,"
        elif name in (VALENCE, AROUSAL):
            bad, what = np.abs(values) > 1, "isn't within [-1, 1]"  # NaN: not annotated
        else:
            return
        if bad.any():
            raise CacheError(f"{self.path}: /{name} {what} at frame {int(np.argmax(bad))}.", CURE)

    def _mapped(self, place: Location) -> Array:
        if self._map is None:
            self._map = np.memmap(self.path, np.uint8, "r")
        return np.ndarray(place.shape, place.dtype, self._map.data, place.offset)

    def _read(self, place: Location) -> Array:
        values: Array = np.fromfile(self.path, place.dtype, math.prod(place.shape), offset=place.offset)
        return values.reshape(place.shape)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}, "_map": None}  # worker processes map for themselves


def _check_shapes(path: Path, places: dict[str, Location]) -> None:
    """That everything there is has a row for each frame."""
    if TIME not in places:
        return
    frames, labels = places[TIME].shape[0], (VALENCE, AROUSAL, EMOTION)
    axes = dict.fromkeys((*MODALITIES, REFINED), 2) | dict.fromkeys((*map(present, MODALITIES), *labels), 1)
    for name, number in axes.items():
        if name in places and (len(shape := places[name].shape) != number or shape[0] != frames):
            raise CacheError(f"{path}: /{name} is {shape}, and there are {frames} frames.", CURE)


def finite_rows(values: Array) -> npt.NDArray[np.bool_]:
    """(T,) bool: is every number of each row of (T, D) floats finite?"""
    exponent = _EXPONENT.get(values.dtype.itemsize)
    found = np.empty(len(values), dtype=np.bool_)
    for start in range(0, len(values), _ROWS):
        block = values[start : start + _ROWS]
        finite = np.isfinite(block) if exponent is None else (block.view(exponent.dtype) & exponent) != exponent
        found[start : start + _ROWS] = finite.reshape(len(block), -1).all(axis=1)
    return found
