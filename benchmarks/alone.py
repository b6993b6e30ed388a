"""The command line of one benchmark: `python -m benchmarks.NAME [--quick] [--device cpu] [--json FILE]`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.row import Row, text, to_json
from common.errors import MavenError
from common.files import write_json

Rows = Callable[[bool, str], list[Row]]


def alone(rows: Rows) -> click.Command:
    """A command that measures ``rows(quick, device)``, prints them, and writes them where it is told to."""

    @click.command(help=sys.modules[rows.__module__].__doc__)
    @click.option("--quick", is_flag=True, help="Smaller inputs and fewer turns.")
    @click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or mps.")
    @click.option("--json", "path", type=click.Path(path_type=Path), default=None, help="Write the rows here as well.")
    def command(quick: bool, device: str, path: Path | None) -> None:
        try:
            found = rows(quick, device)
        except MavenError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        click.echo(text(found))
        if path is not None:
            write_json(path, [to_json(one) for one in found])

    return command
