"""The videos of a data set as stage 1 meets them: files of this machine, or those that a subclass fetches."""

from __future__ import annotations

from pathlib import Path

from common.files import sha256


class Videos:
    """Videos that are files of this machine. (common/storage/data.py has those that are behind an address.)"""

    #: Are they somewhere else, and in their place empty files?
    remote = False

    def identity(self, path: Path) -> tuple[int, int]:
        """Size in bytes and time of change in ns: while both are the same, so is the video."""
        status = path.stat()
        return status.st_size, status.st_mtime_ns

    def sha256(self, path: Path, *, fetch: bool) -> str:
        """SHA-256 of a video; "" where it would have to be fetched for that, and ``fetch`` is false."""
        return sha256(path)

    def fetch(self, path: Path) -> Path:
        """The file to read a video from, until `drop`."""
        return path

    def drop(self, path: Path) -> None:
        """A video isn't read any more."""

    def place(self, path: Path) -> str:
        """Where a video is, for people and for later runs."""
        return str(path.absolute())

    def named(self, text: str) -> str:
        """A message, with names that people know."""
        return text
