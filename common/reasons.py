"""What the errors of other libraries say, as part of a sentence of ours, and which of them mean that memory ran out."""

from __future__ import annotations

#: What torch says then, and Python where there is no room for a thread's stack.
_NO_MEMORY = ("can't allocate memory", "out of memory", "can't start new thread")


def in_a_line(text: object, most: int = 200) -> str:
    """What another library said, or a path, as part of a sentence: on one line, its end left out where it is long."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[:most]}..."


def reason_of(error: object, most: int = 300) -> str:
    """The same of an error, for the end of a sentence: without its full stop; empty where it says nothing."""
    return in_a_line(str(error).rstrip().rstrip("."), most)


def headline_of(error: BaseException) -> str:
    """The first line alone, where what follows it is for developers; the error's kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return reason_of(lines[0]) if lines else type(error).__name__


def says_no_memory(error: BaseException) -> bool:
    """Is it a `MemoryError`, or an error in such words?"""
    if isinstance(error, RuntimeError):
        return any(sign in str(error) for sign in _NO_MEMORY)
    return isinstance(error, MemoryError)
