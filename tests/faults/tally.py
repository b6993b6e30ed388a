"""What was tried, and what was lost: one row per stage and kind of fault."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LOSSES = ("corrupt", "twice", "lost", "different", "unsaid")
TITLES = ("corrupt files", "done twice", "lost", "different results", "not said")


@dataclass
class Row:
    """Counts of one stage and kind of fault.

    Attributes
    ----------
    tried : faults brought about
    corrupt : files in cache and run that are neither whole nor told to be partial
    twice : finished clips, epochs or models that were made again
    lost : commands that didn't come to their end afterwards, files that were missing or left over
    different : results that aren't those of an undisturbed run
    unsaid : faults without a sentence, or with another exit code than they should have
    """

    stage: str
    fault: str
    tried: int = 0
    corrupt: int = 0
    twice: int = 0
    lost: int = 0
    different: int = 0
    unsaid: int = 0
    details: list[str] = field(default_factory=list)

    def count(self, loss: str, found: Iterable[str], where: str) -> None:
        """Add what was found of a kind of loss; ``where`` says after what."""
        for one in found:
            setattr(self, loss, getattr(self, loss) + 1)
            self.details.append(f"{loss} after {where}: {one}")

    def require(self) -> None:
        """Fail where anything was lost, or nothing was tried."""
        assert not self.details, "\n".join(self.details[:20])
        assert self.tried, f"{self.stage}, {self.fault}: nothing was tried"


def lines(rows: list[dict[str, Any]], seed: int) -> list[str]:
    """The table in Markdown."""
    found = [f"Faults, seed {seed}", "", f"| stage | fault | tried | {' | '.join(TITLES)} |"]
    found.append("|---|---|" + "--:|" * (1 + len(LOSSES)))
    for row in rows:
        found.append(f"| {row['stage']} | {row['fault']} | {row['tried']} | {_losses(row)} |")
    total = {name: sum(row[name] for row in rows) for name in ("tried", *LOSSES)}
    found.append(f"| all | | {total['tried']} | {_losses(total)} |")
    return found


def _losses(row: dict[str, Any]) -> str:
    return " | ".join(str(row[name]) for name in LOSSES)


def write(folder: Path, rows: list[dict[str, Any]], seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.json").write_text(json.dumps({"seed": seed, "rows": rows}, indent=2) + "\n")
    (folder / "faults.md").write_text("\n".join(lines(rows, seed)) + "\n")


def as_dict(row: Row) -> dict[str, Any]:
    return asdict(row)
