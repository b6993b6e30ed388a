"""What the reports share in text: the way from a template to a page, figures of tables, and why there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from common.files import write_text


class Cell(NamedTuple):
    """A figure of a table, or "" and why there is none."""

    text: str
    why: str = ""


def write_page(path: Path, template: str, context: dict[str, Any]) -> None:
    """Fill a template, named relative to this package, and write the page whole; all that is filled in is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # names and texts come from strangers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(path, environment.get_template(template).render(context) + "\n")


def known(value: float | None) -> bool:
    """Is there such a figure? NaN, written as null, is none."""
    return value is not None and math.isfinite(value)


def number(value: float | None, why: str, pattern: str = ".3f") -> Cell:
    """A figure with a true minus sign, or why there is none."""
    if value is None or not math.isfinite(value):
        return Cell("", why)
    return Cell(format(value, pattern).replace("-", "−").replace("%", "\N{NO-BREAK SPACE}%"))


def interval(bounds: Sequence[float | None], why: str) -> Cell:
    """From where to where, or why there is no interval."""
    low, high = (number(bound, why) for bound in bounds)
    return Cell(f"{low.text} to {high.text}") if low.text and high.text else Cell("", why)
