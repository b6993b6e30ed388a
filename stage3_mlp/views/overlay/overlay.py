"""A video's frames with its prediction drawn in: faces, circumplex, running lines, words."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from common.polar import reach
from stage3_mlp.views.colours import LABELS, track_colour
from stage3_mlp.views.overlay.panel import GROUND, Circumplex, Strip, colour, draw_chip, legend_ground, legend_rows
from stage3_mlp.views.overlay.panel_layout import Colour, Layout, Pixels, layout
from stage3_mlp.views.overlay.panel_track import DrawnTrack, Points
from stage3_mlp.views.overlay.panel_words import STAGE, Subtitles
from stage3_mlp.views.view import VideoView

#: Around the line of a face, so that it is seen on any picture.
_SHADOW: Colour = (20, 20, 20)
#: Coordinates beyond are nonsense, and too large for OpenCV.
_FARTHEST_PX = 20_000


class Overlay:
    """Draws the frames of one video, in order of time or not.

    Parameters
    ----------
    view : VideoView
    width_px, height_px : int, > 0
        Of the video's upright picture.

    Attributes
    ----------
    place : where things lie in the pictures it gives
    circumplex, strips : which pixel is which value
    """

    def __init__(self, view: VideoView, width_px: int, height_px: int) -> None:
        several = len(view.tracks) > 1
        self.tracks: list[DrawnTrack] = []
        for index, track in enumerate(view.tracks):
            own = colour(track_colour(index))
            self.tracks.append(DrawnTrack(track, own, own if several else colour(LABELS), str(index + 1)))
        rows = legend_rows(self.tracks)
        self.place: Layout = layout(width_px, height_px, legend_rows=rows, words=bool(view.words))
        edge = _edge(self.tracks)
        self.circumplex = Circumplex(self.place, edge)
        self.strips = tuple(Strip(self.place, axis, edge) for axis in (0, 1))
        band = self.place.band
        self._words = Subtitles(view.words, band.width, band.height, self.place.px(17)) if band else None
        self._ground = self._drawn_ground()
        self._canvas = self._ground.copy()

    def draw(self, time_s: float, picture: Pixels) -> Pixels:
        """The frame at ``time_s`` with all that belongs to it.

        Parameters
        ----------
        picture : (H, W, 3) uint8, RGB

        Returns
        -------
        (height, width, 3) uint8, RGB, of `place`; the same array at each call
        """
        canvas, place = self._canvas, self.place
        shown = place.picture.of(canvas)
        shown[:] = resized(picture, place.picture.width, place.picture.height)
        for track in self.tracks:
            row = track.row(time_s)
            if row is not None and np.isfinite(track.box[row]).all():
                scale = np.tile((shown.shape[1] / picture.shape[1], shown.shape[0] / picture.shape[0]), 2)
                self._face(shown, track.box[row] * scale, track, dashed=not track.behind[row])
        if self._words is not None and place.band is not None:
            place.band.of(canvas)[:] = self._words.at(time_s)
        place.panel.of(canvas)[:] = place.panel.of(self._ground)
        self.circumplex.draw(canvas, self.tracks, time_s)
        for strip in self.strips:
            strip.draw(canvas, self.tracks, time_s)
        return canvas

    def _drawn_ground(self) -> Pixels:
        ground = np.full((self.place.height, self.place.width, 3), STAGE, np.uint8)
        self.place.panel.of(ground)[:] = GROUND
        legend_ground(ground, self.place, self.tracks)
        self.circumplex.ground(ground)
        for strip in self.strips:
            strip.ground(ground)
        return ground

    def _face(self, shown: Pixels, box: Points, track: DrawnTrack, *, dashed: bool) -> None:
        """A face's box, x, y, width, height in pixels of ``shown``, and its track's mark where there are several."""
        ends = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])
        left, top, right, bottom = np.round(np.clip(ends, -_FARTHEST_PX, _FARTHEST_PX)).astype(int).tolist()
        width = self.place.px(2)
        if dashed:
            _dashed_box(shown, (left, top, right, bottom), track.colour, dash_px=self.place.px(7))
        else:
            cv2.rectangle(shown, (left, top), (right, bottom), _SHADOW, width + 2)
            cv2.rectangle(shown, (left, top), (right, bottom), track.colour, width)
        if len(self.tracks) > 1:
            draw_chip(shown, (max(left - 1, 0), max(top - self.place.px(15), 0)), track, self.place)


def resized(picture: Pixels, width_px: int, height_px: int) -> Pixels:
    """A picture at another size. Below half of it every pixel counts; otherwise linear, which is five times faster."""
    height, width = picture.shape[:2]
    if (width, height) == (width_px, height_px):
        return picture
    much_smaller = 2 * width_px <= width or 2 * height_px <= height
    how = cv2.INTER_AREA if much_smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width_px, height_px), interpolation=how), dtype=np.uint8)


def _edge(tracks: Sequence[DrawnTrack]) -> float:
    """Where the axes end: behind the unit circle, and behind most values."""
    points = np.concatenate([rows for track in tracks for rows in (track.values.points, track.labels.points)])
    return reach(points[np.isfinite(points[:, 0])])


def _dashed_box(image: Pixels, box: tuple[int, int, int, int], shade: Colour, *, dash_px: int) -> None:
    left, top, right, bottom = box
    height, width = image.shape[:2]
    for x in range(max(left, left % (2 * dash_px) - 2 * dash_px), min(right, width), 2 * dash_px):
        for y in (top, bottom):
            cv2.line(image, (x, y), (min(x + dash_px, right), y), shade, 2)
    for y in range(max(top, top % (2 * dash_px) - 2 * dash_px), min(bottom, height), 2 * dash_px):
        for x in (left, right):
            cv2.line(image, (x, y), (x, min(y + dash_px, bottom)), shade, 2)
