"""Command line of stage 1: ``python -m stage1_embeddings``."""

from __future__ import annotations

from pathlib import Path

import click

from common.command import StageGroup, debug_option, place_options, recipe_options, say


@click.group(cls=StageGroup, context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def main(debug: bool) -> None:
    """Stage 1: videos become per-frame features in the cache."""


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    help="Aff-Wild2's layout, a folder of videos, or one video; the embedded corpus where not given.",
)
@recipe_options
@place_options
@click.option("--allow-failed", is_flag=True, help="Exit with 0 as long as one clip is done.")
def extract(
    data: Path | None,
    recipe: str,
    overrides: tuple[str, ...],
    cache: Path,
    run: Path,
    device: str,
    allow_failed: bool,
) -> None:
    """Bring the cache up to date for a data set: faces, sound and words of each clip, as features per frame."""
    from common.recipe import load_recipe
    from stage1_embeddings.extract import extract as bring_up_to_date

    manifest = bring_up_to_date(load_recipe(recipe, overrides), data, cache, run, device, say)
    if manifest.failures and not (allow_failed and manifest.clips):
        if manifest.clips:
            say("To go on without the failed clips: --allow-failed, or ALLOW_FAILED=1 with make.")
        raise SystemExit(1)
