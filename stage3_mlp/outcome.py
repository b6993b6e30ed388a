"""What a run predicts: valence and arousal, or emotion classes. Everything that scores one can score the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from common.manifest import CachedClip, Manifest, Protocol
from common.recipe import fingerprint


class Outcome(ABC):
    """How predictions are made, scored and written down.

    Attributes
    ----------
    figures : names of a score's figures in tables, the one that counts last
    """

    figures: ClassVar[tuple[str, ...]]
    title: ClassVar[str]

    @abstractmethod
    def predict(
        self, head: Path, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], device: str
    ) -> list[Any]:
        """Predictions of the head in a folder for clips of a fused manifest."""

    @abstractmethod
    def identity(self, record: dict[str, Any]) -> Any:
        """What of a head's record, besides its weights, shapes its predictions."""

    @abstractmethod
    def measured(self, predictions: Sequence[Any], record: dict[str, Any]) -> dict[str, Any]:
        """Figures of predictions, and their intervals."""

    @abstractmethod
    def metrics(
        self, cache: Path, manifest: Manifest, predictions: Sequence[Any], record: dict[str, Any]
    ) -> dict[str, Any]:
        """What metrics.json holds: the figures, and what they are to be held against."""

    @abstractmethod
    def write_predictions(self, path: Path, predictions: Iterable[Any], protocol: Protocol = "honest") -> int:
        """Write a table of predictions, of data that is split by ``protocol``; say how many rows."""

    @abstractmethod
    def write_report(self, folder: Path, predictions: Sequence[Any], **known: Any) -> None:
        """Write the page of a test run, and what belongs to it.

        Parameters
        ----------
        known : ``metrics``, ``histories``, ``cache``, ``manifest`` (of the fused features), ``studies``, and perhaps
            ``pages``, from clips to the URLs of their pages
        """

    @property
    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """What `write_predictions` and `write_report` leave behind."""

    @abstractmethod
    def lines(self, metrics: dict[str, Any]) -> list[str]:
        """The score as lines of a terminal."""

    @abstractmethod
    def row(self, metrics: dict[str, Any]) -> dict[str, float]:
        """The `figures` of a score."""

    @abstractmethod
    def pair(self, prediction: Any) -> tuple[Any, Any]:
        """A prediction and its labels as the metrics take them."""

    @abstractmethod
    def score(self, pairs: Sequence[Any]) -> float:
        """The figure that counts, of such pairs."""

    @abstractmethod
    def draws(self, groups: Sequence[Sequence[Sequence[Any]]], repeats: int) -> npt.NDArray[np.float64]:
        """(models, repeats) draws of the figure that counts, paired; ``groups`` as in `common.bootstrap`."""

    @abstractmethod
    def nothing(self, metrics: dict[str, Any]) -> float:
        """The figure that counts, of a guess that looks at nothing."""

    @abstractmethod
    def ensemble(self, members: Sequence[Any]) -> Any:
        """The mean of several predictions of one clip."""

    def interval(self, metrics: dict[str, Any]) -> tuple[float, float]:
        """Of the figure that counts."""
        low, high = metrics["intervals"][self.interval_of]
        return low, high

    @property
    @abstractmethod
    def interval_of(self) -> str:
        """Its key among the intervals."""


def model_identity(record: dict[str, Any]) -> str:
    """A fingerprint of what predicts, by the record of its head: its weights, and what else shapes its predictions."""
    outcome = outcome_of(record.get("classes", []))  # an earlier version knew none
    return fingerprint("scored", record["weights_sha256"], outcome.identity(record))


def outcome_of(classes: Sequence[str]) -> Outcome:
    """What a run with these classes of a manifest, or of a record, predicts."""
    if classes:
        from stage3_mlp.emotions.outcome import Emotions

        return Emotions(tuple(classes))
    from stage3_mlp.dimensions import Dimensions

    return Dimensions()
