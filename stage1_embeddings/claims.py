"""Who is at which clip: several processes share a cache, and no clip is done twice.

A claim is a lock of the operating system on a file in ``.claims``; it ends with its process, however that ends.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout


class Claims:
    """The claims of this process in one folder of features."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ".claims"
        self._held: dict[str, FileLock] = {}

    def take(self, clip: str) -> bool:
        """Claim a clip; False where another process has it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / f"{clip}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
        self._held[clip] = lock
        return True

    def release(self, clip: str) -> None:
        """Give a clip back; one that isn't held is none of this process's business."""
        lock = self._held.pop(clip, None)
        if lock is not None:
            lock.release()

    def release_all(self) -> None:
        for clip in list(self._held):
            self.release(clip)
