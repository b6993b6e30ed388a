"""What the command lines of the three stages share: options, plain errors, exit codes.

Exit codes: 0 done; 1 something failed (said in a sentence each); 2 wrong usage; 130 interrupted; 143 ended by SIGTERM.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from common import processes
from common.errors import MavenError, UsageError
from common.reasons import says_no_memory
from common.storage.address import CACHE_FOLDER

Command = TypeVar("Command", bound=Callable[..., Any])

INTERRUPTED = 130
TERMINATED = 143


_NO_MEMORY = (
    "error: Memory ran out. Take fewer --workers, smaller batches or shorter windows, or a machine with more memory. "
    "What is finished is kept."
)
_NO_OTHER = "error: Another process of this training ended. The same command goes on from its checkpoint."


class StageGroup(click.Group):
    """A group whose commands end in one sentence, not in a stack trace, when the user can put things right.

    Of several processes that run a command together one says it. Commands that can't be run so are refused.
    """

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params.get("debug"):
            logging.basicConfig()
            logging.getLogger("stage1_embeddings").setLevel(logging.DEBUG)
        before = _end_on_sigterm()
        try:
            return super().invoke(ctx)
        except MavenError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            _complain(f"error: {error}")
            ctx.exit(error.exit_code)
        except click.ClickException as error:
            if processes.says_the_error():
                raise
            ctx.exit(error.exit_code)
        except OSError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            # HDF5 raises these too, without a file name.
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            _complain(f"error: {reason}. Check the path, the disk and the rights.")
            ctx.exit(1)
        except KeyboardInterrupt as error:
            with contextlib.suppress(ValueError):  # a second Ctrl-C comes too late to matter
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            _complain("\nInterrupted. What is finished is kept; the same command goes on from there.")
            ctx.exit(TERMINATED if isinstance(error, _Terminated) else INTERRUPTED)
        except (MemoryError, RuntimeError) as error:
            if says_no_memory(error):
                _complain(_NO_MEMORY)
            elif processes.lost_another(error):
                _complain(_NO_OTHER)
            else:
                raise
            ctx.exit(1)
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; among several processes, a command that isn't `shared` is refused."""
        name, command, rest = super().resolve_command(ctx, args)
        if processes.several() and command is not None and not getattr(command, "shared", False):
            raise UsageError(
                f"{name} runs in one process, and {processes.count()} were started.",
                f"Call it without torchrun: {ctx.info_name} {name} ...",
            )
        return name, command, rest


class _Terminated(KeyboardInterrupt):
    """SIGTERM: a scheduler, or the system on its way down, ends the command."""


def _end_on_sigterm() -> Any:
    """Answer SIGTERM as Ctrl-C, with everything closed and said; what answered it before, None where nothing can."""

    def end(*_: object) -> None:
        raise _Terminated

    with contextlib.suppress(ValueError):  # not in the main thread
        return signal.signal(signal.SIGTERM, end)
    return None


def shared(command: Command) -> Command:
    """Mark a click command as one that several processes may run together."""
    command.shared = True  # type: ignore[attr-defined]
    return command


def _complain(text: str) -> None:
    """Say what ended the command, once for all of its processes."""
    if processes.says_the_error():
        click.echo(text, err=True)


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
    """One line to the user, at once; of several processes, the first says it."""
    if not processes.first():
        return
    click.echo(text)
    sys.stdout.flush()
