"""What is an address and what is a path: decided once, where the command line is read."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import click

_ADDRESS = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>.*)", re.DOTALL)
_PASSWORD = re.compile(r"//[^/@]*@")
_SLUG_SIGNS = 80


@dataclass(frozen=True)
class Address:
    """An address such as ``s3://bucket/folder``; as a string, without the name and password that may be in it."""

    text: str

    def __str__(self) -> str:
        return _PASSWORD.sub("//", self.text)

    @property
    def protocol(self) -> str:
        return self.text.partition("://")[0].lower()

    @property
    def slug(self) -> str:
        """The name of a local folder for it: ``s3_bucket_folder-0a1b2c3d``."""
        readable = re.sub(r"[^A-Za-z0-9._-]+", "_", str(self))[:_SLUG_SIGNS]
        return f"{readable}-{hashlib.sha256(self.text.encode()).hexdigest()[:8]}"

    def below(self, key: str) -> str:
        """The address of what lies below it, for messages."""
        return f"{str(self).rstrip('/')}/{key}"


def read_address(text: str) -> Address | None:
    """``text`` as an address; None where it is a path."""
    match = _ADDRESS.fullmatch(text)
    return Address(text.rstrip("/")) if match and match["place"].strip("/") else None


class PathOrAddress(click.ParamType[Path | Address]):
    """A `Path`, or an `Address` where there is ``://`` in it."""

    name = "path or address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path | Address:
        if isinstance(value, Path | Address):
            return value
        return read_address(str(value)) or Path(str(value))


class LocalPath(click.Path):
    """A path of this machine; an address is refused with what to do instead."""

    def __init__(self, instead: str, *, file_okay: bool = True) -> None:
        super().__init__(path_type=Path, file_okay=file_okay)
        self._instead = instead

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        address = None if isinstance(value, Path) else read_address(str(value))
        if address is not None:
            self.fail(f"{address} is an address, and this takes a path of this machine: {self._instead}", param, ctx)
        return Path(super().convert(value, param, ctx))  # type: ignore[arg-type]


#: What ``--cache`` takes.
CACHE_FOLDER = LocalPath(
    "CACHE= of make takes it, or `python -m common.storage pull` and `publish` (docs/storage.md).", file_okay=False
)
#: What ``--data`` takes where the data set is looked at but no video fetched.
DATA_PATH = LocalPath("only `make embeddings` and what follows it read data from one (docs/storage.md).")
