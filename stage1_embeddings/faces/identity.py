"""Whose face is it: detections of one frame given to the tracks of the frames before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from stage1_embeddings.faces.align import Picture
from stage1_embeddings.faces.detect import Face, area, iou

Floats = npt.NDArray[np.float64]

#: A face that was away for longer comes back under a new number.
LOST_S: Final = 1.0

#: Overlap with its predicted place from which a face may be the one of the frame before.
SAME_PLACE_IOU: Final = 0.2

#: Likeness, the correlation of two thumbnails, that a face seen in the frame before must have; and one that was lost,
#: where it was expected (it may still be half hidden) and at the end of its reach. Of a face with itself a second
#: later 0.94, with others in the same dark hall 0.62 (medians).
_LIKE_BEFORE: Final = 0.2
_LIKE_LOST: Final = (0.5, 0.8)

_THUMBNAIL_PX: Final = 12
_LEAST_CONTRAST: Final = 60.0
_NEW_SHARE: Final = 0.3
_MOST_GROWTH: Final = 2.0


@dataclass
class Track:
    """One face through a shot: its number, and where, when and how it was seen last."""

    number: int
    face: Face
    time_s: float
    look: Floats
    velocity_px_s: Floats

    def at(self, time_s: float) -> npt.NDArray[np.float32]:
        """(4,) box where its motion puts it at ``time_s``."""
        box = self.face.box.copy()
        box[:2] += self.velocity_px_s * (time_s - self.time_s)
        return box


class Identities:
    """Tracks of one shot: those in the picture, and those lost no longer than a second ago."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._count = 0
        self._time_s = 0.0

    @property
    def present(self) -> list[Track]:
        """Tracks with a face in the frame that was last given."""
        return [track for track in self._tracks if track.time_s == self._time_s]

    def cut(self) -> None:
        """Forget all: nothing of the next frame belongs to a face before."""
        self._tracks.clear()

    def assign(self, time_s: float, picture: Picture, faces: Sequence[Face]) -> list[int]:
        """The number of each face of the next frame; new ones count on from 1, the larger face first.

        Place, motion and looks decide together, for all faces of the frame at once. ``time_s`` must be later than
        that of the frame before.
        """
        self._tracks = [track for track in self._tracks if time_s - track.time_s <= LOST_S]
        looks = [look(picture, face) for face in faces]
        scores = np.zeros((len(self._tracks), len(faces)))
        for row, column in np.ndindex(scores.shape):
            scores[row, column] = self._score(self._tracks[row], time_s, faces[column], looks[column])
        numbers = [0] * len(faces)
        for row, column in best_pairs(scores):
            track = self._tracks[row]
            _update(track, time_s, faces[column], looks[column])
            numbers[column] = track.number
        for index in sorted(range(len(faces)), key=lambda index: -area(faces[index])):
            if numbers[index] == 0:
                self._count += 1
                numbers[index] = self._count
                self._tracks.append(Track(self._count, faces[index], time_s, looks[index], np.zeros(2)))
        self._time_s = time_s
        return numbers

    def keep(self, time_s: float, picture: Picture, faces: Sequence[Face], numbers: Sequence[int]) -> None:
        """Take in the next frame, whose faces are known to be those of ``numbers``, all of them present before."""
        tracks = {track.number: track for track in self._tracks}
        for face, number in zip(faces, numbers, strict=True):
            _update(tracks[number], time_s, face, look(picture, face))
        self._time_s = time_s

    def _score(self, track: Track, time_s: float, face: Face, face_look: Floats) -> float:
        """How well a face fits a track; 0 where it can't be."""
        like = float(track.look @ face_look)
        place = track.at(time_s)
        if track.time_s == self._time_s:
            overlap = max(iou(place, face.box), iou(track.face.box, face.box))
            return overlap + max(like, 0.0) if overlap >= SAME_PLACE_IOU and like >= _LIKE_BEFORE else 0.0
        away_s = time_s - track.time_s
        reach = float(np.sqrt(area(track.face))) * (0.5 + away_s / LOST_S)
        off = min(_distance(place, face.box), _distance(track.face.box, face.box)) / reach
        near, far = _LIKE_LOST
        if off >= 1 or like < near + (far - near) * off:
            return 0.0
        if not 1 / _MOST_GROWTH < area(face) / area(track.face) < _MOST_GROWTH:
            return 0.0
        # Half of what a face in its place gets: one that was never lost goes first.
        return 0.5 * (1 - off) + like


def look(picture: Picture, face: Face) -> Floats:
    """(433,) float64 of length 1: the face's box, small, without its brightness and contrast; last, its flatness."""
    low = np.maximum(np.floor(face.box[:2]), 0).astype(int)
    high = np.ceil(face.box[:2] + face.box[2:]).astype(int)
    region = picture[low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)]
    # Of a large face, every n-th pixel: what is thinner than that doesn't show in 12 x 12 anyway.
    step = max(1, min(region.shape[:2]) // (3 * _THUMBNAIL_PX))
    size = (_THUMBNAIL_PX, _THUMBNAIL_PX)
    small = cv2.resize(region[::step, ::step], size, interpolation=cv2.INTER_AREA).astype(np.float64)
    flat = small.ravel() - small.mean()
    flat /= max(float(np.linalg.norm(flat)), _LEAST_CONTRAST)
    return np.append(flat, np.sqrt(max(0.0, 1 - float(flat @ flat))))


def best_pairs(scores: Floats) -> list[tuple[int, int]]:
    """Pairs (row, column) of the largest sum of scores, each row and column at most once, none with a score of 0.

    The Hungarian method with potentials (Kuhn 1955, Munkres 1957), one row after the other by shortest paths.

    Parameters
    ----------
    scores : (N, M) float64, >= 0
    """
    rows, columns = scores.shape
    # Each row may also stay alone, in a column of its own that costs nothing.
    cost = np.zeros((rows, columns + rows))
    cost[:, :columns] = -scores
    row_of = np.full(cost.shape[1] + 1, -1)
    u, v = np.zeros(rows), np.zeros(cost.shape[1] + 1)
    for row in range(rows):
        row_of[-1] = row
        column, came_from = -1, np.full(cost.shape[1], -1)
        least, done = np.full(cost.shape[1], np.inf), np.zeros(cost.shape[1] + 1, dtype=bool)
        while row_of[column] >= 0:
            done[column] = True
            here = row_of[column]
            reduced = cost[here] - u[here] - v[:-1]
            better = ~done[:-1] & (reduced < least)
            least[better], came_from[better] = reduced[better], column
            open_columns = np.where(done[:-1], np.inf, least)
            nearest = int(np.argmin(open_columns))
            step = open_columns[nearest]
            u[row_of[done]] += step
            v[done] -= step
            least[~done[:-1]] -= step
            column = nearest
        while column != -1:
            row_of[column] = row_of[came_from[column]]
            column = int(came_from[column])
    pairs = [(int(row_of[column]), column) for column in range(columns) if row_of[column] >= 0]
    return sorted((row, column) for row, column in pairs if scores[row, column] > 0)


def _update(track: Track, time_s: float, face: Face, face_look: Floats) -> None:
    moved = (_centre(face.box) - _centre(track.face.box)) / (time_s - track.time_s)
    track.velocity_px_s = 0.5 * (track.velocity_px_s + moved)
    track.look = (1 - _NEW_SHARE) * track.look + _NEW_SHARE * face_look
    track.look /= max(float(np.linalg.norm(track.look)), 1e-9)
    track.face, track.time_s = face, time_s


def _centre(box: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(box[:2] + box[2:] / 2, dtype=np.float64)


def _distance(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> float:
    return float(np.linalg.norm(_centre(one) - _centre(other)))
