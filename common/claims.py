"""Who is at what: several processes, on one machine or many, share a folder, and nothing is done twice.

No lock of the operating system is trusted: on network file systems some lie. A claim is a folder that is made whole
under another name and renamed to its place, which succeeds only where nobody's claim is;
docs/decisions/0014-claims-by-rename.md says why that is enough. What is claimed is written whole by a rename as well:
a broken claim costs work done twice and nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.owner import Owner, read_owner, this_process
from common.partials import partial_name, remove

#: Ends the name of a claim: a folder that holds one empty file, named after its owner.
SUFFIX = ".claim"

#: How often a holder touches its claims, and how long one of another machine may stay untouched.
BEAT_S = 10.0
STALE_S = 180.0

#: How long to look away where somebody else is at it.
_NAP_S = 0.1

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


@dataclass(frozen=True)
class _Sign:
    """What was last seen of a claim of another machine, and since when, on this machine's monotonic clock."""

    mark: str
    touched_ns: int
    since_s: float


class Claim:
    """The claim at one path, as this process sees it.

    Parameters
    ----------
    path : Path
        What is claimed is up to the caller; ``path`` itself becomes the claim, and is gone when it is released.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: Path | None = None
        self._seen: _Sign | None = None

    def take(self) -> bool:
        """Claim it; False where another has it. A claim that nobody holds any more is taken over.

        Raises
        ------
        OSError
            If the folder can't be written to.
        """
        if self._mark is not None:
            return False
        for mark in _marks(self._path):
            if not self._is_over(mark):
                return False
            mark.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not there; or taken since
            self._path.rmdir()
        self._mark = _publish(self._path)
        if self._mark is None:
            return False
        self._seen = None
        _PULSE.keep(self._mark)
        return True

    def release(self) -> None:
        """Give it back; nothing where it isn't held, or was taken over."""
        mark, self._mark = self._mark, None
        if mark is not None:
            _PULSE.drop(mark)
            with contextlib.suppress(OSError):  # not there any more, or not to be removed: it ends with the process
                mark.unlink()
                self._path.rmdir()

    def _is_over(self, mark: Path) -> bool:
        """Is the process gone that made this mark? One of another machine is, if its mark isn't touched for long."""
        owner = _owner(mark)
        if owner is not None and owner.life != "elsewhere":
            return owner.life == "dead"
        try:
            # Opened, not just asked for: a network file system then looks at the server.
            with mark.open("rb") as file:
                touched_ns = os.fstat(file.fileno()).st_mtime_ns
        except OSError:
            return not mark.exists()
        now_s = time.monotonic()
        if self._seen is None or (self._seen.mark, self._seen.touched_ns) != (mark.name, touched_ns):
            self._seen = _Sign(mark.name, touched_ns, now_s)
        return now_s - self._seen.since_s >= STALE_S


@contextlib.contextmanager
def one_at_a_time(path: Path, *, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait until no other process makes ``path``; whoever enters next finds it made.

    ``waits`` is called once if another process is at it.
    """
    claim = Claim(path.with_name(f".{path.name}{SUFFIX}"))
    if not claim.take():
        waits()
        while not claim.take():
            time.sleep(_NAP_S)
    try:
        yield
    finally:
        claim.release()


def is_held(path: Path) -> bool:
    """Does somebody hold the claim at ``path``? One of another machine is taken for held: a single look can't tell."""
    return any(not _is_dead(mark) for mark in _marks(path))


def sweep(path: Path) -> None:
    """Remove the claim at ``path`` if the process that held it is gone."""
    for mark in filter(_is_dead, _marks(path)):
        mark.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody holds it
        path.rmdir()


def _is_dead(mark: Path) -> bool:
    owner = _owner(mark)
    return owner is not None and owner.life == "dead"


def _marks(path: Path) -> list[Path]:
    """The owner's file of a claim; none where there is no claim, or its holder is gone and nobody has taken it over."""
    try:
        # What a network file system keeps of removed files has a dot before its name.
        return [mark for mark in path.iterdir() if not mark.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _owner(mark: Path) -> Owner | None:
    return read_owner(mark.name.rpartition("-")[0])


def _publish(path: Path) -> Path | None:
    """Put a claim of this process at ``path`` if none is there; its mark, or None."""
    name = f"{this_process()}-{secrets.token_hex(4)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(partial_name(f"{path.name}.{name[-8:]}"))
    try:
        made.mkdir()
        (made / name).touch()
        # Renaming a folder over another is refused unless that one is empty.
        made.rename(path)
    except OSError as error:
        # A server's answer can get lost, and the second try then fail: what lies there counts.
        if not (path / name).exists():
            if error.errno in _TAKEN or _marks(path):
                return None
            raise
    finally:
        remove(made)
    return path / name if (path / name).exists() else None


class _Pulse:
    """Touches the claims that this process holds, in a thread that begins with the first."""

    def __init__(self) -> None:
        self._marks: set[Path] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def keep(self, mark: Path) -> None:
        with self._lock:
            self._marks.add(mark)
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="claims", daemon=True)
                self._thread.start()

    def drop(self, mark: Path) -> None:
        with self._lock:
            self._marks.discard(mark)

    def _beat(self) -> None:
        never = threading.Event()
        while not never.wait(BEAT_S):
            with self._lock:
                marks = list(self._marks)
            for mark in marks:
                with contextlib.suppress(OSError):  # taken over, or the server is away: others see it untouched
                    os.utime(mark)


_PULSE = _Pulse()
# A forked process has neither the thread nor the claims.
os.register_at_fork(after_in_child=_PULSE.__init__)  # type: ignore[misc]
