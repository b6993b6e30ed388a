"""Command line of stage 3: ``python -m stage3_mlp``."""

from __future__ import annotations

from pathlib import Path

import click

from common.command import StageGroup, debug_option, place_options, recipe_options, say, shared
from common.processes import together
from common.storage.address import CACHE_FOLDER


@click.group(cls=StageGroup, context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def main(debug: bool) -> None:
    """Stage 3: the head, polar or of emotion classes; its test, its report, and predictions for new data."""


@shared
@main.command()
@recipe_options
@place_options
def train(recipe: str, overrides: tuple[str, ...], cache: Path, run: Path, device: str) -> None:
    """Train the head on the refined features; the epoch is selected on the validation split."""
    from common.recipe import load_recipe
    from stage3_mlp.train import train as train_head

    settings = load_recipe(recipe, overrides)
    with together(device):
        train_head(settings, cache, run, device, say)


@main.command()
@click.option(
    "--no-video", is_flag=True, help="The pages of the best and the worst clips come without their video: faster."
)
@place_options
def test(no_video: bool, cache: Path, run: Path, device: str) -> None:
    """Score the run's head on its test split: predictions.csv, metrics.json, report.html."""
    from stage3_mlp.test import test as score_run

    score_run(cache, run, device, say, pages="without video" if no_video else "with video")


@main.command()
@place_options
def report(cache: Path, run: Path, device: str) -> None:
    """What there is of a run, finished or stopped, and what is missing: report.html in the run. Loads no model."""
    from stage3_mlp.report.state_page import report as write_report

    write_report(run, cache, say)


@main.command()
@click.argument("videos", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where each video gets its folder; by default predict/ in the run.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting of the run's stage 1, as in stage1.faces.policy=all; may be repeated.",
)
@click.option("--no-video", is_flag=True, help="No overlay.mp4, and a page without the video: much faster.")
@click.option("--retry-failed", is_flag=True, help="Try videos again that failed before and were set aside.")
@click.option(
    "--head",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Without VIDEOS: folder of a trained head; the run's own where not given.",
)
@place_options
def predict(
    videos: tuple[Path, ...],
    out: Path | None,
    overrides: tuple[str, ...],
    no_video: bool,
    retry_failed: bool,
    head: Path | None,
    cache: Path,
    run: Path,
    device: str,
) -> None:
    """Predict VIDEOS (files and folders) with a trained run: tables, the video with its prediction drawn in, a page.

    A run of emotion classes takes a table of utterances instead. Without VIDEOS all of the run's own clips are
    predicted, labelled or not: predictions.csv and .parquet in the run. The features of VIDEOS lie with their
    predictions; --cache is where the run's own are.
    """
    from stage3_mlp.predict import predict_own, predict_videos
    from stage3_mlp.train import HEAD

    if not videos:
        predict_own(head or run / HEAD, cache, run, device, say)
        return
    place = out or run / "predict"
    pictures = not no_video
    if not predict_videos(
        videos, run, place, device, say, settings=overrides, pictures=pictures, retry_failed=retry_failed
    ):
        raise SystemExit(1)


@main.command()
@click.argument("clips", nargs=-1, required=True, metavar="CLIP...")
@click.option("--no-video", is_flag=True, help="Without the video: faster.")
@place_options
def page(clips: tuple[str, ...], no_video: bool, cache: Path, run: Path, device: str) -> None:
    """Write clips/<clip>.html for some of the run's own clips, by name or pattern (talk*).

    With the attention of the six paths, where `python -m stage2_beit attend` has written it.
    """
    from stage3_mlp.views.clip_pages import show

    show(clips, cache, run, device, say, pictures=not no_video)


@main.command()
@click.option(
    "--sample-file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The organisers' file: image_location,valence,arousal, one row a frame.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=None, help="By default submission.txt in the run."
)
@click.option(
    "--allow-missing-clips",
    is_flag=True,
    help="Fill clips without a single prediction with the mean of all predictions, instead of refusing.",
)
@place_options
def submit(sample_file: Path, out: Path | None, allow_missing_clips: bool, cache: Path, run: Path, device: str) -> None:
    """Write a challenge submission: the run's predictions for exactly the sample file's rows, in its order."""
    from stage3_mlp.submission import submit as write_submission

    target = out or run / "submission.txt"
    write_submission(sample_file, target, cache, run, device, say, allow_missing_clips=allow_missing_clips)


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of the page and its tables; by default compare/ in the first run.",
)
@click.option(
    "--cache",
    type=CACHE_FOLDER,
    default=Path("cache"),
    show_default=True,
    help="Folder of the cached features.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
def compare(runs: tuple[Path, ...], out: Path | None, cache: Path, device: str) -> None:
    """Which of two RUNS or more is better? Each pair by a paired bootstrap over clips; over seeds where there are some.

    A run is its folder, as in runs/demo; where `make seeds` was run in it, its trainings are meant, all of them.
    """
    from stage3_mlp.compare.compare import COMPARE
    from stage3_mlp.compare.compare import compare as compare_runs

    compare_runs(runs, cache, device, out or runs[0] / COMPARE, say)
