"""What is learnt on the way through the checks, and needed by later ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DataSize:
    """How much there is of a data set: clips, those whose frames are trained on, frames (or utterances), hours.

    Attributes
    ----------
    broken : int
        Videos that can't be opened.
    """

    clips: int
    trained: int
    frames: int
    hours: float
    broken: int = 0


@dataclass
class Found:
    """What is known so far.

    Attributes
    ----------
    fetching : bool
        Fetch what is missing of the models first.
    size : DataSize or None
        Of the data set, where one is named.
    brings : modality to ``given`` or ``none``
        Modalities of the data set that no encoder is asked for.
    widths : modality to the width D of its features, where the model's configuration says so
    missing : int
        Hub models that are still to be fetched.
    """

    fetching: bool = False
    size: DataSize | None = None
    brings: Mapping[str, str] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    missing: int = 0
