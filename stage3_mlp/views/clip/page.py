"""The page of a video: its picture, its prediction over time and on the circumplex, its words, all moving together.

One HTML file that needs no network. Its scripts are the ``*.js`` beside this file, put into the page as they are.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

from common.errors import DataError
from stage3_mlp.page import write_page
from stage3_mlp.views.clip.data import checked, outside, page_data
from stage3_mlp.views.clip.facts import track_facts
from stage3_mlp.views.colours import style_sheet, track_property
from stage3_mlp.views.media import Media
from stage3_mlp.views.view import VideoView

#: A larger video stays beside the page, which refers to it.
MAX_EMBEDDED_BYTES: Final = 40_000_000

_TEMPLATE = "views/clip/page.html.j2"
#: Characters at the beginning of a page in which its key is.
_HEAD = 2000
_FOLDER = Path(__file__).parent
_UPLOT = _FOLDER / "vendor" / "uplot"
_STYLES = ((_UPLOT, "uPlot.min.css"), (_FOLDER, "page.css"))
#: In the order in which they build on one another.
_SCRIPTS = ("data", "clock", "charts", "strips", "circumplex", "video", "words", "main")


def write_clip_page(
    path: Path,
    view: VideoView,
    *,
    remarks: Sequence[str],
    provenance: dict[str, Any],
    csv: bytes,
    media: Media | None,
    why_no_media: str = "",
    key: str = "",
    run: str = "",
    report: str = "",
) -> None:
    """Write the page of a video.

    Parameters
    ----------
    path : of the HTML file, written whole
    remarks : sentences that every output of the run repeats
    csv : the predictions as they can be downloaded from the page, byte for byte
    media : the video for the page; in it if it has at most ``MAX_EMBEDDED_BYTES``, else referred to from it
    why_no_media : a sentence for where there is none
    run : name of the run whose model predicted
    report : URL of its test page, relative to this one, where there is one
    key : fingerprints of all this, in hex digits, for `key_of`

    Raises
    ------
    DataError
        If the view isn't shaped as it should be, or the video isn't there.
    """
    checked(view)
    scripts = [Markup((_UPLOT / "uPlot.iife.min.js").read_text(encoding="utf-8")), Markup(page_script())]
    sheets = ((folder / name).read_text(encoding="utf-8") for folder, name in _STYLES)
    style = "".join([*sheets, style_sheet()])
    context = {
        "heading": view.name,
        "facts": [
            track_facts(track.prediction, f"var({track_property(index)})") for index, track in enumerate(view.tracks)
        ],
        "words": [_sound_text(word.text) for word in view.words],
        "listening": any(track.listening for track in view.tracks),
        "outside": outside(view),
        "video": _video(path, media),
        "why_no_media": why_no_media or "There is no video to play.",
        "data": page_data(view, media),
        "csv": base64.b64encode(gzip.compress(csv, mtime=0)).decode("ascii"),
        "csv_name": f"{view.name}.csv",
        "key": key,
        "run": run,
        "report": report,
        "scripts": scripts,
        "hashes": [_hash(script) for script in scripts],
        "style": Markup(style),
        "remarks": remarks,
        "provenance": provenance,
    }
    write_page(path, _TEMPLATE, context)


def key_of(path: Path) -> str:
    """The key that a page was written with; "" where there is none, or no page."""
    try:
        with path.open(encoding="utf-8") as file:
            found = re.search(r'<meta name="fingerprint" content="([0-9a-f-]*)">', file.read(_HEAD))
    except (OSError, ValueError):
        return ""
    return found[1] if found else ""


def page_script() -> str:
    """The page's own script: its files one after the other, in a scope of their own."""
    parts = ((_FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


def _hash(script: str) -> str:
    """What a page's policy names a script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _video(page: Path, media: Media | None) -> dict[str, Any] | None:
    """How the page plays the video: its bytes as text, or its address relative to the page."""
    if media is None:
        return None
    if not media.path.is_file():
        raise DataError(f"{media.path}, the video for the page, isn't there.", "Render it again.")
    if not (math.isfinite(media.start_s) and min(media.width_px, media.height_px, media.source_width_px) > 0):
        raise DataError(f"{media} has no sensible time or size.", "Render it again.")
    size = {"width_px": media.width_px, "height_px": media.height_px}
    if media.path.stat().st_size <= MAX_EMBEDDED_BYTES:
        return {**size, "bytes": base64.b64encode(media.path.read_bytes()).decode("ascii"), "address": "", "name": ""}
    relative = os.path.relpath(media.path.resolve(), page.parent.resolve())
    return {**size, "bytes": "", "address": quote(os.fsencode(relative)), "name": relative}


def _sound_text(text: str) -> str:
    """A word without what can't be written as UTF-8, and without space around it."""
    return text.encode("utf-8", "replace").decode("utf-8").strip()
