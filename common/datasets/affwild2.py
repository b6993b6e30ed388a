"""Aff-Wild2 as it is distributed: videos, ready crops, and annotation files in train, validation and test folders.

    <root>/.../<video>.mp4 or .avi                              in any number of folders: batch1, batch2, new_vids ...
    <root>/.../cropped_aligned/<video>/00001.jpg                also cropped_aligned_new_50_vids
    <root>/.../VA_Estimation_Challenge/.../{Train,Validation,Test}_Set/<video>.txt

Either videos or ready crops will do. Only valence and arousal are read: folders of other challenges are never entered.

**Two people in a video.** Each has an annotation file, and each is a clip.

- ``X_left.txt`` and ``X_right.txt`` are about the face on that side of ``X.mp4``.
- ``X.txt`` beside ``X_right.txt`` alone is about the left one; beside ``X_left.txt`` alone, about the right one.
- ``X.txt`` beside both is about the largest face.
- Ready crops in a folder called exactly like the annotation file are that person's.

**The challenge's test set** comes without annotation files. So where the train folder holds annotations and the test
folder none, videos (and crops) that no annotation names are clips of the test split without labels.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from common.datasets.annotations import fit_to_frames, read_annotation
from common.datasets.folder import is_crops, is_video, natural
from common.datasets.survey import Finding, Survey, clip_findings
from common.errors import DataError
from common.files import NAME_CURE, safe_name
from common.manifest import Clip
from common.schema import Split

__all__ = ["CHALLENGE", "SPLIT_FOLDERS", "clips", "fit_to_frames", "read_annotation", "survey"]

CHALLENGE = "VA_Estimation_Challenge"
SPLIT_FOLDERS: dict[str, Split] = {"Train_Set": "train", "Validation_Set": "validation", "Test_Set": "test"}

Side = Literal["left", "right"]
_SIDE = re.compile(r"(.+)_(left|right)")
_OPPOSITE: dict[str, Side] = {"left": "right", "right": "left"}

#: Added by archives that were packed on a Mac.
_NO_DATA = "__MACOSX"


@dataclass
class _Places:
    """What a walk through the data set came by; paths in natural order."""

    videos: list[Path] = field(default_factory=list)
    crops: list[Path] = field(default_factory=list)
    annotations: list[Path] = field(default_factory=list)
    unreadable: list[OSError] = field(default_factory=list)


def survey(root: Path) -> Survey | None:
    """What lies in ``root``: clips (by split, in natural order), all that is unexpected; None for another layout.

    A clip is an annotated video or person in it, or an unlabelled one of the test set.
    """
    places = _places(root)
    if not places.annotations:
        return None
    findings = [
        Finding("refused", "folders that can't be read", f"{error.filename}: {error.strerror}.", "Check the rights.")
        for error in places.unreadable
    ]
    if len(places.annotations) > 1:
        text = f"Annotations lie in {' and in '.join(str(path) for path in places.annotations)}."
        findings.append(Finding("refused", "several annotation folders", text, f"Keep one of them below {root}."))
    people = _People(root, places)
    annotated, strays = _annotations(places.annotations[0])
    clips = people.clips(annotated)
    return Survey("affwild2", root, clips, (*findings, *strays, *people.findings, *clip_findings(clips, root)))


def clips(root: Path) -> tuple[Clip, ...]:
    """The clips of `survey`, if nothing is in the way.

    Raises
    ------
    DataError
        With all annotation files that have no video, all videos of one name, and so on; or for another layout.
    """
    found = survey(root)
    if found is None:
        raise DataError(f"{root} has no {CHALLENGE} folder.", "See README.md for Aff-Wild2's layout.")
    return found.accepted()


class _People:
    """Makes clips: finds the video and the crops of a name, and whose face it is about."""

    def __init__(self, root: Path, places: _Places) -> None:
        self.findings: list[Finding] = []
        self._root = root
        self._videos: dict[str, Path] = {}
        self._crops: dict[str, Path] = {}
        for path in places.videos:
            other = self._videos.setdefault(path.stem, path)
            if other is not path:
                text = f"Two videos are called {path.stem!r}: {other} and {path}."
                self._add("refused", "two videos of one name", text, "Keep one of them.")
        for path in places.crops:
            other = self._crops.setdefault(path.name, path)
            if other is not path:
                self._add("remark", "ready crops in two folders", f"{other} is taken, {path} is not.")

    def clips(self, annotated: list[tuple[Path, Split]]) -> tuple[Clip, ...]:
        names: list[tuple[str, Path | None, Split]] = [(path.stem, path, split) for path, split in annotated]
        known = {name for name, _, _ in names}
        spare = self._without_annotation(known)
        splits = {split for _, split in annotated}
        if "train" in splits and "test" not in splits:
            names += [(name, None, "test") for name in spare]
            known.update(spare)
            kind = "videos or crops without annotation: clips of the test split without labels"
        else:
            kind = "videos or crops without annotation: passed over"
        for name in spare:
            self._add("remark", kind, str(self._videos.get(name) or self._crops[name]))
        return tuple(clip for one in names if (clip := self._clip(*one, known)) is not None)

    def _clip(self, name: str, annotation: Path | None, split: Split, known: set[str]) -> Clip | None:
        video, crops = self._videos.get(self._video_of(name)), self._crops.get(name)
        source = video or crops
        if source is None:
            text = f"{annotation} has neither a video nor ready crops below {self._root}."
            self._add("refused", "annotations without video", text, "Add the videos, or move these files away.")
            return None
        try:
            safe_name(name, annotation or source)
        except DataError:
            text = f"{str(annotation or source)!r} can't name a clip."
            self._add("refused", "names", text, NAME_CURE)
            return None
        return Clip(name, source, split, annotation, crops, self._side(name, known) if video else None)

    def _side(self, name: str, known: set[str]) -> Side | None:
        """Which of two people a name is about, by the rules above."""
        if name not in self._videos:
            two = _SIDE.fullmatch(name)
            return "left" if two and two[2] == "left" else "right" if two else None
        beside = [side for side in _OPPOSITE if f"{name}_{side}" in known and f"{name}_{side}" not in self._videos]
        if not beside:
            return None
        side = _OPPOSITE[beside[0]] if len(beside) == 1 else None
        others = " and ".join(f"{name}_{other}" for other in beside)
        whose = f"the face on the {side}" if side else "the largest face"
        self._add("remark", "people without a side in their name", f"{name} beside {others} is {whose}.")
        return side

    def _video_of(self, name: str) -> str:
        two = _SIDE.fullmatch(name)
        return two[1] if two and name not in self._videos else name

    def _without_annotation(self, named: set[str]) -> list[str]:
        """Videos and crops of which no annotation names the video; where crops tell people apart, those."""
        videos = {self._video_of(name) for name in named}
        names = {*self._videos, *self._crops}
        spare = [name for name in names if self._video_of(name) not in videos]
        told_apart = {self._video_of(name) for name in spare if self._video_of(name) != name} - set(self._crops)
        return sorted((name for name in spare if name not in told_apart), key=natural)

    def _add(self, *finding: str) -> None:
        self.findings.append(Finding(*finding))  # type: ignore[arg-type]


def _annotations(folder: Path) -> tuple[list[tuple[Path, Split]], list[Finding]]:
    """Annotation files with their splits, in natural order; what else lies among them."""
    found: list[tuple[Path, Split]] = []
    strays: list[Finding] = []
    for name, split in SPLIT_FOLDERS.items():
        place = folder / name
        entries = sorted(place.iterdir() if place.is_dir() else (), key=lambda path: natural(path.stem))
        for path in entries:
            if path.name.startswith("."):
                continue
            if path.suffix.lower() == ".txt" and path.is_file():
                found.append((path, split))
            else:
                strays.append(Finding("remark", "no annotation files, among them", str(path)))
    return found, strays


def _places(root: Path) -> _Places:
    """One walk; what it came by is complete where there are annotations. Folders of crops are not entered: they are
    millions of files.
    """
    places = _Places()
    found: list[tuple[Path, str]] = []
    for path, inside, names in os.walk(root, onerror=places.unreadable.append):
        folder = Path(path)
        crops = is_crops(folder.name)
        if any(name in inside for name in SPLIT_FOLDERS) and CHALLENGE in (
            root.name,
            *folder.relative_to(root).parts,
        ):
            places.annotations.append(folder)
        inside[:] = [name for name in inside if not _passed_over(name)]
        if crops:
            places.crops += [folder / name for name in inside if not is_crops(name)]
            inside[:] = [name for name in inside if is_crops(name)]
            continue
        found += [(folder, name) for name in names if is_video(name)]
    if not places.annotations:
        return places  # it is another layout, perhaps of a million videos
    videos = (folder / name for folder, name in found)
    places.videos = [video for video in videos if video.is_file()]
    for paths in (places.videos, places.crops, places.annotations):
        paths.sort(key=lambda path: natural(str(path.relative_to(root))))
    return places


def _passed_over(name: str) -> bool:
    other_challenge = name.endswith("_Challenge") and name != CHALLENGE
    return name.startswith(".") or name == _NO_DATA or other_challenge
