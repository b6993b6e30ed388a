"""What a clip's events say of its frames and faces, column by column, in temporary files.

Held in memory, the small arrays of an hour of events would lie scattered between large ones that come and go, and keep
the memory of those from being used again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.rows import Spool
from common.schema import LANDMARKS
from stage1_embeddings.events import Array, Frames

#: Shape of a row and dtype of each column of `Frames`.
_COLUMNS: dict[str, tuple[tuple[int, ...], type]] = {
    "time_s": ((), np.float64),
    "frame": ((), np.int64),
    "track": ((), np.int64),
    "box": ((4,), np.float32),
    "landmarks": ((LANDMARKS, 2), np.float32),
    "score": ((), np.float32),
}


class Columns:
    """All of a clip's `Frames` but their pictures."""

    def __init__(self, folder: Path) -> None:
        self._spools = {name: Spool(shape, dtype, folder) for name, (shape, dtype) in _COLUMNS.items()}

    def add(self, event: Frames) -> None:
        for name, spool in self._spools.items():
            spool.append(getattr(event, name))

    def __getitem__(self, name: str) -> Array:
        """A whole column: (T,) for ``time_s``, (M, ...) for the others."""
        spool = self._spools[name]
        return spool.read(0, spool.shape[0])

    def close(self) -> None:
        for spool in self._spools.values():
            spool.close()
