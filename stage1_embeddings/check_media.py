"""What can be wrong with a clip's video, crops and transcript, told without computing anything from them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from common.datasets.survey import Finding, Weight
from common.errors import MavenError
from common.files import sha256
from common.manifest import Clip
from common.media import decode
from common.media.container import opened
from common.recipe import Decode
from stage1_embeddings import transcript
from stage1_embeddings.faces import ready

#: Aff-Wild2's names that carry a rate: ``10-60-1280x720`` is number 10, tagged with 60 frames a second.
_TAGGED = re.compile(r"\d+-(\d+(?:\.\d+)?)-\d+x\d+(?:_left|_right)?")

#: 29.97 is as good as 30.
_SAME_RATE = 0.01

#: Of a kind of finding: it rests on a header, which may be wrong.
BY_HEADER = "by its header (--decode makes sure)"


class Notes:
    """Findings, in the order of their discovery."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def add(self, weight: Weight, kind: str, text: str, cure: str = "", details: tuple[str, ...] = ()) -> None:
        self.findings.append(Finding(weight, kind, text, cure, details))

    def error(self, weight: Weight, kind: str, error: Exception, details: tuple[str, ...] = ()) -> None:
        """What an error says."""
        if isinstance(error, MavenError):
            self.add(weight, kind, error.problem, error.cure, details)
        else:
            self.add(weight, kind, f"{error}.", "Check the disk and the rights.", details)


def check_transcript(clip: Clip, notes: Notes) -> None:
    """The words beside a video, if there are any."""
    try:
        path = transcript.find_transcript(clip.source)
        if path is not None:
            transcript.read_transcript(path)
    except (MavenError, OSError) as error:
        notes.error("fails", "faulty transcripts", error)


def check_video(path: Path, notes: Notes, *, decode_all: bool, limits: Decode) -> int | None:
    """How many frames a video has, decoded or by its header: 0 where that doesn't say; None if it can't be read."""
    try:
        info = decode.probe(path, limits=limits)
        frames = _frames_by_header(path, limits)
        if decode_all:
            claimed, frames = frames, sum(1 for _ in decode.times(path, limits=limits))
            for _ in decode.sound(path, limits=limits):
                pass
            if claimed not in (0, frames):
                text = f"{path} has {frames} frames, by its header {claimed}."
                notes.add("remark", "headers that count other frames", text)
    except (MavenError, OSError) as error:
        notes.error("fails", "videos that can't be decoded", error)
        return None
    if not info.has_audio:
        notes.add("remark", "videos without sound", str(path))
    if not frames:
        notes.add("remark", "videos whose header doesn't count frames (--decode does)", str(path))
    tagged = _TAGGED.fullmatch(path.stem)
    if tagged and not abs(info.average_rate_hz - float(tagged[1])) <= _SAME_RATE * float(tagged[1]):
        text = f"{path} runs at {info.average_rate_hz:.4g} frames a second."
        notes.add("remark", "rates other than the name says (times come from the container)", text)
    return frames


def check_crops(clip: Clip, notes: Notes, *, wanted: bool) -> int:
    """The highest number of a clip's ready crops, 0 where there are none; ``wanted``: the recipe takes them."""
    weight: Weight = "fails" if wanted else "remark"
    if clip.crops is None:
        if wanted:
            notes.add(weight, "clips without ready crops", f"{clip.id}: there is no cropped_aligned/{clip.id}.")
        return 0
    try:
        found = ready.images(clip.crops)
    except (MavenError, OSError) as error:
        notes.error(weight, "faulty crops", error)
        return 0
    if not found:
        notes.add(weight, "empty folders of crops", str(clip.crops))
        return 0
    highest = max(found) + 1
    if highest > len(found):
        text = f"{clip.crops}: {highest - len(found)} of 1 to {highest} are missing"
        notes.add("remark", "gaps in ready crops (frames without a face)", text)
    return highest


def check_surplus_crops(clip: Clip, highest: int, frames: int, notes: Notes, *, sure: bool) -> None:
    """Crops beyond the last frame, by the rule of `ready.frames`."""
    if highest - frames > max(ready.SURPLUS_FRAMES, ready.SURPLUS_SHARE * frames):
        text = f"{clip.crops} has crops up to number {highest}, but {clip.source.name} has {frames} frames."
        kind, cure = "crops beyond the video's frames", "Check that they belong together."
        if sure:
            notes.add("fails", kind, text, cure)
        else:
            notes.add("remark", f"{kind} {BY_HEADER}", text, cure)


def alike(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Groups of files with the same content. Only files of one size are read."""
    sizes: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        sizes[path.stat().st_size].append(path)
    for same in sizes.values():
        contents: dict[str, list[Path]] = defaultdict(list)
        for path in same if len(same) > 1 else []:
            contents[sha256(path)].append(path)
        yield from (group for group in contents.values() if len(group) > 1)


def _frames_by_header(path: Path, limits: Decode) -> int:
    """The frame count that a container claims, or that its duration and rate come to; 0 for neither."""
    with opened(path, limits) as file:
        stream = file.streams.best("video") or file.streams.video[0]
        if stream.frames:
            return int(stream.frames)
        duration_s = float(stream.duration * stream.time_base) if stream.duration else (file.duration or 0) / 1e6
        return round(duration_s * float(stream.average_rate or 0))
