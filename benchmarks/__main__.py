"""All benchmarks of the table, each in a process of its own; one table, one file of results.

python -m benchmarks [--quick] [--device cuda] [--only front_end ...] [--save FILE]
python -m benchmarks --show benchmarks/results/MACHINE.json      the table of a file, as Markdown
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import in_words, machine, slug
from benchmarks.row import Row, from_json, markdown, text
from common.device import torch_device
from common.errors import DataError, MavenError
from common.files import write_json
from common.json_lines import read_json
from common.provenance import commit, provenance

#: In the table's order; each runs alone as well: `python -m benchmarks.NAME`.
PARTS = ("front_end", "stage1", "cache", "windows", "additive", "training", "scoring", "start", "growth")

RESULTS = Path(__file__).resolve().parent / "results"


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Smaller inputs and fewer turns: under ten minutes.")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="These alone; may be repeated.")
@click.option("--save", type=click.Path(path_type=Path), default=None, help="Default: results/MACHINE.json.")
@click.option("--show", type=click.Path(path_type=Path, exists=True, dir_okay=False), default=None)
def main(quick: bool, device: str, only: tuple[str, ...], save: Path | None, show: Path | None) -> None:
    try:
        if show is not None:
            click.echo(shown(read_results(show)), nl=False)
            return
        found = machine(device)
        device = str(torch_device(device))
        path = save or RESULTS / f"{slug(found)}{'-quick' if quick else ''}.json"
        parts = known(path, found)
    except MavenError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(in_words(found))
    results = {"machine": found, "parts": parts}
    failed = []
    for part in only or PARTS:
        began = time.monotonic()
        rows = measured(part, quick=quick, device=device)
        seconds = time.monotonic() - began
        if rows is None:
            failed.append(part)
            if results["parts"].pop(part, None):  # it is of an earlier run
                write_json(path, results)
            click.echo(f"{part} failed after {seconds:.0f} s; the others go on.", err=True)
            continue
        click.echo(f"{part}: {seconds:.0f} s", err=True)
        about = provenance()
        results["parts"][part] = {
            "quick": quick,
            "seconds": round(seconds, 1),
            "commit": commit(),
            "time": about["time"],
            "rows": rows,
        }
        results["parts"] = {name: results["parts"][name] for name in PARTS if name in results["parts"]}
        write_json(path, results)
    click.echo("\n" + text(rows_of(results)) + f"\n\nSaved: {path}")
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed; what they said is above.")


def read_results(path: Path) -> dict[str, Any]:
    """A file of results.

    Raises
    ------
    DataError
        If it isn't one.
    """
    results = read_json(path)
    if not {"machine", "parts"} <= results.keys():
        raise DataError(f"{path} is no file of results.", "Delete it, or give another with --save.")
    return results


def known(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    """The parts that a file of results holds, where it is there.

    Raises
    ------
    DataError
        If they are of this machine as it was before: other versions would stand in one table.
    """
    if not path.is_file():
        return {}
    results = read_results(path)
    changed = [name for name in found if results["machine"].get(name) != found[name]]
    if changed:
        raise DataError(
            f"{path} is of another machine, or of this one as it was: {', '.join(changed)} differ.",
            "Move it away, or give another file with --save.",
        )
    parts: dict[str, Any] = results["parts"]
    return parts


def measured(part: str, *, quick: bool, device: str) -> list[dict[str, Any]] | None:
    """The rows of a part as JSON values; None where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        command = [sys.executable, "-m", f"benchmarks.{part}", "--device", device, "--json", str(path)]
        done = subprocess.run([*command, *(["--quick"] if quick else [])], stdout=subprocess.DEVNULL)
        if done.returncode or not path.is_file():
            return None
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return rows


def rows_of(results: dict[str, Any]) -> list[Row]:
    """All rows of a file of results, in its order."""
    return [from_json(row) for part in results["parts"].values() for row in part["rows"]]


def shown(results: dict[str, Any]) -> str:
    """A file of results as Markdown."""
    parts = results["parts"]
    quick = [name for name, part in parts.items() if part["quick"]]
    how = "make bench" + (f" ({', '.join(quick)} with QUICK=1: smaller inputs)" if quick else "")
    days = sorted({part["time"][:10] for part in parts.values()})
    when = " to ".join(dict.fromkeys((days[0], days[-1])))
    return f"{in_words(results['machine'])}. {how}, {when}.\n\n{markdown(rows_of(results))}"


if __name__ == "__main__":
    main()
