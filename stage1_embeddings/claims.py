"""Who is at which clip: several processes, on one machine or many, share a cache, and no clip is done twice."""

from __future__ import annotations

from pathlib import Path

from common.claims import SUFFIX, Claim
from common.files import remove_partials


class Claims:
    """The claims of this process in one folder of features; see common/claims.py."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ".claims"
        self._claims: dict[str, Claim] = {}
        remove_partials(self._folder)

    def take(self, clip: str) -> bool:
        """Claim a clip; False where another process has it, or this one already."""
        # Kept where it isn't had: it knows since when the other hasn't stirred.
        return self._claims.setdefault(clip, Claim(self._folder / f"{clip}{SUFFIX}")).take()

    def release(self, clip: str) -> None:
        """Give a clip back; one that isn't held is none of this process's business."""
        claim = self._claims.pop(clip, None)
        if claim is not None:
            claim.release()

    def release_all(self) -> None:
        for clip in list(self._claims):
            self.release(clip)
