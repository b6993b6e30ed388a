"""Commands that look after the cache: status, left, verify, inspect, prune.

Exit codes: 0 all is well; 1 something is wrong (a damaged file, a manifest that can't be read); 2 wrong usage.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from common.command import recipe_options, say
from common.errors import UsageError
from common.storage.address import CACHE_FOLDER, DATA_PATH

_cache_option = click.option(
    "--cache",
    type=CACHE_FOLDER,
    default=Path("cache"),
    show_default=True,
    help="Folder of the cached features.",
)
_runs_option = click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    default=(Path("runs"),),
    show_default=True,
    help="Folder of runs, whose manifests say what is used; may be repeated.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")


@click.command()
@click.option("--recipe", default=None, help="Also: which clips of this recipe are done, and why others aren't.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one setting of the recipe.")
@click.option("--data", type=DATA_PATH, default=None, help="The recipe's data, as with extract.")
@_cache_option
@_runs_option
@_json_option
def status(
    recipe: str | None,
    overrides: tuple[str, ...],
    data: Path | None,
    cache: Path,
    runs: tuple[Path, ...],
    as_json: bool,
) -> None:
    """What the cache holds, who uses it, what failed; with a recipe, what is still to be done and why."""
    from common.recipe import load_recipe
    from stage1_embeddings.upkeep.due import due, due_in_words
    from stage1_embeddings.upkeep.folders import check_cache
    from stage1_embeddings.upkeep.status import cache_status, status_in_words

    if recipe is None and (data is not None or overrides):
        raise UsageError("--data and --set are a recipe's.", "Give --recipe as well.")
    check_cache(cache)
    found = cache_status(cache, runs)
    values: dict[str, Any] = {"cache": str(cache), **asdict(found)}
    lines = status_in_words(cache, found)
    if recipe is not None:
        folder, clips = due(load_recipe(recipe, overrides).stage1, data, cache)
        values["recipe"] = {"name": recipe, "folder": folder, "clips": [asdict(clip) for clip in clips]}
        lines += ["", *due_in_words(folder, clips)]
    _answer(values, lines, as_json)
    sys.exit(1 if found.wrong else 0)


@click.command()
@recipe_options
@click.option("--data", type=DATA_PATH, default=None, help="The recipe's data, as with extract.")
@_cache_option
def left(recipe: str, overrides: tuple[str, ...], data: Path | None, cache: Path) -> None:
    """Names of the clips that are left to do, one a line. Those that are set aside aren't."""
    from common.recipe import load_recipe
    from stage1_embeddings.left import left_of
    from stage1_embeddings.upkeep.folders import check_cache

    check_cache(cache)
    for clip in left_of(load_recipe(recipe, overrides).stage1, data, cache):
        click.echo(clip.id)


@click.command()
@click.option("--delete", is_flag=True, help="Remove the damaged files; the next run makes them again.")
@_cache_option
@_json_option
def verify(delete: bool, cache: Path, as_json: bool) -> None:
    """Read every clip file whole: checksums, shapes, masks, clocks. Names each that is damaged, or not as its index."""
    from tqdm import tqdm

    from common.sizes import in_bytes
    from stage1_embeddings.upkeep.folders import check_cache
    from stage1_embeddings.upkeep.verify import Damage, every_file, verify_indexes
    from stage1_embeddings.upkeep.verify import verify as read_whole

    def tell(damage: Damage) -> None:
        if not as_json:
            tqdm.write(f"{damage.problem}{' Removed.' if damage.removed else ''}")

    check_cache(cache)
    files = every_file(cache)
    size = sum(path.stat().st_size for path in files)
    found = read_whole(tqdm(files, unit="clip", leave=False, disable=None), delete=delete, on_damage=tell)
    found += verify_indexes(cache, delete=delete, on_damage=tell)
    values = {
        "files": len(files),
        "bytes": size,
        "damaged": [asdict(damage) | {"path": str(damage.path)} for damage in found],
    }
    removed = sum(damage.removed for damage in found)
    verdict = f"{len(found)} not as they should be, {removed} removed" if found else "all whole"
    _answer(values, [f"{len(files)} clip files, {in_bytes(size)}: {verdict}."], as_json)
    sys.exit(1 if found else 0)


@click.command()
@click.argument("clip")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also draw it: a PNG.")
@click.option("--folder", default=None, help="Which folder of features, by the beginning of its name; else the newest.")
@_cache_option
@_runs_option
@_json_option
def inspect(
    clip: str, out: Path | None, folder: str | None, cache: Path, runs: tuple[Path, ...], as_json: bool
) -> None:
    """One clip in words, and with --out as a picture: faces, sound, words, masks and labels over one axis of time."""
    from stage1_embeddings.upkeep.clipview import find_clip, read_view
    from stage1_embeddings.upkeep.clipwords import describe
    from stage1_embeddings.upkeep.folders import check_cache, uses

    check_cache(cache)
    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"--out {out} isn't the name of a PNG.", "Let it end in .png.")
    path, others = find_clip(cache, clip, folder)
    named, _ = uses(cache, runs)
    view = read_view(path, [use for use in named if use.folder == f"{path.parent.parent.name}/{path.parent.name}"])
    words = describe(view)
    if others:
        words.append(("also in", ", ".join(other.parent.name for other in others)))
    if out is not None:
        _draw(view, cache, out)
        words.append(("picture", str(out)))
    _answer(dict(words), [f"{name:<8} {line}" for name, line in words], as_json)


@click.command()
@click.option("--yes", is_flag=True, help="Remove what is listed; without it nothing is touched.")
@click.option("--keep-days", type=click.FloatRange(min=0), default=1.0, show_default=True, metavar="N")
@_cache_option
@_runs_option
@_json_option
def prune(yes: bool, keep_days: float, cache: Path, runs: tuple[Path, ...], as_json: bool) -> None:
    """What no run uses and what dead processes left: lists it; removes it with --yes.

    Clip files changed within --keep-days stay, since a run names its clips only when it is done.
    """
    from common.sizes import in_bytes
    from stage1_embeddings.upkeep.folders import check_cache
    from stage1_embeddings.upkeep.prune import grouped, prune_plan, remove

    check_cache(cache)
    plan = prune_plan(cache, runs, keep_days)
    groups = grouped(plan.spare)
    size = sum(item.bytes for item in plan.spare)
    problems = remove(plan.spare) if yes else []
    lines = [f"{in_bytes(group.bytes):>8}  {group.name}  ({group.what})" for group in groups]
    lines += [f"   stays  {word}" for word in plan.kept]
    did = "removed" if yes else "can go; nothing is removed without --yes"
    lines += [f"{in_bytes(size)} in {len(plan.spare)} files: {did}." if plan.spare else "Nothing can go.", *problems]
    values = {
        "removed": yes,
        "bytes": size,
        "files": [asdict(item) | {"path": str(item.path)} for item in plan.spare],
        "kept": plan.kept,
        "problems": problems,
    }
    _answer(values, lines, as_json)
    sys.exit(1 if problems else 0)


def _draw(view: Any, cache: Path, out: Path) -> None:
    from tqdm import tqdm

    from common.files import written_whole
    from stage1_embeddings.upkeep.pictures import draw_clip

    with tqdm(total=len(view.time_s), unit="frame", leave=False, disable=None) as bar:
        png = draw_clip(view, cache, lambda frame: bar.update(frame + 1 - bar.n))
    with written_whole(out) as partial:
        partial.write_bytes(png)


def _answer(values: dict[str, Any], lines: list[str], as_json: bool) -> None:
    say(json.dumps(values, indent=2, ensure_ascii=False) if as_json else "\n".join(lines))
