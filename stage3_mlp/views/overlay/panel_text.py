"""Text for the overlay: any text of strangers as plain glyphs of one font, measured, cut and drawn."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from stage3_mlp.views.overlay.panel_layout import Colour, Pixels

ELLIPSIS = "…"


def printable(text: str) -> str:
    """One line of what can be drawn: control signs and halves of surrogate pairs become spaces."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()


def text_width(text: str, size_px: int, *, bold: bool = False) -> float:
    """How far a text goes to the right, in pixels."""
    return float(_font(size_px, bold).getlength(text))


def fitted(text: str, size_px: int, width_px: float, *, bold: bool = False) -> str:
    """The text, or the longest beginning of it that fits into a width, with an ellipsis; at least the ellipsis."""
    # No sign that takes room is narrower than a pixel; measuring all of a very long text takes seconds.
    head = text[: max(1, int(width_px)) + 1]
    if head == text and text_width(text, size_px, bold=bold) <= width_px:
        return text
    low, high = 0, len(head)
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_width(head[:middle].rstrip() + ELLIPSIS, size_px, bold=bold) <= width_px
        low, high = (middle, high) if fits else (low, middle - 1)
    return head[:low].rstrip() + ELLIPSIS


def draw_text(
    image: Pixels,
    text: str,
    at: tuple[float, float],
    size_px: int,
    colour: Colour,
    *,
    bold: bool = False,
    align: float = 0.0,
) -> None:
    """Draw one line of text, cut off at the borders of the image.

    Parameters
    ----------
    image : (H, W, 3) uint8, drawn on in place
    text : `printable`; signs that the font hasn't are its boxes
    at : x, y in pixels, y of the baseline
    align : which part of the text's width lies left of x: 0 none, 0.5 half, 1 all
    """
    mask, left, top = _stamp(text, size_px, bold)
    x = round(at[0] - align * text_width(text, size_px, bold=bold)) + left
    y = round(at[1]) + top
    height, width = image.shape[:2]
    rows, columns = slice(max(y, 0), min(y + mask.shape[0], height)), slice(max(x, 0), min(x + mask.shape[1], width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    share = mask[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x, None]
    ground = image[rows, columns].astype(np.float32)
    image[rows, columns] = np.round(ground + (np.asarray(colour, np.float32) - ground) * share).astype(np.uint8)


@cache
def _font(size_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size_px)


@lru_cache(maxsize=512)
def _stamp(text: str, size_px: int, bold: bool) -> tuple[npt.NDArray[np.float32], int, int]:
    """How much of each pixel a text covers, (H, W) in [0, 1], and where that lies from the start of its baseline."""
    font = _font(size_px, bold)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text, anchor="ls"))
    stamp = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(stamp).text((-left, -top), text, fill=255, font=font, anchor="ls")
    return np.asarray(stamp, dtype=np.float32) / np.float32(255), left, top
