"""The labels of each split, as the head was given them: what there was to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.labels import annotated, read_labels
from common.manifest import Manifest
from common.schema import Split
from common.windows import CachedArrays

#: What a split is called on a page.
_NAMES: tuple[tuple[Split, str], ...] = (("train", "training"), ("validation", "validation"), ("test", "test"))


def split_labels(cache: Path, manifest: Manifest) -> dict[str, npt.NDArray[np.float32]]:
    """Per split that has labels, valence and arousal of its annotated frames.

    Parameters
    ----------
    manifest : of the fused features

    Returns
    -------
    dict
        "training", "validation" or "test" to (N, 2) float32 in [-1, 1], finite, N >= 1.
    """
    found = {}
    for split, name in _NAMES:
        labels = [np.zeros((0, 2), np.float32)]
        for clip in manifest.of(split):
            if clip.labelled:
                arrays = CachedArrays(cache / manifest.folder / f"{clip.id}.h5", clip.content, clip.frames)
                rows = read_labels(arrays, slice(None), clip.frames, categorical=False)
                labels.append(rows[annotated(rows)].astype(np.float32))
        joined = np.concatenate(labels)
        if len(joined):
            found[name] = joined
    return found
