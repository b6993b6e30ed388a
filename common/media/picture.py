"""A picture from a file of a stranger: its header is read first, and only one of a bearable size is decoded."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import LimitError

#: A picture takes less, unless it is something else.
_BYTES_A_PIXEL, _LEAST_BYTES = 8, 1 << 20

#: What ready crops and kept crops are; OpenCV would take thirty other forms.
_FORMS = ("PNG", "JPEG")


def read_picture(path: Path, max_pixels: int) -> npt.NDArray[np.uint8] | None:
    """A PNG or JPEG file, as `decoded` gives it."""
    size = path.stat().st_size
    if size > max(_LEAST_BYTES, _BYTES_A_PIXEL * max_pixels):
        raise LimitError(f"{path} has {size} bytes, too many for a picture.", "Delete it; its frame then has no face.")
    return decoded(path.read_bytes(), path, max_pixels)


def decoded(content: bytes | npt.NDArray[np.uint8], path: Path, max_pixels: int) -> npt.NDArray[np.uint8] | None:
    """A PNG or JPEG as (H, W, 3) uint8 RGB; None where it isn't one, or is broken.

    Parameters
    ----------
    path : Path
        Names the file in messages.
    max_pixels : int
        Of the largest picture that is decoded.

    Raises
    ------
    LimitError
        If it has more by its header.
    """
    import cv2
    from PIL import Image

    content = bytes(content)
    try:
        with Image.open(io.BytesIO(content), formats=_FORMS) as header:
            width_px, height_px = header.size
    except Image.DecompressionBombError:
        width_px = height_px = 1 << 20  # by Pillow's own limit, which is above a hundred million pixels
    except (OSError, ValueError, SyntaxError):
        return None
    if width_px * height_px > max_pixels:
        raise LimitError(f"{path} has a picture of more than {max_pixels} pixels.", "Scale it down, or delete it.")
    picture = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    return None if picture is None else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
