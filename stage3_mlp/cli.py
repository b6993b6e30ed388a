"""Command line of stage 3: ``python -m stage3_mlp``."""

from __future__ import annotations

from pathlib import Path

import click

from common.command import StageGroup, debug_option, place_options, recipe_options, say


@click.group(cls=StageGroup, context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def main(debug: bool) -> None:
    """Stage 3: the head, polar or of emotion classes; its test, its report, and predictions for new data."""


@main.command()
@recipe_options
@place_options
def train(recipe: str, overrides: tuple[str, ...], cache: Path, run: Path, device: str) -> None:
    """Train the head on the refined features; the epoch is selected on the validation split."""
    from common.recipe import load_recipe
    from stage3_mlp.train import train as train_head

    train_head(load_recipe(recipe, overrides), cache, run, device, say)


@main.command()
@place_options
def test(cache: Path, run: Path, device: str) -> None:
    """Score the run's head on its test split: predictions.csv, metrics.json, report.html."""
    from stage3_mlp.test import test as score_run

    score_run(cache, run, device, say)


@main.command()
@click.option(
    "--head",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of a trained head; the run's own where not given.",
)
@place_options
def predict(head: Path | None, cache: Path, run: Path, device: str) -> None:
    """Predict all of the run's clips, labelled or not: valence and arousal of frames, or emotions of utterances."""
    from stage3_mlp.predict import predict as predict_run
    from stage3_mlp.train import HEAD

    predict_run(head or run / HEAD, cache, run, device, say)


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
