"""What is seen of a clip: its clock, its faces, and their features as the batches bring them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.rows import Arrays, OnMask, Picked, Spool
from common.schema import (
    FACE_BOX,
    FACE_LANDMARKS,
    FACE_SCORE,
    FEATURE_DTYPE,
    LANDMARKS,
    TIME,
    present,
)
from common.timeline import frame_edges_s
from stage1_embeddings.batches import Batches, Features
from stage1_embeddings.columns import Columns
from stage1_embeddings.events import Array, Frames
from stage1_embeddings.faces.kept import Keeper
from stage1_embeddings.tools import Tools


class Picture:
    """Frame times, faces and visual features (eq. 1-4) of a clip; features only where there is a face."""

    def __init__(self, tools: Tools, batches: Batches, keeper: Keeper | None) -> None:
        self._features = Spool((tools.visual.dim,), FEATURE_DTYPE, tools.scratch)
        self._batches = batches
        self._columns = Columns(tools.scratch)
        self._faces = 0
        self._closed = False
        self.keeper = keeper

    def add(self, event: Frames) -> None:
        self._faces += len(event.crops)
        self._columns.add(event)
        if self.keeper is not None:
            self.keeper.add(event)
        self._batches.add(event.crops, self.deliver)

    def deliver(self, features: Features) -> None:
        """Take the features of the next crops."""
        if not self._closed:  # a clip that failed may still have crops in a batch
            self._features.append(features)

    @property
    def complete(self) -> bool:
        """Are all features here? Some may still wait for a full batch."""
        return self._features.shape[0] == self._faces

    @property
    def time_s(self) -> npt.NDArray[np.float64]:
        return self._columns["time_s"]

    def arrays(self) -> Arrays:
        """Of the whole clip, where there is at most one face a frame."""
        return self._of(np.arange(self._faces), 0, len(self.time_s))

    def tracks(self, min_track_s: float) -> dict[int, tuple[int, int, Arrays]]:
        """For each track that lasts ``min_track_s``: its first frame, the one after its last, and its arrays."""
        edges = frame_edges_s(self.time_s)
        frame, track = self._columns["frame"], self._columns["track"]
        found = {}
        for number in np.unique(track).tolist():
            index = np.flatnonzero(track == number)
            first, last = int(frame[index[0]]), int(frame[index[-1]])
            if edges[last + 1] - edges[first] >= min_track_s:
                found[number] = first, last + 1, self._of(index, first, last + 1)
        return found

    def _of(self, index: npt.NDArray[np.int64], first: int, stop: int) -> Arrays:
        mask = np.zeros(stop - first, dtype=np.bool_)
        mask[self._columns["frame"][index] - first] = True
        return {
            TIME: self.time_s[first:stop],
            "visual": OnMask(Picked(self._features, index), mask, FEATURE_DTYPE),
            present("visual"): mask,
            FACE_BOX: _on_mask(self._columns["box"][index].reshape(-1, 4), mask),
            FACE_LANDMARKS: _on_mask(self._columns["landmarks"][index].reshape(-1, LANDMARKS, 2), mask),
            FACE_SCORE: _on_mask(self._columns["score"][index], mask),
        }

    def close(self) -> None:
        self._closed = True
        self._features.close()
        self._columns.close()
        if self.keeper is not None:
            self.keeper.close()


def _on_mask(values: Array, mask: npt.NDArray[np.bool_]) -> Array:
    rows = np.full((len(mask), *values.shape[1:]), np.nan, dtype=np.float32)
    rows[mask] = values
    return rows
