"""Copy a cache from its address and to it: ``python -m common.storage pull | publish ADDRESS --cache DIR``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from common.command import StageGroup, debug_option, say
from common.errors import UsageError
from common.sizes import in_bytes
from common.storage.address import Address, LocalPath, PathOrAddress
from common.storage.copies import PARTS


@click.group(cls=StageGroup)
@debug_option
def main(debug: bool) -> None:
    """A cache that lies behind an address (s3://bucket/folder): pull what is missing here, publish what is new here."""


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this part; may be repeated."
    )(command)
    command = click.option(
        "--cache",
        type=LocalPath("the local copy.", file_okay=False),
        required=True,
        help="The local copy, which the stages work on.",
    )(command)
    return click.argument("address", type=PathOrAddress())(command)


@main.command()
@_options
def pull(address: Address | Path, cache: Path, parts: tuple[str, ...]) -> None:
    """Fetch what is missing in the local copy. Exit code 1 if a file there is damaged."""
    _copy("pull", address, cache, parts)


@main.command()
@_options
def publish(address: Address | Path, cache: Path, parts: tuple[str, ...]) -> None:
    """Put what is new in the local copy; every file appears whole or not at all."""
    _copy("publish", address, cache, parts)


def _copy(how: str, address: Address | Path, cache: Path, parts: tuple[str, ...]) -> None:
    from common.storage.copies import PARTS, Copy

    if isinstance(address, Path):
        raise UsageError(f"{address} is no address.", "Give one with ://, such as s3://bucket/folder.")
    copied = getattr(Copy(cache, address, parts or PARTS), how)()
    done = "fetched from" if how == "pull" else "published to"
    say(f"{copied.files} files ({in_bytes(copied.bytes)}) {done} {address}; {copied.there} were there already.")
    for problem in copied.problems:
        click.echo(f"error: {problem}", err=True)
    raise SystemExit(1 if copied.problems else 0)
