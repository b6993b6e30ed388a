"""Predictions without labels: of new videos, from the file to the page, and of a run's own clips as a table."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common.artefacts import check_trained, read_record
from common.datasets.folder import VIDEO_SUFFIXES
from common.errors import CacheError, DataError, UsageError
from common.files import one_at_a_time, safe_name
from common.manifest import Manifest, read_manifest
from common.provenance import PROJECT
from common.recipe import Recipe, fingerprint
from stage3_mlp.outcome import Outcome, model_identity, outcome_of
from stage3_mlp.parquet import write_parquet
from stage3_mlp.train import FUSED, HEAD, MADE_BY
from stage3_mlp.views.folder import FEATURES, write_videos

#: What stage 1 leaves in a run.
RECIPE = "recipe.yaml"

Say = Callable[[str], None]


def predict_videos(
    paths: Sequence[Path],
    run: Path,
    out: Path,
    device: str,
    say: Say,
    *,
    settings: Sequence[str] = (),
    pictures: bool = True,
    retry_failed: bool = False,
) -> bool:
    """Predict videos, or a table of utterances, with a trained run: all three stages, and pages to look at.

    Each video gets ``out/<video>/{predictions.csv, predictions.parquet, overlay.mp4, report.html}``; what is there
    already of the same models and settings isn't made again.

    Parameters
    ----------
    paths : videos and folders of videos; or one data set of another kind
    run : Path
        The trained run: its recipe, fusion and head.
    settings : overrides of the recipe's stage 1, as in ``stage1.faces.policy=all``
    pictures : bool
        Render the overlay and put the video into the page; without, tables and a page without the video.
    retry_failed : bool
        Try videos again that failed before.

    Returns
    -------
    bool
        Was everything done? What could not be is said, and the rest is.

    Raises
    ------
    UsageError
        If the run predicts rows of another kind.
    CacheError
        If the run isn't trained.
    """
    record = _checked_run(run, paths)
    outcome = outcome_of(record.get("classes", []))  # an earlier version knew none
    work = out / FEATURES / _key(paths, run, settings)
    with one_at_a_time(work):
        _stages(paths, run, work, device, settings, attention=_has_paths(record), retry_failed=retry_failed)
        features, fused = read_manifest(work), read_manifest(work / FUSED)
        _check_classes(record, fused, run / HEAD)
        predictions = outcome.predict(run / HEAD, work / "cache", fused, fused.clips, device)
    if fused.rows == "utterances":
        name = safe_name(paths[0].name if paths[0].is_dir() else paths[0].stem, paths[0])
        _write_tables(out / name, outcome, predictions, say)
        done = True
    else:
        model, name = model_identity(record), run.resolve().name
        places = (out, work / "cache", work, features, fused)
        done = write_videos(*places, predictions, model=model, model_run=name, pictures=pictures, say=say)
    for remark in fused.remarks:
        say(f"Note: {remark}")
    for failure in features.failures:
        say(f"Not predicted: {failure.id}: {failure.problem} {failure.cure}")
    return done and not features.failures


def predict_own(head: Path, cache: Path, run: Path, device: str, say: Say) -> Path:
    """Predict all clips of a run, labelled or not, with a trained head, of this run or of another.

    Returns
    -------
    Path
        ``run/predictions.csv``; ``predictions.parquet`` lies beside it.
    """
    manifest = read_manifest(run / FUSED)
    if not manifest.clips:
        raise DataError(f"{manifest.data} has no clip that could be done.", "See the reasons above.")
    record = read_record(head, made_by=MADE_BY)
    _check_classes(record, manifest, head)
    outcome = outcome_of(record.get("classes", []))
    predictions = outcome.predict(head, cache, manifest, manifest.clips, device)
    for remark in manifest.remarks:
        say(f"Note: {remark}")
    return _write_tables(run, outcome, predictions, say)


def _write_tables(folder: Path, outcome: Outcome, predictions: Sequence[Any], say: Say) -> Path:
    path = folder / "predictions.csv"
    rows = outcome.write_predictions(path, predictions)
    write_parquet(path.with_suffix(".parquet"), path)
    say(f"Predictions: {path} ({rows} rows)")
    return path


def _key(paths: Sequence[Path], run: Path, settings: Sequence[str]) -> str:
    """One set of features for the paths of each command."""
    named = [str(path.absolute()) for path in paths]
    return fingerprint("videos", str(run.absolute()), named, list(settings))


def _checked_run(run: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """The record of a run's head, if all is there that predicts these: before hours are spent on features."""
    record = check_trained(run / HEAD, made_by=MADE_BY)
    check_trained(run / "fusion", made_by="make train-beit")
    if not (run / RECIPE).is_file():
        raise CacheError(f"There is no {run / RECIPE}.", "Run `make embeddings` with this RUN again; it writes it.")
    video = next((path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()), None)
    if record.get("rows", "frames") == "utterances" and video is not None:
        raise UsageError(
            f"The run was trained on utterances; {video} is a video, whose rows are frames.",
            "Give it a table of utterances, or name a RUN that was trained on videos.",
        )
    return record


def _check_classes(record: dict[str, Any], manifest: Manifest, head: Path) -> None:
    classes = record.get("classes", [])
    if manifest.classes and list(manifest.classes) != classes:
        raise DataError(
            f"{head} tells {', '.join(classes) or 'valence and arousal'} apart; {manifest.data} is labelled with "
            f"{', '.join(manifest.classes)}.",
            "Name the same classes in the same order in its table.yaml, or leave the labels out.",
        )


def _has_paths(record: dict[str, Any]) -> bool:
    """Has the fusion six paths over frames, whose attention can be shown?"""
    recipe = Recipe.model_validate(record["recipe"])
    return recipe.stage2.fusion.kind == "six-path" and record.get("rows", "frames") == "frames"


def _stages(
    paths: Sequence[Path],
    run: Path,
    work: Path,
    device: str,
    settings: Sequence[str],
    *,
    attention: bool,
    retry_failed: bool,
) -> None:
    """Stages 1 and 2 over the videos, by their own commands: stages know nothing of each other."""
    recipe = [part for setting in settings for part in ("--set", setting)]
    data = [part for path in paths for part in ("--data", str(path.absolute()))]
    places = ["--cache", str(work / "cache"), "--run", str(work), "--device", device]
    fusion = ["--fusion", str(run / "fusion")]
    how = [*recipe, "--allow-failed", *(["--retry-failed"] if retry_failed else [])]
    _command("stage1_embeddings", "extract", *data, "--recipe", str(run / RECIPE), *how, *places)
    _command("stage2_beit", "export", *fusion, *places)
    if attention:
        _command("stage2_beit", "attend", "--all", *fusion, *places)


def _command(stage: str, *arguments: str) -> None:
    """Run a stage's command; what it says is the user's to read, and so is its exit code."""
    paths = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    code = subprocess.run(
        [sys.executable, "-m", stage, *arguments], check=False, env={**os.environ, "PYTHONPATH": paths}
    ).returncode
    if code:
        raise SystemExit(code)
