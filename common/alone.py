"""One process at a part of a run: a second one waits, and then finds it done. No folder is a mixture of two."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common import processes
from common.files import one_at_a_time, remove_partials

#: Nothing can be written there, so nothing can be mixed.
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@contextmanager
def alone(part: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other process makes ``part``, a folder of a run, and say so if that takes time.

    What killed processes left half-written there is removed. The processes of one distributed training are one: the
    first of them waits for all.
    """
    with ExitStack() as held:
        if processes.first():
            waits = f"Another process is making {part}: this one waits for it, and goes on from what it leaves."
            try:
                held.enter_context(one_at_a_time(part, waits=lambda: say(waits)))
                for folder in (part.parent, part):
                    remove_partials(folder)
            except OSError as error:
                if error.errno not in _READ_ONLY:
                    raise
        yield
