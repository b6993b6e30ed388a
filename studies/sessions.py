"""Leave one session out: each recording session is the test split of a run of its own, and the score is over all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.files import safe_name
from common.manifest import CachedClip, Manifest, read_manifest
from common.recipe import Recipe
from common.schema import Split
from stage3_mlp.report.studied import SESSIONS
from studies.chain import Places, Scored, train_and_score
from studies.together import score_together


def session_manifest(manifest: Manifest, session: str) -> Manifest:
    """The manifest with ``session`` as test split, the session before it as validation, all others as training.

    Before the first comes the last: each session is tested once and selects once.

    Raises
    ------
    DataError
        If there are fewer than three sessions: one to train on, one to select on, one to score.
    """
    sessions = sorted({clip.group for clip in manifest.clips if clip.group})
    if len(sessions) < 3:
        raise DataError(
            f"{manifest.data} has {len(sessions)} session(s): {', '.join(sessions) or 'none is named'}.",
            "Leaving one out needs three; name them in a session column, or by ids such as Ses01F_impro01.",
        )
    before = sessions[sessions.index(session) - 1]

    def split(clip: CachedClip) -> Split:
        if not clip.group:
            return "unsplit"
        return "test" if clip.group == session else "validation" if clip.group == before else "train"

    return replace(manifest, clips=tuple(replace(clip, split=split(clip)) for clip in manifest.clips))


def study_sessions(recipe: Recipe, places: Places) -> dict[str, Any]:
    """Train and score a run per session, and score all of their test predictions together.

    Writes ``run/sessions/{sessions.csv, sessions.json, predictions.csv, metrics.json}``. Errors as in
    `session_manifest`.
    """
    manifest, folder = read_manifest(places.run), places.run / SESSIONS
    sessions = sorted({clip.group for clip in manifest.clips if clip.group}) or [""]
    runs: dict[str, Scored] = {}
    for session in sessions:
        own = session_manifest(manifest, session)
        if not runs:
            places.say(f"Sessions: {recipe.name}, {len(sessions)} trainings, each tested on the session it never saw")
        runs[session] = train_and_score(recipe, own, folder / safe_name(session, Path(session)), places)
        places.say(f"  {session}: {runs[session].outcome.title} {runs[session].score:.4f}")
    predictions = [prediction for run in runs.values() for prediction in run.predictions]
    return score_together(
        folder,
        runs,
        predictions,
        recipe,
        places,
        column="session",
        together="all sessions",
        split="each session in turn",
    )
