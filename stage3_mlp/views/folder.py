"""The folder of a predicted video: its tables, the video with the prediction drawn in, its page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from common.artefacts import RECORD
from common.errors import MediaError
from common.files import one_at_a_time, remove_partials, write_json
from common.manifest import Manifest
from common.outside_text import json_of
from common.polar import quadrant
from common.provenance import provenance
from common.recipe import fingerprint
from stage3_mlp.predictions import ClipPrediction, write_predictions
from stage3_mlp.views.clip.page import MAX_EMBEDDED_BYTES, write_clip_page
from stage3_mlp.views.media import Media
from stage3_mlp.views.view import VideoView, video_views

#: Raise when the same prediction would be written or drawn otherwise.
CODE_VERSION = 2

#: What a video's folder holds; beside it video.mp4, where that is too large for the page.
_FILES = ("predictions.csv", "predictions.parquet", "overlay.mp4", "report.html")

#: A video of more frames takes a while to render.
_LONG_FRAMES = 2000

#: Below a folder of predictions: features and manifests of each set of videos that was named in one command.
FEATURES = ".features"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Origin:
    """What a page says of where it comes from.

    Attributes
    ----------
    key : fingerprints of all that it shows
    remarks : sentences that every output of the run repeats
    run : name of the run whose model predicted
    report : URL of its test page, relative to the page; "" where there is none
    """

    key: str
    remarks: Sequence[str]
    run: str
    report: str = ""


def write_videos(
    out: Path,
    cache: Path,
    run: Path,
    features: Manifest,
    fused: Manifest,
    predictions: Sequence[ClipPrediction],
    *,
    model: str,
    model_run: str,
    pictures: bool,
    say: Say,
) -> bool:
    """Write ``out/<video>/{predictions.csv, predictions.parquet, overlay.mp4, report.html, record.json}``.

    Parameters
    ----------
    cache, run, features, fused : where the videos' features are, and their manifests
    model, model_run : a fingerprint of what predicted, and the name of its run
    pictures : bool
        Render the overlay, and put the video into the page.

    Returns
    -------
    bool
        Could every picture be rendered?
    """
    contents = {clip.id: clip.content for clip in fused.clips}

    def key(view: VideoView, pictures: bool) -> str:
        clips = [(track.prediction.clip, contents[track.prediction.clip]) for track in view.tracks]
        return fingerprint("video", CODE_VERSION, model, clips, str(view.source), pictures, fused.remarks)

    whole = True
    for view in video_views(cache, run, features, fused, predictions):
        folder = out / view.name
        with one_at_a_time(out / FEATURES / view.name):  # the claim lies with the features
            # What is there with pictures serves where none were asked for.
            if not any(_is_done(folder, key(view, kind)) for kind in {True, pictures}):
                _say_replaced(folder, view, say)
                origin = Origin(key(view, pictures), fused.remarks, model_run)
                whole &= _write_video(folder, view, origin, pictures=pictures, say=say)
        say(f"{view.name}: {in_words(view)}; {folder / 'report.html'}")
    return whole


def in_words(view: VideoView) -> str:
    """What was predicted for a video, in a line."""
    values, seen = (
        np.concatenate([getattr(track.prediction, name) for track in view.tracks]) for name in ("values", "anything")
    )
    people = f" of {len(view.tracks)} people" if len(view.tracks) > 1 else ""
    if not seen.any():
        return f"{len(seen)} frames{people} without a face, sound or words: nothing to predict from"
    valence, arousal = (float(value) for value in values[seen].mean(axis=0))
    nothing = f", {len(seen) - seen.sum()} of them with nothing behind them" if not seen.all() else ""
    return (
        f"{len(seen)} frames{people}{nothing}, mean valence {valence:+.3f}, mean arousal {arousal:+.3f} "
        f"({quadrant(valence, arousal)})"
    )


def _record(folder: Path) -> dict[str, Any]:
    """What a video's folder says of itself; {} where it says nothing."""
    try:
        record = json_of((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _say_replaced(folder: Path, view: VideoView, say: Say) -> None:
    before = _record(folder).get("source")
    if before is not None and before != str(view.source):
        say(f"{view.name}: takes the place of the prediction of {before}.")


def _is_done(folder: Path, key: str) -> bool:
    record = _record(folder)
    return record.get("fingerprint") == key and all((folder / name).is_file() for name in record.get("files", ()))


def _write_video(folder: Path, view: VideoView, origin: Origin, *, pictures: bool, say: Say) -> bool:
    """Everything about one video; False where its pictures couldn't be rendered."""
    from stage3_mlp.parquet import write_parquet

    folder.mkdir(parents=True, exist_ok=True)
    remove_partials(folder)
    # A video of the same name takes the folder over.
    for name in (RECORD, *_FILES, "video.mp4"):
        (folder / name).unlink(missing_ok=True)
    table = folder / "predictions.csv"
    write_predictions(table, [track.prediction for track in view.tracks])
    write_parquet(table.with_suffix(".parquet"), table)
    overlay = folder / "overlay.mp4" if pictures else None
    video = folder / "video.mp4" if pictures else None
    page = folder / "report.html"
    rendered = write_page(page, view, origin, table.read_bytes(), overlay=overlay, video=video, say=say)
    files = [name for name in (*_FILES, "video.mp4") if (folder / name).is_file()]
    if rendered:  # last: it says that the others are complete
        write_json(
            folder / RECORD,
            {
                "fingerprint": origin.key,
                "run": origin.run,
                "source": str(view.source),
                "files": files,
                "remarks": origin.remarks,
                **provenance(),
            },
        )
    return rendered


def write_page(
    page: Path,
    view: VideoView,
    origin: Origin,
    csv: bytes,
    *,
    overlay: Path | None,
    video: Path | None,
    say: Say,
) -> bool:
    """The page, and what is rendered for it; False where that failed, which the page says too."""
    media, why = None, "The video was left out on request." if video is None else ""
    if video is not None and view.source is None:
        why = view.missing or "The clip was made from ready crops of faces, without a video."
        if view.missing:
            say(f"{view.name}: {view.missing}")
    elif video is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        try:
            media = _render(view, overlay, video, say)
        except MediaError as error:
            why = f"It can't be shown: {error}"
            say(f"{view.name}: {error}")
    write_clip_page(
        page, view, provenance=provenance(), csv=csv, media=media, why_no_media=why, **dataclasses.asdict(origin)
    )
    if media is not None and media.path.stat().st_size <= MAX_EMBEDDED_BYTES:
        media.path.unlink()  # it is in the page
    return media is not None or video is None or not (view.source or view.missing)


def _render(view: VideoView, overlay: Path | None, video: Path, say: Say) -> Media | None:
    from stage3_mlp.views.overlay.rendition import render

    frames = max(len(track.prediction.time_s) for track in view.tracks)
    if frames > _LONG_FRAMES:
        say(f"{view.name}: rendering {frames} frames ...")
    with tqdm(total=frames, unit="frame", desc=f"rendering {view.name}", leave=False, disable=None) as bar:
        return render(view, overlay=overlay, plain=video, on_frame=lambda count: bar.update(count - bar.n))
