"""Command line of stage 2: ``python -m stage2_beit``."""

from __future__ import annotations

from pathlib import Path

import click

from common.command import StageGroup, debug_option, place_options, recipe_options, say, shared
from common.processes import together


@click.group(cls=StageGroup, context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def main(debug: bool) -> None:
    """Stage 2: six-path cross-modal attention and BEiT refinement over the cached features."""


fusion_option = click.option(
    "--fusion",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of a trained fusion; the run's own where not given.",
)


@shared
@main.command()
@recipe_options
@place_options
def train(recipe: str, overrides: tuple[str, ...], cache: Path, run: Path, device: str) -> None:
    """Train the fusion on the run's labelled clips; the epoch is selected on its validation split."""
    from common.recipe import load_recipe
    from stage2_beit.train import train as train_fusion

    settings = load_recipe(recipe, overrides)
    with together(device):
        train_fusion(settings, cache, run, device, say)


@shared
@main.command()
@fusion_option
@place_options
def export(fusion: Path | None, cache: Path, run: Path, device: str) -> None:
    """Write the refined features of all the run's clips to the cache."""
    from stage2_beit.export import export as export_clips
    from stage2_beit.train import FUSION

    with together(device):
        export_clips(fusion or run / FUSION, cache, run, device, say)


@main.command()
@click.argument("clips", nargs=-1, metavar="[CLIP]...")
@click.option("--all", "every", is_flag=True, help="All clips of the run.")
@fusion_option
@place_options
def attend(clips: tuple[str, ...], every: bool, fusion: Path | None, cache: Path, run: Path, device: str) -> None:
    """Write which modality each moment of some exported clips listened to, by name or pattern (talk*)."""
    from stage2_beit.attend import attend as attend_clips
    from stage2_beit.train import FUSION

    attend_clips(fusion or run / FUSION, cache, run, device, say, only=clips, every=every)
