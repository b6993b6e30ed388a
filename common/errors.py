"""The project's own errors. Each message says what went wrong, in which file, with which value, and what to do.

Commands print the message alone and exit with the class's ``exit_code``; ``--debug`` shows the stack as well.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with its control signs and broken characters spelled out: files and their names may hold any."""
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)


class MavenError(Exception):
    """Something the user can put right.

    Parameters
    ----------
    problem : str
        What is wrong: the file, the value.
    cure : str
        What to do about it.
    """

    exit_code = 1

    def __init__(self, problem: str, cure: str) -> None:
        self.problem = printable(problem)
        self.cure = printable(cure)
        super().__init__(f"{self.problem} {self.cure}")

    def __reduce__(self) -> tuple[type[MavenError], tuple[str, str]]:
        return type(self), (self.problem, self.cure)  # it may come from another process


class UsageError(MavenError):
    """The command was called wrongly: an unknown option value, a path that isn't there."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that can't be read or doesn't validate; all of its faults are in one message."""


class DataError(MavenError):
    """A data set, an annotation file or a transcript that isn't what it should be."""


class MediaError(MavenError):
    """A video, picture or sound that can't be decoded."""


class LimitError(MediaError):
    """A video, picture or sound beyond a limit that can be set: with another limit the same file may pass."""


class ModelError(MavenError):
    """A model that can't be found, reached or loaded."""


class CacheError(MavenError):
    """A cache file that is missing, broken, or made by other settings."""


class StorageError(MavenError):
    """An address that can't be reached, read or written to; or ``one_object`` of it, and others can."""

    def __init__(self, problem: str, cure: str, *, one_object: bool = False) -> None:
        super().__init__(problem, cure)
        self.one_object = one_object


class TrainingError(MavenError):
    """A training run that can't start or go on."""
