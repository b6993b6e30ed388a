"""Command line of stage 1: ``python -m stage1_embeddings``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from common.command import StageGroup, debug_option, place_options, recipe_options, say
from common.errors import UsageError
from common.storage.address import CACHE_FOLDER, DATA_PATH, Address, PathOrAddress
from stage1_embeddings.upkeep.cli import inspect, left, prune, status, verify

if TYPE_CHECKING:
    from common.manifest import Protocol
    from stage1_embeddings.cluster.connection import Cluster


@click.group(cls=StageGroup, context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def main(debug: bool) -> None:
    """Stage 1: videos become per-frame features in the cache."""


protocol_option = click.option(
    "--protocol",
    type=click.Choice(["honest", "published"]),
    default="honest",
    show_default=True,
    help="published: split utterances as the published classifier did, with copies of test rows in training.",
)


@main.command()
@click.option(
    "--data",
    type=PathOrAddress(),
    multiple=True,
    help="Aff-Wild2's layout, a folder of videos, one video, MELD's or another table of utterances, or the address of "
    "one (s3://bucket/folder); by default the embedded corpus. May be repeated for several videos or folders.",
)
@recipe_options
@place_options
@click.option("--allow-failed", is_flag=True, help="Exit with 0 as long as one clip is done.")
@click.option("--retry-failed", is_flag=True, help="Try clips again that failed before and were set aside.")
@click.option("--only", multiple=True, metavar="CLIP", help="Only this clip, or those of a pattern; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many clips.")
@click.option("--shard", metavar="I/N", help="Only the I-th of N parts, for several machines with one cache.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes that decode; by default half the processors.")
@protocol_option
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray: the machines of a Ray cluster share the clips (docs/ray.md).",
)
@click.option("--address", metavar="HOST:PORT", help="With --engine ray: the cluster's head; by default auto.")
@click.option(
    "--encoder-gpus",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="With --engine ray: what encoders take of a GPU; 0.5 puts two of them on each. By default 1.",
)
@click.option(
    "--encoders",
    type=click.IntRange(min=1),
    help="With --engine ray: how many sets of encoders; by default as many as there is room for.",
)
def extract(
    data: tuple[Path | Address, ...],
    recipe: str,
    overrides: tuple[str, ...],
    cache: Path,
    run: Path,
    device: str,
    allow_failed: bool,
    retry_failed: bool,
    only: tuple[str, ...],
    limit: int | None,
    shard: str | None,
    workers: int | None,
    protocol: Protocol,
    engine: str,
    address: str | None,
    encoder_gpus: float | None,
    encoders: int | None,
) -> None:
    """Bring the cache up to date for a data set: faces, sound and words of each clip, as features per frame."""
    from common.recipe import load_recipe
    from common.storage.data import local_data
    from stage1_embeddings.extract import extract as bring_up_to_date
    from stage1_embeddings.selection import Selection, read_shard

    cluster = _cluster(engine, address, encoder_gpus, encoders)
    selection = Selection(only, limit, read_shard(shard) if shard else None, retry_failed)
    settings = load_recipe(recipe, overrides)
    given = data if len(data) > 1 else next(iter(data), None)
    with local_data(given, cache, say) as (place, videos):
        manifest = bring_up_to_date(
            settings, place, cache, run, device, say,
            selection=selection, workers=workers, protocol=protocol, cluster=cluster, videos=videos,
        )  # fmt: skip
    if manifest.failures and not (allow_failed and manifest.clips):
        if manifest.clips:
            say("To go on without the failed clips: --allow-failed, or ALLOW_FAILED=1 with make.")
        raise SystemExit(1)


def _cluster(engine: str, address: str | None, gpus: float | None, encoders: int | None) -> Cluster | None:
    """The cluster that the options name; None where this machine works alone."""
    from stage1_embeddings.cluster.connection import Cluster

    options = {"--address": address, "--encoder-gpus": gpus, "--encoders": encoders}
    given = [name for name, value in options.items() if value is not None]
    if engine == "local" and given:
        raise UsageError(f"{given[0]} is for a Ray cluster.", "Add --engine ray (make: ENGINE=ray), or leave it out.")
    return Cluster(address or "auto", gpus or 1.0, encoders) if engine == "ray" else None


@main.command("check-data")
@click.option(
    "--data",
    type=DATA_PATH,
    default=None,
    help="As with extract; the embedded corpus where not given.",
)
@recipe_options
@click.option(
    "--cache",
    type=CACHE_FOLDER,
    default=Path("cache"),
    show_default=True,
    help="Where the embedded corpus is rendered and tables are imported.",
)
@click.option("--decode", is_flag=True, help="Decode every video to its end: sure, but as slow as decoding is.")
@click.option("--all", "every", is_flag=True, help="List everything, not ten of a kind.")
@protocol_option
def check_data(
    data: Path | None,
    recipe: str,
    overrides: tuple[str, ...],
    cache: Path,
    decode: bool,
    every: bool,
    protocol: Protocol,
) -> None:
    """Everything unexpected in a data set, before stage 1 begins. Exit code 1 if a clip would be refused or lost."""
    from tqdm import tqdm

    from common.datasets import survey_dataset
    from common.recipe import load_recipe
    from stage1_embeddings.check_data import check_data as look_at
    from stage1_embeddings.check_words import in_words

    settings = load_recipe(recipe, overrides)
    found = survey_dataset(data, cache, say, protocol=protocol)
    with tqdm(total=len(found.clips), unit="clip", leave=False, disable=None) as bar:
        check = look_at(settings, found, decode_all=decode, clip_done=bar.update)
    say("\n".join(in_words(check, recipe, every=every)))
    raise SystemExit(0 if check.passed else 1)


for command in (status, left, verify, inspect, prune):
    main.add_command(command)
