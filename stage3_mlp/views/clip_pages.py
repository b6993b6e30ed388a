"""Pages of a run's own clips, those that are worth a look."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from common.artefacts import read_record
from common.errors import UsageError
from common.files import sha256
from common.listening import LISTENING
from common.manifest import Manifest, read_manifest
from common.patterns import fitting
from common.recipe import fingerprint
from stage3_mlp.outcome import model_identity, outcome_of
from stage3_mlp.predictions import ClipPrediction, write_predictions
from stage3_mlp.train import FUSED, HEAD, MADE_BY
from stage3_mlp.views.clip.page import is_current
from stage3_mlp.views.folder import CODE_VERSION, write_page
from stage3_mlp.views.view import VideoView, video_views

#: Below a run's folder.
CLIPS = "clips"

Say = Callable[[str], None]


def show(patterns: Sequence[str], cache: Path, run: Path, device: str, say: Say, *, pictures: bool = True) -> None:
    """Write the pages of the clips that are named, by name or pattern.

    Parameters
    ----------
    pictures : bool
        Put the video into the page.

    Raises
    ------
    UsageError
        If a name fits no clip, or the rows of the run's clips are utterances.
    """
    fused = read_manifest(run / FUSED)
    if fused.rows != "frames":
        raise UsageError(f"The clips of {run} are dialogues, without a video to play.", "See their report.html.")
    names = set(fitting([clip.id for clip in fused.clips], patterns))
    for clip in (clip for clip in fused.clips if clip.id in names):
        predictions = outcome_of(()).predict(run / HEAD, cache, fused, [clip], device)
        write_clip_pages(run, cache, predictions, say, pictures=pictures)
        say(f"{clip.id}: {run / CLIPS / clip.id}.html")


def write_clip_pages(
    run: Path, cache: Path, predictions: Sequence[ClipPrediction], say: Say, *, pictures: bool = True
) -> dict[str, str]:
    """Write ``run/clips/<clip>.html`` for some of a run's own clips, each a page of its own.

    Those that are there already of the same prediction aren't written again. A clip whose video can't be shown has a
    page that says so.

    Parameters
    ----------
    predictions : of the run's head
    pictures : bool
        Put the video into the page.

    Returns
    -------
    dict
        Clip to the page's URL, relative to the run.
    """
    folder = run / CLIPS
    features, fused = read_manifest(run), read_manifest(run / FUSED)
    model = model_identity(read_record(run / HEAD, made_by=MADE_BY))
    contents = {clip.id: clip.content for clip in fused.clips}
    urls = {}
    for prediction in predictions:
        (view,) = video_views(cache, run, features, fused, [prediction])
        page = folder / f"{view.name}.html"
        listening = run / LISTENING / f"{prediction.clip}.npz"
        asked = sha256(listening) if view.tracks[0].listening is not None else ""
        about = (model, contents[prediction.clip], asked, str(view.source), pictures, fused.remarks)
        key = fingerprint("page", CODE_VERSION, *about)
        if not is_current(page, key):
            _write(page, view, fused, key, pictures=pictures, say=say)
        urls[prediction.clip] = f"{CLIPS}/{quote(page.name)}"
    return urls


def _write(page: Path, view: VideoView, fused: Manifest, key: str, *, pictures: bool, say: Say) -> None:
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / "predictions.csv"
        write_predictions(table, [track.prediction for track in view.tracks])
        csv = table.read_bytes()
    video = page.with_name(f"{view.name}.mp4") if pictures else None
    write_page(page, view, fused.remarks, csv, overlay=None, video=video, say=say, key=key)
