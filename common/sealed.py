"""JSON that other numbers depend on, with a checksum in its last line: a flipped bit is no new setting."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from common.errors import CacheError
from common.files import as_json, write_text
from common.outside_text import json_of

#: Its last line, even where that is what was damaged.
_SEAL = re.compile(rb',\n  "(.{6})": "(.{64})"\n}\n$')


def write_sealed(path: Path, values: dict[str, Any]) -> None:
    """Write ``values`` as JSON, whole or not at all, and last of all the SHA-256 of what stands before."""
    text = as_json({key: value for key, value in values.items() if key != "sha256"}).removesuffix("\n}\n")
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    write_text(path, f'{text},\n  "sha256": "{digest}"\n}}\n')


def read_sealed(path: Path, *, cure: str) -> Any:
    """What a JSON file holds; one without a checksum is taken as it is.

    Raises
    ------
    CacheError
        If it doesn't match its checksum.
    FileNotFoundError, ValueError
        If there is none; if it isn't JSON.
    """
    content = path.read_bytes()
    seal = _SEAL.search(content)
    if seal and seal.groups() != (b"sha256", hashlib.sha256(content[: seal.start()]).hexdigest().encode()):
        raise CacheError(f"{path} doesn't match its checksum: it is damaged, or was changed by hand.", cure)
    values = json_of(content.decode("utf-8"))
    if isinstance(values, dict):
        values.pop("sha256", None)
    return values
