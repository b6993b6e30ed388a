"""Command line of the studies: ``python -m studies``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from common.command import StageGroup, debug_option, place_options, recipe_options, say

seeds_option = click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings that differ in their seed."
)
verbose_option = click.option("--verbose", is_flag=True, help="Show what each training says.")


def places(cache: Path, run: Path, device: str, verbose: bool) -> Any:
    """Where a study works, from its options."""
    from studies.chain import Places

    detail: Callable[[str], None] = say if verbose else lambda text: None
    return Places(cache, run, device, say, detail)


@click.group(cls=StageGroup, context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def main(debug: bool) -> None:
    """Many runs from one cache, side by side. Stage 1 of the run comes first: make embeddings."""


@main.command()
@recipe_options
@place_options
@seeds_option
@verbose_option
def ablate(
    recipe: str, overrides: tuple[str, ...], cache: Path, run: Path, device: str, seeds: int, verbose: bool
) -> None:
    """Train and score every subset of the modalities; Shapley values of each."""
    from common.recipe import load_recipe
    from studies.ablate import ablate as study

    study(load_recipe(recipe, overrides), seeds, places(cache, run, device, verbose))


@main.command()
@recipe_options
@place_options
@seeds_option
@verbose_option
def seeds(
    recipe: str, overrides: tuple[str, ...], cache: Path, run: Path, device: str, seeds: int, verbose: bool
) -> None:
    """Mean and spread of the score over seeds."""
    from common.recipe import load_recipe
    from studies.seeds import study_seeds

    study_seeds(load_recipe(recipe, overrides), seeds, places(cache, run, device, verbose))


@main.command()
@recipe_options
@place_options
@verbose_option
def folds(recipe: str, overrides: tuple[str, ...], cache: Path, run: Path, device: str, verbose: bool) -> None:
    """Train one run per fold of training and validation, and score their ensemble on the test split."""
    from common.recipe import load_recipe
    from studies.folds import study_folds

    study_folds(load_recipe(recipe, overrides), places(cache, run, device, verbose))


@main.command()
@recipe_options
@place_options
@verbose_option
def sessions(recipe: str, overrides: tuple[str, ...], cache: Path, run: Path, device: str, verbose: bool) -> None:
    """Train one run per recording session, tested on it, and score all of them together (IEMOCAP)."""
    from common.recipe import load_recipe
    from studies.sessions import study_sessions

    study_sessions(load_recipe(recipe, overrides), places(cache, run, device, verbose))


@main.command()
@place_options
@verbose_option
def missing(cache: Path, run: Path, device: str, verbose: bool) -> None:
    """Score the trained run with each of its modalities withheld; nothing is trained."""
    from studies.missing import study_missing

    study_missing(places(cache, run, device, verbose))
