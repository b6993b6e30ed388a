"""Everything unexpected in a data set, at once and before any GPU hour is spent. Loads no model.

    python -m stage1_embeddings check-data --data DIR --recipe maven [--decode] [--all]

Annotations are read whole and crops are counted. Of videos the header and the first frame are read; ``--decode`` reads
picture and sound to their end, which is the only way to know that stage 1 will. Findings have three weights: "refused",
"fails" and "remark" (`common.datasets.survey.Weight`). check_words.py puts them into words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.datasets.annotations import Labels, fit_to_frames, scan_annotation
from common.datasets.survey import Finding, Survey
from common.errors import DataError
from common.manifest import Clip
from common.recipe import Recipe, Stage1
from common.schema import NO_EMOTION, SPLITS, Split
from stage1_embeddings.check_media import (
    BY_HEADER,
    Notes,
    alike,
    check_crops,
    check_surplus_crops,
    check_transcript,
    check_video,
)


@dataclass
class SplitCount:
    """What a split holds: clips, those with labels, rows of labels, those of them that can't be read.

    ``emotions`` counts the rows of each class, where labels are emotions; -1 is "not annotated".
    """

    clips: int = 0
    labelled: int = 0
    rows: int = 0
    faulty: int = 0
    values: list[Labels] = field(default_factory=list)
    emotions: Counter[int] = field(default_factory=Counter)

    def add(self, labels: Labels, faulty: int) -> None:
        self.rows += len(labels)
        self.faulty += faulty
        self.values.append(labels[~np.isnan(labels).any(axis=1)])

    @property
    def annotated(self) -> Labels:
        """(N, 2) float32: the rows that have both labels."""
        return np.concatenate([np.empty((0, 2), np.float32), *self.values])


@dataclass(frozen=True)
class DataCheck:
    """The result: counts of the splits that occur, and all findings, those of the layout first."""

    survey: Survey
    counts: dict[Split, SplitCount]
    findings: tuple[Finding, ...]
    decoded: bool

    @property
    def passed(self) -> bool:
        """Would stage 1 do every clip, as far as this can tell?"""
        return all(finding.weight == "remark" for finding in self.findings)


def check_data(
    recipe: Recipe, found: Survey, *, decode_all: bool = False, clip_done: Callable[[], object] = lambda: None
) -> DataCheck:
    """Look at every file that stage 1 would read.

    Parameters
    ----------
    recipe : Recipe
        What it wants of the data: ready crops or none, labels of which kind.
    found : Survey
        The data set, by `common.datasets.survey_dataset`.
    decode_all : bool
        Decode videos and sound to their end, as stage 1 will.
    clip_done : callable
        Called after each clip.
    """
    check = _Check(recipe.stage1, decode_all)
    for clip in found.clips:
        check.clip(clip)
        clip_done()
    check.same_content(found.clips)
    check.policy(found.clips)
    check.labels(found, categorical=recipe.categorical)
    counts = {split: check.counts[split] for split in SPLITS if split in check.counts}
    return DataCheck(found, counts, (*found.findings, *check.notes.findings), decode_all)


class _Check:
    """Looks at one clip after another."""

    def __init__(self, settings: Stage1, decode_all: bool) -> None:
        self.notes = Notes()
        self.counts: dict[Split, SplitCount] = defaultdict(SplitCount)
        self._faces, self._limits, self._decode_all = settings.faces, settings.decode, decode_all
        self._wants_crops = settings.faces.detector == "crops"
        self._frames: dict[Path, int | None] = {}

    def _video(self, path: Path) -> int | None:
        return check_video(path, self.notes, decode_all=self._decode_all, limits=self._limits)

    def clip(self, clip: Clip) -> None:
        self.counts[clip.split].clips += 1
        if clip.utterances:
            self._utterances(clip)
            for utterance in clip.utterances:
                if utterance.video is not None:
                    self._video(utterance.video)
            return
        labels = self._labels(clip) if clip.annotation is not None else None
        highest = check_crops(clip, self.notes, wanted=self._wants_crops)
        check_transcript(clip, self.notes)
        if clip.source.is_dir():
            self._crops_alone(clip, labels, highest)
            return
        if clip.source not in self._frames:  # two people share theirs
            self._frames[clip.source] = self._video(clip.source)
        frames = self._frames[clip.source]
        if frames and labels is not None:
            self._fit(clip, labels, frames)
        if frames and self._wants_crops:
            check_surplus_crops(clip, highest, frames, self.notes, sure=self._decode_all)

    def same_content(self, clips: Iterable[Clip]) -> None:
        """One video in two splits, as itself or as another file of the same content."""
        splits: dict[Path, set[Split]] = defaultdict(set)
        for clip in {clip.id: clip for clip in clips}.values():  # a repeated id is a finding already
            if clip.source in self._frames and clip.source.is_file():
                splits[clip.source].add(clip.split)
        cure = "Stage 2 refuses to train on it: keep each video in one split."
        for path, several in splits.items():
            if len(several) > 1:
                text = f"{path} is in {' and in '.join(sorted(several))}."
                self.notes.add("refused", "one video in two splits", text, cure)
        for first, *others in alike(list(splits)):
            for path in others:
                one, two = (f"{which} ({', '.join(sorted(splits[which]))})" for which in (path, first))
                if splits[path] == splits[first]:
                    self.notes.add("remark", "the same video under two names", f"{one} is {two}")
                else:
                    kind = "the same video under two names, in different splits"
                    self.notes.add("refused", kind, f"{one} is {two}", cure)

    def policy(self, clips: Iterable[Clip]) -> None:
        if self._faces.policy == "all" and any(clip.annotation is not None for clip in clips):
            text = "faces.policy: all makes each face a clip, but labels are one person's."
            self.notes.add("refused", "settings", text, "Take largest, left or right for data with labels.")

    def labels(self, found: Survey, *, categorical: bool) -> None:
        """Would stage 2 train on what is labelled, by this recipe?"""
        labelled = {split: count for split, count in self.counts.items() if count.labelled}
        if not labelled:
            return
        if bool(found.classes) != categorical:
            wants, has = ("emotion classes", "valence and arousal")[:: 1 if categorical else -1]
            text = f"The recipe is about {wants}; {found.root} is labelled with {has}."
            self.notes.add("refused", "recipe", text, "Take a recipe made for such labels.")
        if not found.classes:
            return
        for split in ("train", "validation"):
            if split not in labelled:
                text = f"{found.root} has no labelled clip in its {split} split."
                self.notes.add("refused", "splits", text, "Training needs labels in both.")
        if len(found.classes) == 1:
            text = f"Every label of {found.root} is {found.classes[0]!r}: there is nothing to tell apart."
            self.notes.add("refused", "classes", text, "Give it rows of two classes or more.")

    def _utterances(self, clip: Clip) -> None:
        count, empty = self.counts[clip.split], float("nan")
        emotions = [NO_EMOTION if row.emotion is None else row.emotion for row in clip.utterances]
        rows = [[empty if value is None else value for value in (row.valence, row.arousal)] for row in clip.utterances]
        values = np.array(rows, dtype=np.float32)
        if not np.isnan(values).all():
            count.labelled += 1
            count.add(values, 0)
            return
        count.labelled += any(emotion != NO_EMOTION for emotion in emotions)
        count.rows += len(emotions)
        count.emotions.update(emotions)

    def _labels(self, clip: Clip) -> Labels | None:
        """A clip's labels, those that can be read; None where none can."""
        assert clip.annotation is not None
        count = self.counts[clip.split]
        count.labelled += 1
        try:
            labels, faults = scan_annotation(clip.annotation)
        except OSError as error:
            self.notes.error("fails", "faulty annotations", error)
            return None
        count.add(labels, len(faults) if len(labels) else 0)
        if faults:
            rest = tuple(fault.problem for fault in faults[1:])
            self.notes.error("fails", "faulty annotations", faults[0], rest)
        elif not len(count.values[-1]):
            self.notes.add("remark", "annotations that are -5 throughout", str(clip.annotation))
        return labels if len(labels) else None

    def _fit(self, clip: Clip, labels: Labels, frames: int) -> None:
        """Rows against frames, by the rule of `fit_to_frames`."""
        assert clip.annotation is not None
        kind, sure = "annotations that don't fit their video", self._decode_all
        try:
            _, mended = fit_to_frames(labels, frames, clip.annotation)
        except DataError as error:
            if sure:
                self.notes.error("fails", kind, error)
            else:
                self.notes.error("remark", f"{kind} {BY_HEADER}", error)
            return
        if mended:
            kind = "rows and frames that nearly agree, which is mended"
            self.notes.add("remark", kind if sure else f"{kind} (frames by the header)", mended)

    def _crops_alone(self, clip: Clip, labels: Labels | None, highest: int) -> None:
        """Ready crops without their video: their clock is a setting, their frames reach to the last crop or row."""
        kind, notes = "ready crops without their video", self.notes
        if not self._wants_crops:
            notes.add("fails", kind, f"{clip.source} has ready crops only.", "Set stage1.faces.detector: crops.")
        elif self._faces.crops_rate_hz is None:
            notes.add("fails", kind, f"{clip.source} has no clock.", "Set stage1.faces.crops_rate_hz.")
        if labels is None or highest <= len(labels) or clip.annotation is None:
            return
        try:
            fit_to_frames(labels, highest, clip.annotation)
        except DataError as error:
            notes.error("fails", "crops beyond the annotation's rows", error)
        else:
            text = f"{clip.source}: crops up to number {highest}, {len(labels)} rows"
            notes.add("remark", "crops beyond the annotation's rows, which is mended", text)
