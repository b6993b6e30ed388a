"""A line of the table of benchmarks: our figure, the alternatives, the limit, the bars; as text, Markdown, JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Median over the turns, smallest and largest."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{figure(self.low)} to {figure(self.high)}"


@dataclass(frozen=True)
class Rival:
    """Another way of doing the same.

    Attributes
    ----------
    value : its figure, in the row's unit
    ratio : how many times as good ours is, turn by turn: above 1, ours is faster or smaller
    at_least : the bar for the ratio, if there is one
    """

    name: str
    value: Spread
    ratio: Spread
    at_least: float | None = None

    @property
    def reached(self) -> bool | None:
        """None where there is no bar."""
        return None if self.at_least is None else self.ratio.median >= self.at_least


@dataclass(frozen=True)
class Row:
    """One thing that was measured.

    Attributes
    ----------
    what : what is done, to which inputs, in which precision
    unit : of the figures
    ours : our figure
    alternatives : what a user would otherwise run
    limit : what can't be beaten
    at_most : a bar on our own figure
    why : the reason where a bar isn't reached
    note : what else must be known to read the line
    """

    what: str
    unit: str
    ours: Spread
    alternatives: tuple[Rival, ...] = ()
    limit: Rival | None = None
    at_most: float | None = None
    why: str = ""
    note: str = ""

    @property
    def short(self) -> bool:
        """Does it miss a bar?"""
        over = self.at_most is not None and self.ours.median > self.at_most
        return over or any(one.reached is False for one in self.rivals())

    def rivals(self) -> tuple[Rival, ...]:
        """The alternatives, then the limit."""
        return (*self.alternatives, *((self.limit,) if self.limit else ()))


HEADINGS = ("what", "ours", "against", "theirs", "times as good", "min to max", "bar")


def to_json(row: Row) -> dict[str, Any]:
    return dataclasses.asdict(row)


def from_json(found: dict[str, Any]) -> Row:
    """What `to_json` made."""

    def spread(values: dict[str, float]) -> Spread:
        return Spread(**values)

    def rival(values: dict[str, Any]) -> Rival:
        return Rival(values["name"], spread(values["value"]), spread(values["ratio"]), values["at_least"])

    return Row(
        found["what"],
        found["unit"],
        spread(found["ours"]),
        tuple(rival(one) for one in found["alternatives"]),
        rival(found["limit"]) if found["limit"] else None,
        found["at_most"],
        found["why"],
        found["note"],
    )


def figure(value: float) -> str:
    """Three digits that count, as 1.73, 164 or 0.0052."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def lines(row: Row) -> Iterator[tuple[str, ...]]:
    """Cells under `HEADINGS`: one line per rival, the first with what was measured."""
    ours = f"{figure(row.ours.median)} {row.unit}"
    own_bar = ""
    if row.at_most is not None:
        own_bar = f"{figure(row.at_most)} {row.unit} or less: {_verdict(row.ours.median <= row.at_most)}"
    rivals = row.rivals()
    if own_bar or not rivals:
        yield row.what, ours, "", "", "", str(row.ours), own_bar
    for index, one in enumerate(rivals):
        first = index == 0 and not own_bar
        name = f"limit: {one.name}" if one is row.limit else one.name
        bar = "" if one.reached is None else f"{figure(one.at_least or 0)} or more: {_verdict(one.reached)}"
        what = (row.what, ours) if first else ("", "")
        yield *what, name, figure(one.value.median), figure(one.ratio.median), str(one.ratio), bar


def remarks(rows: Sequence[Row]) -> list[str]:
    """Why bars aren't reached, and the notes, each with what it is about."""
    found = []
    for one in rows:
        if one.short:
            found.append(f"{one.what}: {one.why or 'the reason is not known.'}")
        if one.note:
            found.append(f"{one.what}: {one.note}")
    return found


def text(rows: Sequence[Row]) -> str:
    """For a terminal: columns of equal width, then the remarks."""
    table = [HEADINGS, *(line for one in rows for line in lines(one))]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEADINGS))]
    body = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    return "\n".join([*body, *([""] if remarks(rows) else []), *remarks(rows)])


def markdown(rows: Sequence[Row]) -> str:
    """For a document."""
    table = [HEADINGS, ("---",) * len(HEADINGS), *(line for one in rows for line in lines(one))]
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table]
    return "\n".join([*body, "", *(f"- {remark}" for remark in remarks(rows))]).rstrip() + "\n"


def _verdict(reached: bool) -> str:
    return "reached" if reached else "not reached"
