"""A clip on its way, what a run did, and how to say both."""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.errors import MavenError, ModelError, StorageError, UsageError
from common.manifest import CachedClip, Clip, Failure
from common.rows import Arrays
from common.schema import MODALITIES, Modality, present
from stage1_embeddings.clip import ClipInHand
from stage1_embeddings.source import Source
from stage1_embeddings.utterances import UtterancesInHand


@dataclass
class Tally:
    """What one run did; ``done`` by the clip's id, one entry per file."""

    done: dict[str, list[CachedClip]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    computed: int = 0
    wordless: int = 0
    filtered: int = 0

    def add(self, other: Tally) -> None:
        """Take in what was done elsewhere."""
        self.done |= other.done
        self.failures += other.failures
        self.mended += other.mended
        self.computed += other.computed
        self.wordless += other.wordless
        self.filtered += other.filtered


@dataclass
class Job:
    """A clip on its way."""

    clip: Clip
    source: Source
    missing: tuple[Modality, ...]
    labels: Any
    hand: ClipInHand | UtterancesInHand
    began_s: float


#: What a single clip can do wrong; whatever it is, the others go on.
CLIP_ERRORS = (MavenError, OSError, RuntimeError, ValueError)

#: Of the disk, not of a clip.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def ends_the_run(error: Exception) -> bool:
    """Would every other clip meet the same?"""
    if isinstance(error, StorageError):
        return not error.one_object
    return isinstance(error, ModelError | UsageError) or (isinstance(error, OSError) and error.errno in _DISK)


def failure_of(clip: Clip, error: Exception) -> Failure:
    """What to say of a clip that an error ended."""
    if isinstance(error, MavenError):
        return Failure(clip.id, error.problem, error.cure)
    logging.getLogger(__name__).debug("%s failed", clip.id, exc_info=error)
    if isinstance(error, OSError) and error.strerror:
        return Failure(clip.id, f"{error.filename or clip.source}: {error.strerror}.", "Check the disk and the rights.")
    kind = type(error).__name__
    return Failure(clip.id, f"{clip.source}: {kind}: {error}.", "This is unexpected; please report it with the clip.")


def in_words(arrays: Arrays) -> str:
    """Frames, and the share of them that has each modality."""
    names = {"visual": "face", "audio": "sound", "text": "words"}
    shares = []
    for modality in MODALITIES:
        mask: Any = arrays[present(modality)]
        mask = mask if isinstance(mask, np.ndarray) else mask.read(0, mask.shape[0])
        shares.append(f"{names[modality]} {np.mean(mask):.0%}")
    return f"{len(mask)} frames, {', '.join(shares)}"
