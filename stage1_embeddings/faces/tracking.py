"""Faces followed through a video: detected on every n-th frame, carried by the picture's motion in between.

Between two detections nothing is looked for as long as nothing happens. Where a face comes, goes or can't be followed,
and where the video cuts, each frame is searched, so that first and last frames of a face are those of the detector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from common.errors import UsageError
from stage1_embeddings.faces.align import Picture
from stage1_embeddings.faces.choice import select
from stage1_embeddings.faces.cuts import View, views
from stage1_embeddings.faces.detect import Detector, Face, iou
from stage1_embeddings.faces.flow import carry
from stage1_embeddings.faces.identity import Identities, Track, look

__all__ = ["Frame", "Tracked", "select", "track"]

#: What a face that was carried along must share with its detection, for the frames in between to be believed.
_ARRIVED_IOU: Final = 0.6

#: Likeness it must have to what it was.
_ARRIVED_LIKE: Final = 0.3

#: From this overlap on, one face may hide another, and points of the one move with the other.
_TOUCHING_IOU: Final = 0.1


@dataclass(frozen=True, eq=False)
class Tracked:
    """A face in a frame.

    Attributes
    ----------
    track : int
        The number of the person's track, from 1 in order of appearance.
    face : Face
    detected : bool
        Found in this very frame, not carried here from its neighbours.
    """

    track: int
    face: Face
    detected: bool


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame and its faces.

    Attributes
    ----------
    time_s : float
    picture : (H, W, 3) uint8, RGB
    faces : list of Tracked
        In no particular order; each track at most once.
    """

    time_s: float
    picture: Picture
    faces: list[Tracked]


def track(frames: Iterable[tuple[float, Picture]], detector: Detector, *, every_frames: int) -> Iterator[Frame]:
    """Follow every face through a video.

    A face keeps its number as long as it is seen, and where it was lost for up to a second if it comes back near
    where it was going and looks the same. No number goes across a cut: a person who is shown again in a later shot
    is a new track. A face that is seen only between two searched frames, where nothing else happens, is not found.

    Parameters
    ----------
    frames : iterable of (time_s, (H, W, 3) uint8 RGB)
        In order, times strictly increasing. ``every_frames + 3`` of them are in memory at most.
    detector : Detector
        One that takes each frame for a face (``none``) gives a single track.
    every_frames : int
        Search every n-th frame; 1 searches each.

    Yields
    ------
    Frame
        Each frame that went in, in order.

    Raises
    ------
    UsageError
        If ``every_frames`` is below 1.
    """
    if every_frames < 1:
        raise UsageError(f"faces.every_frames is {every_frames}.", "Give a whole number from 1 on.")
    if detector.whole_frame:
        return _whole_frames(frames, detector)
    return _followed(frames, detector, every_frames)


def _whole_frames(frames: Iterable[tuple[float, Picture]], detector: Detector) -> Iterator[Frame]:
    for time_s, picture in frames:
        yield Frame(time_s, picture, [Tracked(1, face, True) for face in detector.detect_all(picture)])


def _followed(frames: Iterable[tuple[float, Picture]], detector: Detector, every_frames: int) -> Iterator[Frame]:
    following = _Following(detector)
    group: list[View] = []
    for view in views(frames):
        group.append(view)
        # The first frame is searched at once: the first group is carried from it.
        if len(group) == every_frames or following.last is None:
            yield from following.group(group)
            group = []
    yield from following.group(group)


class _Following:
    """The frame that was searched last and its tracks, carried on group by group."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._identities = Identities()
        self.last: View | None = None

    def group(self, group: list[View]) -> Iterator[Frame]:
        """The frames of ``group``, of which the last one is searched, and the others where that's necessary."""
        if not group:
            return
        *before, end = group
        found = self._detector.detect_all(end.picture)
        paths = self._paths(group, found) if before else None
        self.last = end
        if paths is None:
            for view in before:
                yield self._searched(view, self._detector.detect_all(view.picture))
            yield self._searched(end, found)
            return
        for index, view in enumerate(before):
            yield Frame(view.time_s, view.picture, [Tracked(number, path[index], False) for number, path in paths])
        self._identities.keep(end.time_s, end.picture, [path[-1] for _, path in paths], [number for number, _ in paths])
        yield Frame(end.time_s, end.picture, [Tracked(number, path[-1], True) for number, path in paths])

    def _searched(self, view: View, found: list[Face]) -> Frame:
        if view.cut:
            self._identities.cut()
        numbers = self._identities.assign(view.time_s, view.picture, found)
        faces = [Tracked(number, face, True) for number, face in zip(numbers, found, strict=True)]
        return Frame(view.time_s, view.picture, faces)

    def _paths(self, group: list[View], found: list[Face]) -> list[tuple[int, list[Face]]] | None:
        """Each track's number and its faces in the group, the last one of ``found``; None where that isn't certain."""
        tracks = self._identities.present
        if self.last is None or len(tracks) != len(found) or not _one_shot(self.last, group):
            return None
        if not tracks:
            return []
        greys = [self.last.grey, *(view.grey for view in group)]
        paths = carry(greys, [each.face for each in tracks], shrink=self.last.shrink)
        if paths is None or any(_touching(faces) for faces in zip(*paths, strict=True)):
            return None
        arrived = _arrived(tracks, [path[-1] for path in paths], found, group[-1].picture)
        if arrived is None:
            return None
        return [(each.number, _drifted(path, end)) for each, path, end in zip(tracks, paths, arrived, strict=True)]


def _arrived(
    tracks: Sequence[Track], carried: Sequence[Face], found: Sequence[Face], picture: Picture
) -> list[Face] | None:
    """The detection each carried face arrived at; None unless all did, each at one of its own."""
    arrived = []
    taken: set[int] = set()
    for each, face in zip(tracks, carried, strict=True):
        overlaps = [iou(face.box, other.box) for other in found]
        nearest = overlaps.index(max(overlaps))
        like = float(each.look @ look(picture, found[nearest]))
        if overlaps[nearest] < _ARRIVED_IOU or like < _ARRIVED_LIKE or nearest in taken:
            return None
        taken.add(nearest)
        arrived.append(found[nearest])
    return arrived


def _drifted(path: Sequence[Face], end: Face) -> list[Face]:
    """``path`` up to ``end``, with what its last face is off there spread evenly over the way."""
    last = path[-1]
    box, landmarks, score = end.box - last.box, end.landmarks - last.landmarks, end.score - last.score
    drifted = []
    for index, face in enumerate(path[:-1]):
        share = (index + 1) / len(path)
        drifted.append(Face(face.box + box * share, face.landmarks + landmarks * share, face.score + score * share))
    return [*drifted, end]


def _touching(faces: Sequence[Face]) -> bool:
    return any(iou(a.box, b.box) > _TOUCHING_IOU for i, a in enumerate(faces) for b in faces[:i])


def _one_shot(last: View, group: Sequence[View]) -> bool:
    """Whether the picture goes on without a cut, at one size."""
    return all(not view.cut and view.picture.shape == last.picture.shape for view in group)
