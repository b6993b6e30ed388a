"""Clips that a user names, by name or pattern."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import islice

from common.errors import UsageError
from common.outside_text import shortened

#: Clips that an error names where none is similar.
_NAMED = 3


def fitting(names: Sequence[str], patterns: Sequence[str], option: str = "") -> list[str]:
    """Those of ``names`` that are one of ``patterns`` or fit one (``talk*``), in their order.

    Parameters
    ----------
    option : the option that takes the patterns, for the error

    Raises
    ------
    UsageError
        If a name or pattern fits none.
    """
    for pattern in patterns:
        if not any(_fits(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, n=_NAMED)
            known = ", ".join(islice(names, _NAMED)) + (", ..." if len(names) > _NAMED else "")
            cure = f"Did you mean {' or '.join(near)}?" if near else f"There are: {known}."
            raise UsageError(f"{f'{option} ' if option else ''}{shortened(pattern)} fits no clip.", cure)
    return [name for name in names if any(_fits(name, pattern) for pattern in patterns)]


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)
