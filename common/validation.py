"""Is a file a whole clip? Datasets, shapes, dtypes, a rising clock, masks that say the truth, checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from common.clipfile import CURE, ClipFile
from common.errors import CacheError
from common.hdf5 import check_sums, check_version, opened
from common.rows import stretches
from common.schema import (
    AROUSAL,
    CROP_END,
    CROP_FRAME,
    CROP_PNG,
    CROP_TRACK,
    EMOTION,
    EMOTION_DTYPE,
    FEATURE_DTYPE,
    GIVEN_DTYPE,
    MODALITIES,
    REFINED,
    REFINED_DTYPE,
    TIME,
    VALENCE,
    WORD_END,
    WORD_START,
    WORD_TEXT,
    present,
)


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
    with opened(path, named=name) as file:
        check_structure(file, name)
        if deep:
            _check_content(file, name)


def check_structure(file: ClipFile, name: Path) -> int:
    """The number of frames of a file whose datasets are all there, with the right shapes and dtypes."""
    check_version(file, name)
    if TIME not in file:
        raise CacheError(f"{name} has no /{TIME}.", CURE)
    frames = _length(file, name, TIME)
    if frames < 1:
        raise CacheError(f"{name} has no frames.", CURE)
    if CROP_PNG in file:
        _check_crops(file, name)
    elif REFINED in file:
        _check(file, name, REFINED, frames, REFINED_DTYPE, axes=2)
    else:
        for modality in MODALITIES:
            _check(file, name, modality, frames, FEATURE_DTYPE, GIVEN_DTYPE, axes=2)
            _check(file, name, present(modality), frames, np.bool_)
    for label in (VALENCE, AROUSAL):
        if label in file:
            _check(file, name, label, frames, np.float32)
    if EMOTION in file:
        _check(file, name, EMOTION, frames, EMOTION_DTYPE)
    return int(frames)


def _check(file: ClipFile, path: Path, name: str, frames: int, *dtypes: Any, axes: int = 1) -> None:
    if name not in file:
        raise CacheError(f"{path} has no /{name}.", CURE)
    shape, dtype = file[name].shape, file[name].dtype
    if len(shape) != axes or shape[0] != frames or dtype not in map(np.dtype, dtypes):
        wanted = f"({frames}{', ...' if axes > 1 else ','})"
        raise CacheError(f"{path}: /{name} is {shape} {dtype}, expected {wanted} {np.dtype(dtypes[0])}.", CURE)


def _length(file: ClipFile, path: Path, name: str) -> int:
    """The length of a dataset of one axis."""
    shape = file[name].shape
    if len(shape) != 1:
        raise CacheError(f"{path}: /{name} has the shape {shape}, not one axis.", CURE)
    return int(shape[0])


def _check_content(file: ClipFile, path: Path) -> None:
    check_sums(file, path, file.names())
    time_s = file[TIME][()]
    if not np.isfinite(time_s).all() or (np.diff(time_s) <= 0).any():
        at = int(np.argmax(np.append(np.diff(time_s) <= 0, True)))
        raise CacheError(f"{path}: /{TIME} doesn't rise after frame {at} ({time_s[at]} s).", CURE)
    for modality in MODALITIES:
        if modality not in file:
            continue
        mask = file[present(modality)][()]
        some, every = _finite(file[modality])
        if (~every[mask]).any():
            at = int(np.flatnonzero(mask & ~every)[0])
            raise CacheError(f"{path}: /{modality} isn't finite at frame {at}, which is marked present.", CURE)
        if some[~mask].any():
            at = int(np.flatnonzero(~mask & some)[0])
            raise CacheError(f"{path}: /{modality} holds numbers at frame {at}, which is marked absent.", CURE)
    words = (WORD_TEXT, WORD_START, WORD_END)
    if WORD_TEXT in file and REFINED not in file and len({_length(file, path, name) for name in words}) > 1:
        raise CacheError(f"{path}: /words has texts and times of different lengths.", CURE)


def _check_crops(file: ClipFile, path: Path) -> None:
    """Kept crops: one after the other, the end of each in /crops/end, each of a frame that there is."""
    faces = _length(file, path, CROP_END)
    _check(file, path, CROP_END, faces, np.int64)
    ends = file[CROP_END][()]
    if (np.diff(ends, prepend=0) <= 0).any() or (ends[-1] if len(ends) else 0) != _length(file, path, CROP_PNG):
        raise CacheError(f"{path}: /{CROP_END} doesn't fit /{CROP_PNG}.", CURE)
    for name in (CROP_FRAME, CROP_TRACK):
        _check(file, path, name, faces, np.int64)
    frame = file[CROP_FRAME][()]
    if faces and not (frame[0] >= 0 and (np.diff(frame) >= 0).all() and frame[-1] < file[TIME].shape[0]):
        raise CacheError(f"{path}: /{CROP_FRAME} doesn't count its {file[TIME].shape[0]} frames.", CURE)


def _finite(dataset: h5py.Dataset) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """For each row of (T, D): is some number finite, is every one? Each (T,) bool."""
    some, every = [np.zeros(0, dtype=np.bool_)], [np.zeros(0, dtype=np.bool_)]
    for start, stop in stretches(dataset.shape):
        finite = np.isfinite(dataset[start:stop])
        some.append(finite.any(axis=1))
        every.append(finite.all(axis=1))
    return np.concatenate(some), np.concatenate(every)
