"""Versions of the code that trains and exports: they stand together because a study is compared by them.

A stage puts its own into its fingerprints. Raise one when that code computes other numbers from the same settings.
"""

from __future__ import annotations

from typing import Final

#: Of stage 2: raise it when the same settings would train another fusion.
FUSION_CODE_VERSION: Final = 3
#: Of stage 2: raise it when the exported numbers change for the same weights and features.
EXPORT_CODE_VERSION: Final = 2
#: Of stage 3: raise it when the same settings would train another head.
HEAD_CODE_VERSION: Final = 3


def code_versions() -> dict[str, int]:
    """All of them, as a study notes them."""
    return {"fusion": FUSION_CODE_VERSION, "export": EXPORT_CODE_VERSION, "head": HEAD_CODE_VERSION}
