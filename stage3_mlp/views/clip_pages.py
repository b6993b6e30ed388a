"""Pages of a run's own clips, those that are worth a look."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

from common.artefacts import read_record
from common.errors import UsageError
from common.files import sha256
from common.listening import LISTENING
from common.manifest import Manifest, read_manifest
from common.patterns import fitting
from common.recipe import fingerprint
from common.store import read_attributes
from stage3_mlp.outcome import model_identity, outcome_of
from stage3_mlp.predictions import ClipPrediction, write_predictions
from stage3_mlp.train import FUSED, HEAD, MADE_BY
from stage3_mlp.trained import check_exported
from stage3_mlp.views.clip.page import key_of
from stage3_mlp.views.folder import CODE_VERSION, Origin, write_page
from stage3_mlp.views.source import source_video
from stage3_mlp.views.view import VideoView, video_views

#: Below a run's folder.
CLIPS = "clips"

Say = Callable[[str], None]
#: What a page has of the video: it, none as none was wanted, none as there is none.
Shown = Literal["with", "without", "missing"]


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
    CacheError
        If the refined features are of an earlier state of the run.
    """
    check_exported(run)
    fused = read_manifest(run / FUSED)
    if fused.rows != "frames":
        raise UsageError(f"The rows of {run} are utterances: there is no video to play.", "See their report.html.")
    names = set(fitting([clip.id for clip in fused.clips], patterns))
    clips = [clip for clip in fused.clips if clip.id in names]
    predictions = outcome_of(()).predict(run / HEAD, cache, fused, clips, device)
    for clip in write_clip_pages(run, cache, predictions, say, pictures=pictures):
        say(f"{clip}: {run / CLIPS / clip}.html")


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
    features, fused = read_manifest(run), read_manifest(run / FUSED)
    pages = _Pages(run, cache, features, fused)
    pages.remove_outdated()
    for prediction in predictions:
        clip = prediction.clip
        if not pages.is_current(clip, pictures=pictures):
            (view,) = video_views(cache, run, features, fused, [prediction])
            shown: Shown = "without" if not pictures else "with" if view.source else "missing"
            origin = Origin(pages.keys(clip)[shown], fused.remarks, run.resolve().name, "../test/report.html")
            _write(pages.path(clip), replace(view, name=clip), origin, pictures=pictures, say=say)
    return {prediction.clip: f"{CLIPS}/{quote(f'{prediction.clip}.html')}" for prediction in predictions}


def are_current(run: Path, cache: Path, clips: Sequence[str], *, pictures: bool) -> bool:
    """Has each of these clips its page, of the run's head as it is, with the video if there shall be ``pictures``?"""
    pages = _Pages(run, cache, read_manifest(run), read_manifest(run / FUSED))
    return all(pages.is_current(clip, pictures=pictures) for clip in clips)


class _Pages:
    """Which page a clip of a run has, and which it should have."""

    def __init__(self, run: Path, cache: Path, features: Manifest, fused: Manifest) -> None:
        self._run = run
        self._features = cache / features.folder
        self._contents = {clip.id: clip.content for clip in fused.clips}
        self._remarks = fused.remarks
        self._model = model_identity(read_record(run / HEAD, made_by=MADE_BY))

    def path(self, clip: str) -> Path:
        return self._run / CLIPS / f"{clip}.html"

    def keys(self, clip: str) -> dict[Shown, str]:
        """Of all that each kind of page shows; they begin with the model's. Where the video lies is no part of it."""
        listening = self._run / LISTENING / f"{clip}.npz"
        asked = sha256(listening) if listening.is_file() else ""
        about = (CODE_VERSION, self._contents[clip], asked, self._remarks)
        return {kind: f"{self._model}-{fingerprint('page', kind, *about)}" for kind in get_args(Shown)}

    def is_current(self, clip: str, *, pictures: bool) -> bool:
        """A page with the video serves where one without was asked for, and one without where there is no video."""
        there, keys = key_of(self.path(clip)), self.keys(clip)
        if not pictures:
            return there in keys.values()
        if there == keys["missing"]:
            return source_video(read_attributes(self._features / f"{clip}.h5"))[0] is None
        return there == keys["with"]

    def remove_outdated(self) -> None:
        """Take away the pages of other models: nothing on them says that they are of another."""
        for page in (self._run / CLIPS).glob("*.html"):
            if not key_of(page).startswith(f"{self._model}-"):
                page.unlink()
                page.with_suffix(".mp4").unlink(missing_ok=True)


def _write(page: Path, view: VideoView, origin: Origin, *, pictures: bool, say: Say) -> None:
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / "predictions.csv"
        write_predictions(table, [track.prediction for track in view.tracks])
        csv = table.read_bytes()
    video = page.with_name(f"{view.name}.mp4") if pictures else None
    write_page(page, view, origin, csv, overlay=None, video=video, say=say)
