"""One line of the doctor's screen, and how a look at something becomes one, whatever it meets."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from common.errors import MavenError
from common.reasons import reason_of

#: ``missing`` and ``failed`` stop a run; a warning doesn't.
State = Literal["ok", "warning", "missing", "failed"]


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and what to do.

    Attributes
    ----------
    section, name : str
        Where it stands on the screen.
    state : State
    text : str
        What was found: the value, the file.
    cure : str
        What to do; empty where nothing is to be done.
    command : str
        The line to type for it, where there is one.
    facts : dict
        The same for programs, as JSON values.
    """

    section: str
    name: str
    state: State
    text: str
    cure: str = ""
    command: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def stops(self) -> bool:
        """Will it stop a run?"""
        return self.state in ("missing", "failed")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def looked_at(section: str, name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    """What ``look`` finds; whatever it raises is a check that failed, so that one symptom doesn't hide the others."""
    try:
        return list(look())
    except MavenError as error:
        return [Check(section, name, "failed", error.problem, error.cure)]
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return [Check(section, name, "failed", f"{reason}.", "Check the path, the disk and the rights.")]
    except ImportError as error:
        cure = "Install the packages again (make install), or what the message names."
        return [Check(section, name, "failed", f"can't be imported: {reason_of(error)}.", cure)]
    except Exception as error:  # a machine is odd in ways nobody has thought of; it is shown, and the rest goes on
        text = f"couldn't be looked at: {type(error).__name__}: {reason_of(error)}."
        return [Check(section, name, "failed", text, "Report this screen; it may be a fault of the doctor.")]


def python(*arguments: str) -> str:
    """A command of this interpreter as it can be typed here."""
    program = Path(sys.executable)
    here = Path.cwd()
    short = program.relative_to(here) if program.is_relative_to(here) else program
    return shlex.join([str(short), *arguments])
