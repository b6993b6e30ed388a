"""Which of the faces in a frame a clip is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal

from common.errors import UsageError
from stage1_embeddings.faces.detect import area

if TYPE_CHECKING:
    from stage1_embeddings.faces.tracking import Tracked

#: Tracks whose side is remembered: far more than can come back.
_REMEMBERED: Final = 64

Side = Literal["left", "right"]


def select(policy: str) -> Callable[[Sequence[Tracked], float], Tracked | None]:
    """A new choice by a policy, to be asked frame after frame of one video.

    Parameters
    ----------
    policy : {"largest", "left", "right"}
        ``largest``: the person of the frame before as long as they are seen, then the largest face. ``left``,
        ``right``: one of two people, by `OneSide`.

    Returns
    -------
    callable
        From a frame's faces and its width in pixels to the chosen face, or None.

    Raises
    ------
    UsageError
        If there is no such policy, or it takes all.
    """
    if policy == "largest":
        return Largest()
    if policy == "left":
        return OneSide("left")
    if policy == "right":
        return OneSide("right")
    raise UsageError(f"faces.policy {policy!r} doesn't choose one face.", "Choose largest, left or right.")


class Largest:
    """The person of the frame before as long as they are seen, then the largest face."""

    def __init__(self) -> None:
        self._track: int | None = None

    def __call__(self, faces: Sequence[Tracked], frame_width_px: float) -> Tracked | None:
        same = next((one for one in faces if one.track == self._track), None)
        chosen = same or max(faces, key=lambda one: area(one.face), default=None)
        self._track = chosen.track if chosen else None
        return chosen


class OneSide:
    """The left or the right of two people, as the viewer sees them.

    The two largest faces of a frame are on the left and on the right of each other, but a track keeps the side it
    had most: two people who change places stay who they are. A lone face that has never been beside another is on
    the side of the half of the picture that it first was in.
    """

    def __init__(self, side: Side) -> None:
        self._side = side
        self._seen: dict[int, Counter[Side]] = {}
        self._first: dict[int, Side] = {}

    def __call__(self, faces: Sequence[Tracked], frame_width_px: float) -> Tracked | None:
        two = sorted(sorted(faces, key=lambda one: -area(one.face))[:2], key=_centre_px)
        if len(two) < 2:
            return next((one for one in two if self._of_lone(one, frame_width_px) == self._side), None)
        left, right = two
        if self._times(left, "right") + self._times(right, "left") > (
            self._times(left, "left") + self._times(right, "right")
        ):
            left, right = right, left
        self._count(left, "left")
        self._count(right, "right")
        return left if self._side == "left" else right

    def _count(self, one: Tracked, side: Side) -> None:
        # Last seen, last in line: what falls out is long gone.
        seen = self._seen.pop(one.track, Counter())
        seen[side] += 1
        self._seen[one.track] = seen
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _times(self, one: Tracked, side: Side) -> int:
        return self._seen[one.track][side] if one.track in self._seen else 0

    def _mostly(self, one: Tracked) -> Side | None:
        left, right = self._times(one, "left"), self._times(one, "right")
        if left == right:
            return None
        return "left" if left > right else "right"

    def _of_lone(self, one: Tracked, frame_width_px: float) -> Side:
        side = self._mostly(one)
        if side is not None:
            return side
        half: Side = "left" if _centre_px(one) < frame_width_px / 2 else "right"
        first = self._first.pop(one.track, half)
        self._first[one.track] = first
        if len(self._first) > _REMEMBERED:
            del self._first[next(iter(self._first))]
        return first


def _centre_px(one: Tracked) -> float:
    return float(one.face.box[0] + one.face.box[2] / 2)
