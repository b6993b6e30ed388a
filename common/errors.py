"""The project's own errors. Each message says what went wrong, in which file, with which value, and what to do.

Commands print the message alone and exit with the class's ``exit_code``; ``--debug`` shows the stack as well.
"""

from __future__ import annotations


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
        super().__init__(f"{problem} {cure}")
        self.problem = problem
        self.cure = cure


class UsageError(MavenError):
    """The command was called wrongly: an unknown option value, a path that isn't there."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that can't be read or doesn't validate; all of its faults are in one message."""


class DataError(MavenError):
    """A data set, an annotation file or a transcript that isn't what it should be."""


class MediaError(MavenError):
    """A video, picture or sound that can't be decoded."""


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
