"""The environment of the doctor's child processes."""

from __future__ import annotations

import os

from common.provenance import PROJECT


def environment(*, offline: bool = True) -> dict[str, str]:
    """Finds the project, and asks no network where ``offline``."""
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    values = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}
    return values | ({"HF_HUB_OFFLINE": "1"} if offline else {})
