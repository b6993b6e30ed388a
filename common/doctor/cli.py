"""Will this machine do it, and what is missing?

    python -m common.doctor --recipe maven --data DIR --device cuda

Nothing is fetched and no network asked; nothing is left in the cache. What needs torch, and a small run through the
three stages, happens in a child process (child.py) while this one looks at the rest.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common.command import INTERRUPTED, debug_option, recipe_options
from common.doctor import selftest
from common.doctor.check import Check, looked_at, python
from common.doctor.found import Found
from common.doctor.screen import screen, show
from common.errors import MavenError, UsageError
from common.provenance import provenance
from common.storage.address import CACHE_FOLDER, DATA_PATH

if TYPE_CHECKING:
    from common.recipe import Recipe  # here and below: the child starts before what is slow to import


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@recipe_options
@click.option(
    "--data",
    type=DATA_PATH,
    default=None,
    help="As with `stage1_embeddings extract`: its clips are counted, and what they will take on the disk.",
)
@click.option("--cache", type=CACHE_FOLDER, default=Path("cache"), show_default=True, help="Folder of features.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")
@click.option("--no-self-test", is_flag=True, help="Leave out the small run through the three stages.")
@click.option("--fetch", is_flag=True, help="First fetch the recipe's models that aren't here; needs a network.")
@debug_option
def main(
    recipe: str,
    overrides: tuple[str, ...],
    data: Path | None,
    cache: Path,
    device: str,
    as_json: bool,
    no_self_test: bool,
    fetch: bool,
    debug: bool,
) -> None:
    """Will this machine run a recipe, and what is missing? Asks no network, unless --fetch is given.

    Exit code 0: nothing is known that would stop a run (warnings don't count); 1: something would, each with its cure;
    2: wrong usage, such as a recipe that doesn't validate. A model that isn't on this machine counts as missing, though
    a run with a network would fetch it.
    """
    began_s = time.perf_counter()
    child = selftest.start(stages=not no_self_test, fetching=fetch)
    try:
        from common.doctor import models
        from common.recipe import load_recipe

        settings = load_recipe(recipe, overrides)
        checks = examine(settings, data, cache, device, child, self_test=not no_self_test, fetching=fetch)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except MavenError as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    fetching = _fetch_command(recipe, overrides)
    checks = [models.with_cure(check, fetching) for check in checks]
    about = f"recipe {settings.name}" + (f" on {data}" if data else "")
    took_s = time.perf_counter() - began_s
    stops = any(check.stops for check in checks)
    if as_json:
        click.echo(json.dumps(_values(checks, settings, took_s, stops=stops), indent=2))
    else:
        made = provenance()
        show(f"maven doctor: {about}, device {device}; commit {made['commit'][:8]}, {made['time']}\n")
        show(screen(checks, about))
        show(f"Looked for {took_s:.1f} s.")
    sys.exit(1 if stops else 0)


def _fetch_command(recipe: str, overrides: tuple[str, ...]) -> str:
    sets = [part for override in overrides for part in ("--set", override)]
    return python("-m", "common.doctor", "--recipe", recipe, *sets, "--fetch")


def examine(
    recipe: Recipe,
    data: Path | None,
    cache: Path,
    device: str,
    child: subprocess.Popen[str],
    *,
    self_test: bool,
    fetching: bool = False,
) -> list[Check]:
    """Look at everything; in the order of the screen.

    Raises
    ------
    UsageError
        If there is nothing at ``data``.
    """
    if data is not None and not data.exists():
        raise UsageError(f"There is nothing at {data}.", "Give --data the path of a folder, a video or a table.")
    scratch = _scratch()
    folder = scratch if self_test else None
    selftest.ask(child, recipe, device, folder, fetching=fetching)
    try:
        checks = []
        if folder is not None:
            checks += looked_at(selftest.SECTION, "clips", lambda: selftest.draw_clips(folder, child))
        elif self_test:
            checks.append(
                Check(selftest.SECTION, "stages", "warning", "not run: there is no place for temporary files")
            )
        checks += _here(recipe, data, cache, scratch, Found(fetching))
        checks += selftest.result(child, None if fetching else selftest.PATIENCE_S)
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    order = {name: place for place, name in enumerate(("torch", "device", "precision"))}
    return sorted(checks, key=lambda check: order.get(check.name, len(order)))


def _scratch() -> Path | None:
    """A folder of the doctor's own; None where there is no place for one, which `places` says."""
    try:
        return Path(tempfile.mkdtemp(prefix="maven-doctor-"))
    except OSError:
        return None


def _here(recipe: Recipe, data: Path | None, cache: Path, scratch: Path | None, found: Found) -> list[Check]:
    """All that needs no torch."""
    from common.doctor import machine, models, places, room

    checks: list[Check] = []
    for look in (machine.system, machine.python, machine.packages, machine.tools):
        checks += looked_at(machine.SECTION, look.__name__, look)
    for name, folder in (("cache", cache), ("runs", Path("runs"))):
        checks += looked_at(places.SECTION, name, functools.partial(places.place, name, folder))
    checks += looked_at(places.SECTION, "temporary", lambda: places.place("temporary", Path(tempfile.gettempdir())))
    if data is not None and scratch is not None:
        checks += looked_at(places.SECTION, "data", lambda: room.survey(data, scratch / "tables", found))
    checks += looked_at(models.SECTION, "models", lambda: models.encoders(recipe, found))
    checks += looked_at(models.SECTION, "faces", lambda: models.yunet(recipe.stage1, found))
    checks += looked_at(places.SECTION, "room", lambda: room.room(recipe, cache, found))
    loaders = max(recipe.stage2.training.workers, recipe.stage3.training.workers)
    trained = found.size.trained if found.size else None
    checks += looked_at(machine.SECTION, "limits", lambda: machine.limits(trained, loaders))
    return checks


def _values(checks: Sequence[Check], recipe: Recipe, took_s: float, *, stops: bool) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "exit_code": int(stops),
        "seconds": round(took_s, 2),
        "checks": [check.as_json() for check in checks],
        **provenance(),
    }
