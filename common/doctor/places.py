"""Where a run writes: may it, does the file system do what the cache relies on, is the clock right?"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from common.claims import Claim
from common.doctor.check import Check
from common.files import written_whole
from common.reasons import reason_of
from common.sizes import in_bytes

SECTION = "places"

#: A name as long as `common.files.safe_name` lets it be, with the cache's suffix.
_LONGEST = "n" * 200 + ".h5"
#: make and the cache compare times of files; a difference of so much confuses them.
_SKEW_S = 5.0

#: File systems on which memory maps or renames are known to be odd, or whose content doesn't stay.
_REMOTE = frozenset("nfs nfs4 cifs smb3 smbfs 9p fuse.sshfs fuse.s3fs fuse.gcsfuse fuse.rclone vboxsf".split())
_PASSING = frozenset("tmpfs ramfs".split())

_ELSEWHERE = {
    "cache": "Give another with --cache (CACHE= with make)",
    "runs": "Start from another folder, or give --run with each command",
    "temporary": "Set TMPDIR to a folder on another disk",
}


def place(name: str, folder: Path) -> Iterator[Check]:
    """Try, in ``folder`` or the one it would be made in, everything that the cache does with files.

    Parameters
    ----------
    name : ``cache``, ``runs`` or ``temporary``
    """
    elsewhere = _ELSEWHERE[name]
    nearest = nearest_folder(folder)
    if nearest is None:
        taken = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
        what = "a link to nothing" if taken.is_symlink() and not taken.exists() else "a file, not a folder"
        yield Check(SECTION, name, "failed", f"{taken} is {what}", f"{elsewhere}, or move it out of the way.")
        return
    step = ["make a folder"]
    try:
        notes = _trial(nearest, step, whole=name == "cache")
    except (OSError, NotImplementedError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else reason_of(error)
        text = f"{folder}: can't {step[0]} in {nearest}: {reason}"
        yield Check(SECTION, name, "failed", text, _cure(step[0], nearest, elsewhere))
        return
    kind, free = file_system(nearest), shutil.disk_usage(nearest).free
    facts = {"path": str(folder.absolute()), "exists": folder.is_dir(), "file_system": kind, "free_bytes": free}
    there = "" if folder.is_dir() else " (would be made)"
    text = f"{folder}{there}: {kind}{', ' if kind else ''}{in_bytes(free)} free, writable"
    yield Check(SECTION, name, "ok", text, facts=facts)
    yield from (Check(SECTION, name, "warning", note, cure) for note, cure in [*notes, *_doubts(name, kind, nearest)])


def nearest_folder(path: Path) -> Path | None:
    """``path``, or the nearest folder above it, where it would be made; None where something else is in its place."""
    for folder in (path, *path.absolute().parents):
        if folder.is_dir():
            return folder
        if os.path.lexists(folder):
            return None
    return None


def _trial(folder: Path, step: list[str], *, whole: bool) -> list[tuple[str, str]]:
    """Do it all once; ``step[0]`` says what is being done when something is raised. Gives doubts and their cures."""
    notes = []
    with tempfile.TemporaryDirectory(prefix=".maven-doctor-", dir=folder) as made:
        scratch = Path(made)
        step[0] = "write, flush and rename a file"
        with written_whole(scratch / "file") as partial:
            partial.write_bytes(b"doctor")
        skew_s = (scratch / "file").stat().st_mtime - time.time()
        if abs(skew_s) > _SKEW_S:
            cure = "Set the clock of this machine, or of the file server, right (NTP): make compares such times."
            notes.append((f"files of {folder} are {skew_s:+.0f} s from this machine's clock", cure))
        if whole:
            _as_the_cache_does(scratch, step)
        step[0] = "clean up"
    return notes


def _as_the_cache_does(scratch: Path, step: list[str]) -> None:
    """HDF5, memory maps, claims that exclude, folders that replace, long names."""
    import h5py
    import numpy as np

    step[0] = "write HDF5 and read it back"
    with written_whole(scratch / "clip.h5") as partial, h5py.File(partial, "w", libver="latest", locking=False) as file:
        file["rows"] = np.arange(8, dtype=np.float16)
    with h5py.File(scratch / "clip.h5", "r", locking=False) as file:
        offset = file["rows"].id.get_offset()
    step[0] = "map a file into memory"
    if np.memmap(scratch / "clip.h5", np.float16, "r", offset, (8,))[7] != 7:
        raise OSError("what is mapped isn't what was written")
    step[0] = "claim a clip"
    first, second = Claim(scratch / "a.claim"), Claim(scratch / "a.claim")
    if not first.take() or second.take():
        raise OSError("a folder is renamed over one that isn't empty: two claims are granted at once")
    first.release()
    if not second.take():
        raise OSError("a claim that was given back can't be had")
    second.release()
    step[0] = "put one folder in the place of another"
    for _ in range(2):
        with written_whole(scratch / "folder") as partial:
            partial.mkdir()
            (partial / "inside").write_text(socket.gethostname(), encoding="utf-8")
    step[0] = f"name a file with {len(_LONGEST)} signs"
    (scratch / _LONGEST).touch()


def _cure(step: str, folder: Path, elsewhere: str) -> str:
    if step.startswith("claim"):
        return f"{elsewhere}, on a file system that renames folders as POSIX does: a local disk, NFS or Lustre."
    return f"{elsewhere}, or get the right to write to {folder} and room there (ls -ld, df -h, df -i)."


def _doubts(name: str, kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    if kind in _REMOTE:
        text = f"{folder} is on a network or shared mount ({kind}): training reads windows from it at random"
        yield text, f"{_ELSEWHERE[name]}, on a local disk, if epochs turn out slow."
    if kind in _PASSING and name != "temporary":
        yield f"{folder} is in memory ({kind}): it is gone after a restart", f"{_ELSEWHERE[name]}, on a disk."


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind of file system that ``folder`` is on, such as ``ext4``; empty where the system doesn't say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    real, best, kind = folder.resolve(), -1, ""
    for line in lines:
        left, _, right = line.partition(" - ")
        # Octal: a space in a mount point is \040.
        point = Path(os.fsdecode(os.fsencode(left.split()[4]).decode("unicode_escape").encode("latin-1")))
        if (real == point or point in real.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split()[0]
    return kind
