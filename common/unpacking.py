"""Files that unpack to far more than they are, told by what their headers say, before anything is unpacked."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from common.errors import DataError
from common.sizes import in_bytes

#: What unpacks to less is never refused; beyond it, to at most so many times the size of the file.
_HARMLESS_BYTES: Final = 1 << 30
_MOST_TIMES: Final = 100

#: Files in one archive.
_MOST_MEMBERS: Final = 10_000

#: A text that people and programs write beside a video: an hour of words in Whisper's JSON has a few megabytes.
MOST_TEXT_BYTES: Final = 1 << 28


def check_archive(path: Path) -> None:
    """Refuse an .npz or .xlsx that is a bomb. zipfile never unpacks more than the sizes that are summed up here.

    Raises
    ------
    DataError
    zipfile.BadZipFile, OSError
        If it is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise DataError(f"{path} holds {len(members)} files.", "A table is a handful of them: save it again.")
    check_unpacked(path, path.stat().st_size, sum(member.file_size for member in members))


def check_arrays(path: Path) -> None:
    """As `check_archive`, and that no array of an .npz claims a shape that it doesn't hold: numpy makes room for it.

    Raises
    ------
    DataError, ValueError
    zipfile.BadZipFile, OSError
        If it is no archive, or a member is no array.
    """
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                first = version == (1, 0)
                read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
            if math.prod(shape) * dtype.itemsize > member.file_size:
                raise DataError(f"{path}: {member.filename} claims to be {shape}.", "Make the file again.")


def check_unpacked(path: Path, packed_bytes: int, unpacked_bytes: int, what: str = "") -> None:
    """Refuse what comes to more than 1 GiB in memory and a hundred times its size on the disk.

    Raises
    ------
    DataError
    """
    if unpacked_bytes > max(_HARMLESS_BYTES, _MOST_TIMES * packed_bytes):
        raise DataError(
            f"{path}: {what or 'it'} unpacks from {in_bytes(packed_bytes)} to {in_bytes(unpacked_bytes)}.",
            "No real table does: check where it came from, or save it uncompressed.",
        )


def check_text_size(path: Path) -> None:
    """Refuse a text that is too long to be held in memory many times over.

    Raises
    ------
    DataError
    """
    size = path.stat().st_size if path.is_file() else 0
    if size > MOST_TEXT_BYTES:
        raise DataError(f"{path} has {in_bytes(size)}, too much for such a text.", "Check where it came from.")
