"""A video decoded once and written twice: with its prediction drawn in, and small and plain for its page to play.

Every frame is there at its own time, also where the times are irregular. The sound is put beside them by its own times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType

from common.errors import DataError, MediaError
from common.files import written_whole
from common.media import decode
from common.media.sound import SoundBlock
from common.timeline import frame_edges_s
from stage3_mlp.views.media import Media
from stage3_mlp.views.overlay.overlay import Overlay, resized
from stage3_mlp.views.overlay.panel_layout import Pixels
from stage3_mlp.views.view import VideoView

#: Height of the plain video at most.
PLAIN_PX = 480
#: H.264's quality, lower is better: text has to stay sharp in the overlay, the page has to stay small.
OVERLAY_CRF, PLAIN_CRF = 21, 27
#: Seeking goes to a frame that needs no other; there is one at least this often.
KEYFRAME_S = 1.0

TICKS_HZ = 90_000
SOUND_HZ = 48_000
SOUND_BITS_PER_S = 64_000
#: What AAC codes at once.
_SOUND_PIECE = 1024
#: Steps between frames that the length of the last one is taken from.
_STEPS = 100

#: No frame waits for a later one, so the first is shown at 0 without an edit list, and each frame's time is its own.
_X264 = {"preset": "veryfast", "bf": "0", "forced-idr": "1", "g": "600"}
#: swscale is ten times slower than OpenCV, which converts by this matrix, to this range; players are told so.
_BT601, _LIMITED, _BT709 = 6, 1, 1


def render(
    view: VideoView,
    *,
    overlay: Path | None,
    plain: Path | None,
    on_frame: Callable[[int], None] = lambda count: None,
) -> Media | None:
    """Write a video again, whole or not at all.

    Both files start at the first frame or the first sound, whichever is earlier: that moment is their time 0.
    Memory grows by the index of the mp4 alone, some 100 bytes for each frame and each piece of sound.

    Parameters
    ----------
    view : VideoView
    overlay : where to write the video with its prediction, or None
    plain : where to write the video as it is, at most 480 px high, or None
    on_frame : called after each frame with the number of frames done

    Returns
    -------
    Media or None : what there is to know about ``plain``; None where that is None

    Raises
    ------
    DataError
        If the view has no video.
    MediaError
        If the video can't be read to its end; nothing is written then.
    """
    if view.source is None:
        raise DataError(f"{view.name}: its video is gone.", "Put it back where it was, or do without pictures.")
    pictures = decode.frames(view.source)
    first = next(pictures, None)
    if first is None:
        raise MediaError(f"{view.source}: its video stream has no frames.", "Check that it plays.")
    sound = _Sound(decode.sound(view.source, rate_hz=SOUND_HZ), first[0])
    height_px, width_px = first[1].shape[:2]
    small = _small(width_px, height_px)
    drawn = Overlay(view, width_px, height_px) if overlay else None
    with ExitStack() as stack:
        ways: list[tuple[_Mp4, Callable[[float, Pixels], Pixels]]] = []
        if overlay and drawn:
            size = drawn.place.width, drawn.place.height
            ways.append((stack.enter_context(_mp4(overlay, size, OVERLAY_CRF, sound)), drawn.draw))
        if plain:
            made = stack.enter_context(_mp4(plain, small, PLAIN_CRF, sound))
            ways.append((made, lambda _, picture: resized(picture, *small)))
        for count, (time_s, picture) in enumerate(chain([first], pictures), start=1):
            for piece in sound.until(time_s):
                for mp4, _ in ways:
                    mp4.add_sound(piece)
            for mp4, shown in ways:
                mp4.add_picture(time_s - sound.start_s, shown(time_s, picture))
            on_frame(count)
        for piece in sound.until(None):
            for mp4, _ in ways:
                mp4.add_sound(piece)
    return Media(plain, sound.start_s, *small, width_px) if plain else None


def _small(width_px: int, height_px: int) -> tuple[int, int]:
    """Width and height of the plain video: both even, as H.264 needs it, and no larger than the source's."""
    scale = min(1.0, PLAIN_PX / height_px)
    width, height = (max(2, 2 * (round(size * scale) // 2)) for size in (width_px, height_px))
    return width, height


class _Sound:
    """A waveform in pieces of one AAC frame, from the moment on at which the files begin.

    Attributes
    ----------
    there : is there any sound?
    start_s : of the files, on the clock of the frames
    """

    def __init__(self, blocks: Iterator[SoundBlock], picture_s: float) -> None:
        first = next(blocks, None)
        self.there = first is not None
        self.start_s = min(picture_s, first.start_s) if first else picture_s
        self._pieces = self._cut(first, blocks) if first else iter(())
        self._given = 0

    def until(self, time_s: float | None) -> Iterator[npt.NDArray[np.float32]]:
        """The pieces that begin by ``time_s`` and haven't been given yet; all that are left for None."""
        while time_s is None or self.start_s + self._given * _SOUND_PIECE / SOUND_HZ <= time_s:
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._given += 1
            yield piece

    def _cut(self, first: SoundBlock, blocks: Iterator[SoundBlock]) -> Iterator[npt.NDArray[np.float32]]:
        """Silence up to the first block, then the sound, in equal pieces; the last may be shorter."""
        silent = round((first.start_s - self.start_s) * SOUND_HZ)
        for _ in range(silent // _SOUND_PIECE):
            yield np.zeros(_SOUND_PIECE, np.float32)
        rest = np.concatenate([np.zeros(silent % _SOUND_PIECE, np.float32), first.samples])
        while True:
            whole = len(rest) - len(rest) % _SOUND_PIECE
            yield from rest[:whole].reshape(-1, _SOUND_PIECE)
            block = next(blocks, None)
            if block is None:
                break
            rest = np.concatenate([rest[whole:], block.samples])
        if len(rest) > whole:
            yield rest[whole:]


@contextmanager
def _mp4(path: Path, size: tuple[int, int], crf: int, sound: _Sound) -> Iterator[_Mp4]:
    """An mp4 that takes its place once it is finished."""
    # Where its index comes first, a browser can play a file that it has only the beginning of.
    options = {"movflags": "+faststart", "video_track_timescale": str(TICKS_HZ)}
    with (
        written_whole(path) as partial,
        av.open(f"file:{partial.absolute()}", "w", format="mp4", options=options) as container,
    ):
        mp4 = _Mp4(container, size, crf, with_sound=sound.there)
        yield mp4
        mp4.finish()


class _Mp4:
    """Pictures and sound on their way into a container."""

    def __init__(self, container: Any, size: tuple[int, int], crf: int, *, with_sound: bool) -> None:
        self._container = container
        self._video = container.add_stream("libx264", rate=30, options={**_X264, "crf": str(crf)})
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = Fraction(1, TICKS_HZ)
        context.colorspace, context.color_range = _BT601, _LIMITED
        context.color_primaries, context.color_trc = _BT709, _BT709
        self._audio = container.add_stream("aac", rate=SOUND_HZ, layout="mono") if with_sound else None
        if self._audio is not None:
            self._audio.bit_rate = SOUND_BITS_PER_S
        self._samples = 0
        self._keyed_s = -np.inf
        self._times: deque[float] = deque(maxlen=_STEPS + 1)

    def add_picture(self, time_s: float, picture: Pixels) -> None:
        """(H, W, 3) uint8 RGB of the file's size, shown from ``time_s`` on: seconds from the file's start."""
        frame = av.VideoFrame.from_ndarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), format="yuv420p")
        frame.pts, frame.time_base = round(time_s * TICKS_HZ), Fraction(1, TICKS_HZ)
        if time_s >= self._keyed_s + KEYFRAME_S:
            frame.pict_type, self._keyed_s = PictureType.I, time_s
        self._times.append(time_s)
        self._container.mux(self._video.encode(frame))

    def add_sound(self, samples: npt.NDArray[np.float32]) -> None:
        """(N,) float32, right after what was added before."""
        assert self._audio is not None
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = SOUND_HZ, Fraction(1, SOUND_HZ), self._samples
        self._samples += len(samples)
        self._container.mux(self._audio.encode(frame))

    def finish(self) -> None:
        """Write what the encoders still hold; the last frame lasts as long as most of those before it."""
        edges = frame_edges_s(np.array(self._times))
        packets = self._video.encode(None)
        if packets:
            packets[-1].duration = round((edges[-1] - edges[-2]) * TICKS_HZ)
        self._container.mux(packets)
        if self._audio is not None:
            self._container.mux(self._audio.encode(None))
