"""What the command lines of the three stages share: options, plain errors, exit codes.

Exit codes: 0 done; 1 something failed (said in a sentence each); 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from common.errors import MavenError
from common.storage.address import CACHE_FOLDER

Command = TypeVar("Command", bound=Callable[..., Any])

INTERRUPTED = 130


class StageGroup(click.Group):
    """A group whose commands end in one sentence, not in a stack trace, when the user can put things right."""

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params.get("debug"):
            logging.basicConfig()
            logging.getLogger("stage1_embeddings").setLevel(logging.DEBUG)
        try:
            return super().invoke(ctx)
        except MavenError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            # HDF5 raises these too, without a file name.
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            click.echo(f"error: {reason}. Check the path, the disk and the rights.", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("\nInterrupted. What is finished is kept; the same command goes on from there.", err=True)
            ctx.exit(INTERRUPTED)


debug_option = click.option("--debug", is_flag=True, help="Show the stack of errors as well.")


def recipe_options(command: Command) -> Command:
    """``--recipe`` and ``--set``."""
    command = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override one setting, as in stage2.window.frames=64; may be repeated.",
    )(command)
    return click.option("--recipe", default="demo", show_default=True, help="Name in recipes/, or a .yaml file.")(
        command
    )


def place_options(command: Command) -> Command:
    """``--cache``, ``--run`` and ``--device``."""
    command = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")(
        command
    )
    command = click.option(
        "--run",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs/demo"),
        show_default=True,
        help="Folder of this run: manifest, models, scores.",
    )(command)
    return click.option(
        "--cache",
        type=CACHE_FOLDER,
        default=Path("cache"),
        show_default=True,
        help="Folder of the cached features.",
    )(command)


def say(text: str) -> None:
    """One line to the user, at once."""
    click.echo(text)
    sys.stdout.flush()
