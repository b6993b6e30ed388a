"""Cached clips become windows of T frames with masks: what stages 2 and 3 read, for training and for export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.cached import CachedArrays
from common.labels import annotated, no_label, read_labels
from common.limits import allow_open_files
from common.manifest import CachedClip, Manifest
from common.recipe import Window
from common.schema import MODALITIES, Modality, present

__all__ = [
    "Array",
    "CachedArrays",
    "FeatureWindows",
    "Place",
    "collate",
    "feature_statistics",
    "widen",
    "window_starts",
]

Array = npt.NDArray[Any]


def window_starts(frames: int, window: Window) -> list[int]:
    """First frames of the windows over a clip of ``frames`` frames.

    Every frame is in at least one window. The last window is moved back to end with the clip; a clip shorter than a
    window is one window, padded at its end.
    """
    if frames <= window.frames:
        return [0]
    starts = list(range(0, frames - window.frames, window.hop_frames))
    return [*starts, frames - window.frames]


@dataclass(frozen=True)
class Place:
    """Which frames of which clip a window holds."""

    clip: int
    start: int
    frames: int


class FeatureWindows:
    """Windows over the cached features of some clips; a map-style data set for ``torch.utils.data.DataLoader``.

    Parameters
    ----------
    cache, manifest : where the clips are
    clips : clips to cut, in order
    window : length and hop
    modalities : those the model may see; the others are masked
    once : bool
        For scoring: frames shared by two windows keep their label in the first alone, so that each counts once.
    labelled_only : bool
        For training: leave out windows without a single label.

    Each item is a dict of
        ``visual``, ``audio``, ``text``   (T, D) float32, 0 where absent
        ``present_visual`` and so on      (T,) bool
        ``frame_mask``                    (T,) bool, False on padding
        ``labels``                        (T, 2) float32, valence and arousal, NaN where not annotated; or, where the
                                          manifest names classes, (T,) int64, -1 where not annotated
    """

    def __init__(
        self,
        cache: Path,
        manifest: Manifest,
        clips: Sequence[CachedClip],
        window: Window,
        *,
        modalities: Sequence[Modality] = MODALITIES,
        once: bool = False,
        labelled_only: bool = False,
    ) -> None:
        folder = cache / manifest.folder
        self.clips = list(clips)
        self.window = window
        self.modalities = frozenset(modalities)
        self.once = once
        self.categorical = bool(manifest.classes)
        self.arrays = [CachedArrays(folder / f"{clip.id}.h5", clip.content, clip.frames) for clip in self.clips]
        allow_open_files(sum(arrays.keeps_open for arrays in self.arrays))
        self.places = [
            Place(index, start, min(window.frames, clip.frames - start))
            for index, clip in enumerate(self.clips)
            for start in window_starts(clip.frames, window)
        ]
        if labelled_only:
            self.places = [place for place in self.places if annotated(self._labels(place)).any()]

    def __len__(self) -> int:
        return len(self.places)

    def check(self) -> None:
        """Read everything once: what is damaged ends a training before it begins, not after hours.

        Raises
        ------
        CacheError
            Naming file, dataset and frame.
        """
        for arrays in self.arrays:
            for modality in self.modalities:
                _ = arrays[modality], arrays[present(modality)]

    def named(self, index: int) -> str:
        """The clip that a window is of."""
        return self.clips[self.places[index].clip].id

    def __getitem__(self, index: int) -> dict[str, Array]:
        place = self.places[index]
        arrays = self.arrays[place.clip]
        rows = slice(place.start, place.start + place.frames)
        item: dict[str, Array] = {}
        for modality in MODALITIES:
            mask = np.zeros(self.window.frames, dtype=np.bool_)
            if modality in self.modalities:
                mask[: place.frames] = arrays[present(modality)][rows]
            item[modality] = self._features(arrays[modality], rows, mask)
            item[f"present_{modality}"] = mask
        item["frame_mask"] = np.arange(self.window.frames) < place.frames
        labels = self.labels(index)
        item["labels"] = self._padded(labels, no_label(labels))
        return item

    def labels(self, index: int) -> Array:
        """Labels of a window without its padding, as in `common.labels.read_labels`."""
        return self._labels(self.places[index], earlier=self._seen_before(index))

    def clip_labels(self) -> Iterator[Array]:
        """Labels of each clip as a whole."""
        for clip, arrays in zip(self.clips, self.arrays, strict=True):
            yield read_labels(arrays, slice(None), clip.frames, categorical=self.categorical)

    def _seen_before(self, index: int) -> int:
        """How many of this window's first frames an earlier window of the same clip has."""
        if not self.once or index == 0 or self.places[index - 1].clip != self.places[index].clip:
            return 0
        before = self.places[index - 1]
        return max(0, before.start + before.frames - self.places[index].start)

    def _labels(self, place: Place, earlier: int = 0) -> Array:
        arrays = self.arrays[place.clip]
        rows = slice(place.start, place.start + place.frames)
        labels = read_labels(arrays, rows, place.frames, categorical=self.categorical)
        labels[:earlier] = no_label(labels)
        return labels

    def _features(self, stored: Array, rows: slice, mask: npt.NDArray[np.bool_]) -> Array:
        """(T, D) float32 of a window's rows, 0 where ``mask`` (T,) is False, as it is beyond the clip."""
        values = np.empty((self.window.frames, stored.shape[1]), dtype=np.float32)
        if mask.any():
            widen(np.array(stored[rows]), values[: rows.stop - rows.start])
        if not mask.all():
            values[~mask] = 0
        return values

    def _padded(self, values: Array, fill: float | bool) -> Array:
        missing = self.window.frames - len(values)
        if missing == 0:
            return values
        padding = np.full((missing, *values.shape[1:]), fill, dtype=values.dtype)
        return np.concatenate([values, padding])


def widen(values: Array, out: Array) -> None:
    """Write float16 or float32 ``values`` into ``out``, float32 of the same shape.

    By torch, which has the processor's instruction for it: NumPy takes eight times as long. Both are exact.
    """
    import torch

    torch.from_numpy(out).copy_(torch.from_numpy(values))


def collate(items: list[dict[str, Array]]) -> dict[str, Any]:
    """Stack windows into a batch: (B, T, ...) tensors under the same names; a worker's in memory that is shared."""
    from torch.utils.data import default_collate

    batch: dict[str, Any] = default_collate(items)
    return batch


def feature_statistics(
    data: FeatureWindows, modality: Modality
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and population standard deviation, (D,) float64 each, over the present frames of all clips of ``data``.

    Where a modality is present nowhere: zeros and ones.
    """
    count = 0
    total: Array = np.zeros(data.arrays[0][modality].shape[1])
    squares: Array = np.zeros_like(total)
    for arrays in data.arrays:
        values = np.asarray(arrays[modality][arrays[present(modality)]], dtype=np.float64)
        if count == 0 and len(values):
            shift = values.mean(axis=0)
        if len(values):
            count += len(values)
            total += (values - shift).sum(axis=0)
            squares += ((values - shift) ** 2).sum(axis=0)
    if count == 0:
        return total, np.ones_like(total)
    mean = total / count
    return shift + mean, np.sqrt(np.maximum(squares / count - mean**2, 0))
