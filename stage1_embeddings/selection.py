"""Which clips of a data set a run is about: ``--only``, ``--limit``, ``--shard``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import UsageError
from common.manifest import Clip
from common.outside_text import shortened
from common.patterns import fitting


@dataclass(frozen=True)
class Selection:
    """A part of a data set.

    Attributes
    ----------
    only : names or patterns (``talk*``) of clips; empty for all
    limit : the first so many of them
    shard : (i, n), the i-th of n parts that several machines share out, from 1
    retry_failed : try clips again that are set aside
    """

    only: tuple[str, ...] = ()
    limit: int | None = None
    shard: tuple[int, int] | None = None
    retry_failed: bool = False

    def chosen(self, clips: Sequence[Clip]) -> list[Clip]:
        """The clips that the run is about, its shard or not.

        Raises
        ------
        UsageError
            If a name or pattern fits no clip.
        """
        wanted = set(fitting([clip.id for clip in clips], self.only, "--only"))
        found = [clip for clip in clips if not self.only or clip.id in wanted]
        return found[: self.limit]

    def mine(self, clips: Sequence[Clip]) -> list[Clip]:
        """Those of the chosen clips that are this shard's."""
        if self.shard is None:
            return list(clips)
        part, parts = self.shard
        return list(clips[part - 1 :: parts])


def read_shard(text: str) -> tuple[int, int]:
    """``2/8`` as (2, 8).

    Raises
    ------
    UsageError
        If it is something else.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(
            f"--shard {shortened(text)} isn't i/n with i from 1 to n.", "As in --shard 1/4, --shard 2/4 ..."
        )
    return int(match[1]), int(match[2])
