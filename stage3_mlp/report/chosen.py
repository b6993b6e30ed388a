"""Which clips of a test run are shown with their timelines, and have a page of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from stage3_mlp.page import known

#: Clips that are shown of the best, and of the worst.
SHOWN = 3


class Chosen(NamedTuple):
    """A clip that is shown: in what it stands out, and its row of ``metrics["per_clip"]``."""

    why: str
    row: dict[str, Any]

    @property
    def clip(self) -> str:
        """Its id."""
        return str(self.row["clip"])


def chosen_clips(rows: Sequence[dict[str, Any]]) -> list[Chosen]:
    """The best, the median and the worst clips by the mean CCC, as far as there are so many; none twice.

    Up to `SHOWN` of the best, the best first, then the median, then up to `SHOWN` of the worst, the worst last. Of two
    with the same CCC the earlier row counts as better. Where no clip has a CCC, the first clip.

    Parameters
    ----------
    rows : ``metrics["per_clip"]``: ``clip`` and ``ccc_mean``, None or NaN where there is none
    """
    ranked = sorted((row for row in rows if known(row["ccc_mean"])), key=lambda row: -row["ccc_mean"])
    if not ranked:
        return [Chosen("First clip; none has a CCC", row) for row in rows[:1]]
    if len(ranked) == 1:
        return [Chosen("The only clip with a CCC", ranked[0])]
    each = min(SHOWN, len(ranked) // 2)
    best = [Chosen(_place("best", place), row) for place, row in enumerate(ranked[:each])]
    worst = [Chosen(_place("worst", place), row) for place, row in enumerate(reversed(ranked[-each:]))]
    median = [Chosen("Median clip", ranked[len(ranked) // 2])] if len(ranked) > 2 * each else []
    return [*best, *median, *reversed(worst)]


def _place(name: str, place: int) -> str:
    return f"{name.capitalize()} clip" if not place else f"{('Second', 'Third')[place - 1]} {name}"
