"""One line of the index: what a finished file is, and what it was made from, as the file's own attributes say it."""

from __future__ import annotations

import json
import os
import zlib
from typing import Any, NamedTuple, get_type_hints

from common.manifest import CachedClip, Clip
from common.recipe import fingerprint

#: Raise when a line means something else; lines of another version are passed over.
VERSION = 1

#: Before the record itself.
_SUM_CHARACTERS = 9

#: A dialogue of so many utterances is known by their words: "Hey." is said in many.
KNOWN_BY_UTTERANCES = 3

#: Of a file: inode, bytes, time of change. A file that is replaced by a rename has another inode.
Identity = tuple[int, int, int]


class Record(NamedTuple):
    """What the index holds of one file.

    Attributes
    ----------
    inode, size, mtime_ns : of the file; where they are others, the record says nothing
    seen : as by `inputs.seen`, what of its inputs a look at their folder shows; empty where that doesn't suffice
    name : the file's, without ``.h5``
    frames, labelled, rate_hz, content, pictured, features_sha256 : as the file says
    source_sha256, source_size, source_mtime_ns, crops_sha256, crops_listing : of what it was made from, when last seen
    transcript : name of the transcript beside the source; empty where there was none
    """

    inode: int
    size: int
    mtime_ns: int
    seen: str
    name: str
    frames: int
    labelled: bool
    rate_hz: float
    content: str
    pictured: str
    features_sha256: str
    source_sha256: str = ""
    source_size: int = 0
    source_mtime_ns: int = 0
    crops_sha256: str = ""
    crops_listing: str = ""
    transcript: str = ""

    @property
    def file(self) -> Identity:
        return self[:3]

    def known(self) -> dict[str, Any]:
        """What spares hashing inputs that are known, by the names of the file's attributes."""
        keys = ("source_sha256", "source_size", "source_mtime_ns", "crops_sha256", "crops_listing")
        return {key: getattr(self, key) for key in keys}

    def entry(self, clip: Clip) -> CachedClip:
        """What the manifest says of this file of a clip."""
        video = self.pictured
        if clip.utterances:
            known = self.features_sha256 or self.frames >= KNOWN_BY_UTTERANCES
            video = fingerprint(video, self.features_sha256) if known else ""
        return CachedClip(
            self.name, clip.split, str(clip.source), self.frames, self.labelled, self.content, video, clip.group
        )


_TYPES = tuple(get_type_hints(Record).values())


def look(path: str, folder: int | None = None) -> os.stat_result | None:
    """What a folder says of a file; None where it can't be had. ``folder``: one that is open, where ``path`` begins."""
    try:
        return os.stat(path, dir_fd=folder)
    except OSError:
        return None


def identity(path: str, folder: int | None = None) -> Identity | None:
    """Of a file as it is now."""
    status = look(path, folder)
    return None if status is None else (status.st_ino, status.st_size, status.st_mtime_ns)


def begins(line: bytes, file: Identity, seen: str) -> bool:
    """Is it of this file, as it is, and of such inputs? Compared as text: reading the line takes five times as long."""
    return line.startswith(b'[%d,%d,%d,%d,"%s",' % (VERSION, *file, seen.encode()), _SUM_CHARACTERS)


def to_line(record: Record) -> bytes:
    """A checksum, the record as JSON, an end of line."""
    text = json.dumps([VERSION, *record], separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def from_line(line: bytes) -> Record | None:
    """The record of a line; None where the line is torn, changed, or another version's."""
    text = line[_SUM_CHARACTERS:].rstrip(b"\n")
    if line[:_SUM_CHARACTERS] != b"%08x " % zlib.crc32(text):
        return None
    try:
        version, *values = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return Record(*values) if version == VERSION and tuple(map(type, values)) == _TYPES else None
