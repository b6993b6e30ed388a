"""One clip on one axis of time: faces, sound, words, what is there, where the face is, labels."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font

from common.schema import MODALITIES
from stage1_embeddings.upkeep.canvas import (
    COLOURS,
    FACE,
    FAINT,
    FIRST,
    HEIGHTS,
    INK,
    LEFT,
    PALE,
    QUIET,
    RIGHT,
    SECOND,
    WIDTH,
    Canvas,
    Floats,
    bare,
    canvas,
    curve,
    framed,
    has_place,
    said,
    style,
)
from stage1_embeddings.upkeep.clipview import ClipView
from stage1_embeddings.upkeep.clipwords import SENSES, rate_in_words
from stage1_embeddings.upkeep.material import Glimpse, Outline, glimpses, outline

#: Lanes that words are stacked in.
LANES = 3


def draw_clip(view: ClipView, cache: Path, on_frame: Callable[[int], None] = lambda frame: None) -> bytes:
    """A PNG of a clip.

    Parameters
    ----------
    cache : where kept crops may lie
    on_frame : told of each frame that has to be decoded for the faces
    """
    fonts, look = style()
    with matplotlib.rc_context(look):
        ground = canvas(view, fonts)
        faces, origin = glimpses(view, strip_frames(view), cache, on_frame)
        sound, silence = outline(view, WIDTH - LEFT - RIGHT)
        _faces(ground.rows["faces"], view, faces)
        _sound(ground.rows["sound"], view, sound, silence)
        notes = [origin, _words(ground, view)]
        _there(ground.rows["there"], view)
        _place(ground.rows["place"], view)
        if "labels" in ground.rows:
            _labels(ground.rows["labels"], view)
        _text(ground, view, " ".join(filter(None, notes)))
        buffer = io.BytesIO()
        FigureCanvasAgg(ground.figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def strip_frames(view: ClipView) -> list[int]:
    """The frames whose faces are shown: those under the middles of as many slots as fit, each frame once."""
    edges = view.edges_s
    slots = min(len(view.time_s), (WIDTH - LEFT - RIGHT) // (FACE + 2))
    middles = edges[0] + (np.arange(slots) + 0.5) * (edges[-1] - edges[0]) / slots
    return sorted(set(np.clip(np.searchsorted(edges, middles, side="right") - 1, 0, len(view.time_s) - 1).tolist()))


def word_lanes(starts: Floats, widths: Floats, lanes: int = LANES) -> list[int]:
    """For each word the lane it is written in, -1 where it would cover another.

    Parameters
    ----------
    starts : (W,) where each begins, rising; widths : (W,) how much room it takes, in the same unit
    """
    ends = [-np.inf] * lanes
    found = []
    for start, width in zip(starts, widths, strict=True):
        lane = next((lane for lane, end in enumerate(ends) if end <= start), -1)
        if lane >= 0:
            ends[lane] = start + width
        found.append(lane)
    return found


def _faces(axes: Axes, view: ClipView, faces: list[Glimpse]) -> None:
    """Each face, square, in the middle of its slot."""
    edges = view.edges_s
    per_unit = float(edges[-1] - edges[0]) / (WIDTH - LEFT - RIGHT)
    slot_s = float(edges[-1] - edges[0]) / len(faces)
    for index, glimpse in enumerate(faces):
        middle = float(edges[0]) + (index + 0.5) * slot_s
        if len(faces) == len(view.time_s):
            middle = float(edges[glimpse.frame] + edges[glimpse.frame + 1]) / 2
        picture = glimpse.picture
        tall, wide = (1, 1) if picture is None else picture.shape[:2]
        half_s = per_unit * FACE * (wide / max(tall, wide)) / 2
        half = FACE * (tall / max(tall, wide)) / 2
        box = (middle - half_s, middle + half_s, -half, half)
        if picture is None:
            axes.fill_between(box[:2], [box[2]] * 2, [box[3]] * 2, color=PALE, linewidth=0)
        else:
            shade = 1.0 if glimpse.is_face else 0.3
            axes.imshow(picture, extent=box, aspect="auto", alpha=shade, interpolation="antialiased", zorder=2)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(-HEIGHTS["faces"] / 2, HEIGHTS["faces"] / 2)
    bare(axes, "face")


def _sound(axes: Axes, view: ClipView, sound: Outline | None, silence: str) -> None:
    if sound is None:
        said(axes, silence)
    else:
        columns = np.linspace(view.edges_s[0], view.edges_s[-1], len(sound.low) + 1)
        peak = float(np.nanmax(np.abs([sound.low, sound.high]), initial=0))
        reach = max(peak, 1e-3)
        middle = (columns[:-1] + columns[1:]) / 2
        # A column is at least a hair high, so that silence is a line and no sound is nothing.
        hair = reach / 60
        axes.fill_between(
            middle, np.minimum(sound.low, -hair), np.maximum(sound.high, hair), color=COLOURS["audio"], linewidth=0
        )
        axes.set_ylim(-1.05 * reach, 1.05 * reach)
        level = f"peak {20 * np.log10(peak):.0f} dB" if peak > 0 else "digital silence"
        axes.text(1, 1, level, transform=axes.transAxes, ha="right", va="bottom", fontsize=7.5, color=QUIET)
    bare(axes, "sound")


def _words(ground: Canvas, view: ClipView) -> str:
    """The words at their times, as many as are legible; a sentence on those that aren't there."""
    axes = ground.rows["words"]
    bare(axes, "words")
    if not view.words:
        said(axes, "no word")
        return ""
    low, high = float(view.edges_s[0]), float(view.edges_s[-1])
    per_second = (WIDTH - LEFT - RIGHT) / (high - low)
    size = 8.5
    faces = [FT2Font(findfont(FontProperties(family=name))) for name in ground.fonts]
    texts = [text.replace("\n", " ") for text in view.words]
    drawable = [all(any(font.get_char_index(ord(sign)) for font in faces) for sign in text) for text in texts]
    # The mean width of a letter at this size, in our units; wide scripts take a full square.
    widths = np.array([sum(11.8 if ord(sign) > 0x2E80 else 7.6 for sign in text) + 6 for text in texts])
    starts = (np.clip(view.start_s, low, high) - low) * per_second
    fits = (view.start_s >= low) & (starts + widths <= (high - low) * per_second + 6) & np.array(drawable)
    lanes = np.full(len(texts), -1)
    lanes[fits] = word_lanes(starts[fits], widths[fits])
    middle = (lanes.max(initial=0) + 1) / 2
    axes.set_ylim(middle + LANES / 2, middle - LANES / 2)
    for index in np.flatnonzero(lanes >= 0):
        at, lane = view.start_s[index], lanes[index]
        end_s = max(view.end_s[index] - 1.5 / per_second, at)
        axes.plot([at, end_s], [lane + 0.95] * 2, color=COLOURS["text"], linewidth=1.4, solid_capstyle="butt")
        axes.text(at, lane + 0.8, texts[index], fontsize=size, va="baseline", clip_on=True)
    unwritten, strange = int((lanes < 0).sum()), drawable.count(False)
    if not unwritten:
        return ""
    why = f"{strange:,} of them in signs that no font here has" if strange else "for want of room"
    return f"{unwritten:,} of {len(texts):,} words aren't written out, {why}."


def _there(axes: Axes, view: ClipView) -> None:
    """A bar for each modality, as strong as the share of each column's time in which it is there."""
    edges = view.edges_s
    columns = np.linspace(edges[0], edges[-1], WIDTH - LEFT - RIGHT + 1)
    for row, modality in enumerate(MODALITIES):
        covered = np.append(0, np.cumsum(view.present[modality] * np.diff(edges)))
        share = np.clip(np.diff(np.interp(columns, edges, covered)) / np.diff(columns), 0, 1)
        low, high = row + 0.12, row + 0.88
        axes.fill_between(edges[[0, -1]], low, high, color=PALE, linewidth=0)
        tint = np.zeros((1, len(share), 4))
        tint[0, :, :3] = to_rgb(COLOURS[modality])
        tint[0, :, 3] = share
        axes.imshow(tint, extent=(edges[0], edges[-1], high, low), aspect="auto", interpolation="nearest", zorder=2)
    axes.set_xlim(edges[0], edges[-1])
    axes.set(ylim=(3, 0), yticks=[0.5, 1.5, 2.5], yticklabels=[SENSES[modality] for modality in MODALITIES])
    bare(axes, "", ticks=True)


def _place(axes: Axes, view: ClipView) -> None:
    """The middle of the face's box, and its size, in pixels of the frame."""
    box = np.asarray(view.box, dtype=np.float64)
    size = np.sqrt(np.maximum(box[:, 2] * box[:, 3], 0))
    if not has_place(view):
        said(axes, "no face has a place")
        bare(axes, "face, px")
        return
    curves: list[tuple[str, Any, str, str]] = [
        ("x of its middle", box[:, 0] + box[:, 2] / 2, FIRST, "-"),
        ("y", box[:, 1] + box[:, 3] / 2, SECOND, "-"),
        ("size", size, INK, ":"),
    ]
    for name, values, colour, stroke in curves:
        curve(axes, view, values, name, colour, stroke)
    axes.margins(y=0.12)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    framed(axes, "face, px")


def _labels(axes: Axes, view: ClipView) -> None:
    assert view.labels is not None
    axes.axhline(0, color=FAINT, linewidth=0.6)
    for column, (name, colour) in enumerate((("valence", FIRST), ("arousal", SECOND))):
        curve(axes, view, view.labels[:, column], name, colour, "-")
    if not np.isfinite(view.labels).any():
        said(axes, "no frame is annotated")
    axes.set(ylim=(-1.08, 1.08), yticks=[-1, 0, 1])
    framed(axes, "labels")


def _text(ground: Canvas, view: ClipView, note: str) -> None:
    figure = ground.figure
    height = float(figure.get_size_inches()[1]) * 100
    edges = view.edges_s
    shares = ", ".join(f"{sense} {view.present[modality].mean():.0%}" for modality, sense in SENSES.items())
    line = f"{len(view.time_s):,} frames, {edges[-1] - edges[0]:.2f} s, {rate_in_words(view.time_s)}; {shares}"
    left = LEFT / WIDTH
    figure.text(left, 1 - 24 / height, view.id[:110], fontsize=12, va="baseline")
    figure.text(left, 1 - 42 / height, line, fontsize=8.5, va="baseline", color=QUIET)
    figure.text(left, 10 / height, " ".join(note.split())[:200], fontsize=8, va="baseline", color=QUIET)
