"""What the system lets this process have."""

from __future__ import annotations

from common.errors import CacheError

#: Open files besides the clips': libraries, logs, the pipes of worker processes.
OTHER_FILES = 400


def allow_open_files(number: int) -> None:
    """Let this process, and those it starts, keep ``number`` files open beside its others.

    Linux and macOS give a process a low limit at first (1,024; 256), and more where it asks.

    Raises
    ------
    CacheError
        If it may not have that many.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    wanted = number + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise CacheError(
            f"{number:,} clips are to be read at once, a file each, and this process may have {hard:,} files open.",
            f"Have the hard limit raised (`ulimit -Hn {wanted}`; in containers --ulimit nofile={wanted}).",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
