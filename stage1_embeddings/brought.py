"""Features that utterances have without an encoder of their own here: from the data set's table, or from their videos.

A row of a dialogue stands for a whole utterance. Where each utterance has its video, the frames' features are computed
as for any video, and an utterance's row is their mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from common.datasets import Dataset
from common.datasets.tables.features import TableFeatures
from common.manifest import CachedClip, Clip
from common.recipe import Speech, Stage1
from common.schema import FEATURE_DTYPE, GIVEN_DTYPE, Modality, present
from common.store import read_clip
from common.videos import Videos
from stage1_embeddings.encoders.resolve import GIVEN, NONE

if TYPE_CHECKING:
    from stage1_embeddings.plan import FeaturePlan

Features = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


class RowFeatures(Protocol):
    """Where features of utterances come from."""

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Those it has."""
        ...

    def identity(self, clip: Clip) -> str:
        """A fingerprint of all it has for a clip; empty where it has nothing."""
        ...

    def rows(self, clip: Clip, modality: Modality) -> tuple[Features, Mask] | None:
        """(N, D) floating, NaN where absent, and (N,) bool, for the N utterances of a clip.

        None where none of them has any, and only the encoder knows how wide they would be.
        """
        ...


class FromTable:
    """Features that lie in the data set's table, already imported."""

    def __init__(self, table: TableFeatures, modalities: Sequence[Modality]) -> None:
        self._table = table
        self.modalities = tuple(modalities)

    def identity(self, clip: Clip) -> str:
        return self._table.identity(_numbers(clip)) if self.modalities else ""

    def rows(self, clip: Clip, modality: Modality) -> tuple[Features, Mask]:
        values, mask = self._table.rows(_numbers(clip), modality)
        return values.astype(GIVEN_DTYPE, copy=False), mask


class FromVideos:
    """Means over the frames of each utterance's own video, which are clips of a plan of their own."""

    modalities: tuple[Modality, ...] = ("visual", "audio")

    def __init__(self, plan: FeaturePlan) -> None:
        self.plan = plan
        self._contents: dict[str, str] = {}

    def videos(self, clip: Clip) -> list[Clip | None]:
        """The video of each utterance, as a clip; None where it has none."""
        return [
            Clip(f"{clip.id}_utt{number}", utterance.video, clip.split) if utterance.video else None
            for number, utterance in enumerate(clip.utterances)
        ]

    def learn(self, done: Mapping[str, Sequence[CachedClip]]) -> None:
        """Take from a run what it found or made of the videos, instead of opening their files."""
        self._contents |= {name: entries[0].content for name, entries in done.items()}

    def identity(self, clip: Clip) -> str:
        contents = [self._content(video) for video in self.videos(clip)]
        return json.dumps(contents) if any(contents) else ""

    def used(self, clips: Sequence[Clip]) -> dict[str, Any]:
        """The folder of the utterances' videos, and which of them there are, by id with their content."""
        found = {video.id: self._content(video) for clip in clips for video in self.videos(clip) if video is not None}
        folder = self.plan.folder.relative_to(self.plan.cache).as_posix()
        return {"folder": folder, "clips": {name: content for name, content in found.items() if content}}

    def rows(self, clip: Clip, modality: Modality) -> tuple[Features, Mask] | None:
        means = [self._mean(video, modality) for video in self.videos(clip)]
        there = {row: mean for row, mean in enumerate(means) if mean is not None}
        if not there:
            return None
        values = np.full((len(means), len(next(iter(there.values())))), np.nan, dtype=FEATURE_DTYPE)
        for row, mean in there.items():
            values[row] = mean
        return values, np.array([row in there for row in range(len(means))])

    def _content(self, video: Clip | None) -> str:
        """Empty where there is no video, or it couldn't be done; asked for once, when videos have been computed."""
        if video is None:
            return ""
        if video.id not in self._contents:
            done = self.plan.done(video, self.plan.source(video, fetch=False)) if video.source.is_file() else []
            self._contents[video.id] = done[0].content if done else ""
        return self._contents[video.id]

    def _mean(self, video: Clip | None, modality: Modality) -> npt.NDArray[np.float64] | None:
        """(D,) over the frames that have the modality; None where none has."""
        if not self._content(video):
            return None
        assert video is not None
        found = read_clip(self.plan.path(video), (modality, present(modality)))
        values, mask = np.asarray(found[modality]), np.asarray(found[present(modality)])
        return values[mask].mean(axis=0, dtype=np.float64) if mask.any() else None


@dataclass(frozen=True)
class Brought:
    """What a data set brings: where features come from, and which parts those of its table have.

    Attributes
    ----------
    parts : modality to names and widths of its parts, in the order in which they are joined
    """

    features: RowFeatures | None = None
    parts: Mapping[Modality, Mapping[str, int]] = field(default_factory=dict)


def settings_for(settings: Stage1, dataset: Dataset) -> Stage1:
    """Stage 1's settings with ``given`` or ``none`` for the modalities that a data set brings, or doesn't have."""
    encoders: dict[str, Any] = {
        modality: getattr(settings, modality).model_copy(update={"model": how, "revision": None})
        for modality, how in dataset.brings.items()
    }
    return settings.model_copy(update=encoders) if encoders else settings


def feature_plan(settings: Stage1, dataset: Dataset, cache: Path, videos: Videos | None = None) -> FeaturePlan:
    """The plan for a data set, with what it brings.

    Parameters
    ----------
    settings : as `settings_for` gives them
    videos : how those of the data set are read
    """
    from stage1_embeddings.plan import FeaturePlan

    features: RowFeatures | None = None
    if dataset.table is not None:
        given = [modality for modality, how in dataset.brings.items() if how == GIVEN]
        features = FromTable(TableFeatures(dataset.table), given)
    elif any(utterance.video for clip in dataset.clips for utterance in clip.utterances):
        wordless = settings.model_copy(
            update={
                "text": settings.text.model_copy(update={"model": NONE, "revision": None}),
                "speech": Speech(recogniser="none"),
            }
        )
        features = FromVideos(FeaturePlan(wordless, cache, videos=videos))
    return FeaturePlan(settings, cache, Brought(features, dataset.parts), videos)


def in_words(dataset: Dataset) -> list[str]:
    """A line on each modality that the data set brings, or doesn't have."""
    lines = []
    for modality, how in dataset.brings.items():
        parts = " + ".join(f"{name} ({width})" for name, width in dataset.parts.get(modality, {}).items())
        what = {GIVEN: f"the table's {parts}, no encoder", NONE: "there is none in this data set"}[how]
        lines.append(f"Stage 1: {modality}: {what}.")
    return lines


def _numbers(clip: Clip) -> list[int]:
    return [utterance.row for utterance in clip.utterances if utterance.row is not None]
