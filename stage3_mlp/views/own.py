"""Pages of a run's own clips, those that are worth a look."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from common.errors import UsageError
from common.manifest import Manifest, read_manifest
from common.patterns import fitting
from stage3_mlp.predictions import ClipPrediction, write_predictions
from stage3_mlp.test import predict_clips
from stage3_mlp.train import FUSED, HEAD
from stage3_mlp.views.folder import write_page
from stage3_mlp.views.view import video_views

#: Below a run's folder.
CLIPS = "clips"

Say = Callable[[str], None]


def show(patterns: Sequence[str], cache: Path, run: Path, device: str, say: Say) -> None:
    """Write the pages of the clips that are named, by name or pattern.

    Raises
    ------
    UsageError
        If a name fits no clip, or the rows of the run's clips are utterances.
    """
    features, fused = read_manifest(run), read_manifest(run / FUSED)
    if fused.rows != "frames":
        raise UsageError(f"The clips of {run} are dialogues, without a video to play.", "See their report.html.")
    names = set(fitting([clip.id for clip in fused.clips], patterns))
    clips = [clip for clip in fused.clips if clip.id in names]
    for clip in clips:
        predictions = predict_clips(run / HEAD, cache, fused, [clip], device)
        write_clip_pages(run, cache, features, fused, predictions, say)
        say(f"{clip.id}: {run / CLIPS / clip.id}.html")


def write_clip_pages(
    run: Path,
    cache: Path,
    features: Manifest,
    fused: Manifest,
    predictions: Sequence[ClipPrediction],
    say: Say,
) -> dict[str, str]:
    """Write ``run/clips/<clip>.html`` for some of a run's own clips, each a page of its own.

    Returns
    -------
    dict
        Clip to the page's URL, relative to the folder of pages.
    """
    folder = run / CLIPS
    urls = {}
    for prediction in predictions:
        (view,) = video_views(cache, run, features, fused, [prediction])
        with tempfile.TemporaryDirectory() as place:
            table = Path(place) / "predictions.csv"
            write_predictions(table, [prediction])
            write_page(
                folder / f"{view.name}.html",
                view,
                fused.remarks,
                table.read_bytes(),
                overlay=None,
                video=folder / f"{view.name}.mp4",
                say=say,
            )
        urls[prediction.clip] = quote(f"{view.name}.html")
    return urls
