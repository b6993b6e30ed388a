"""The runs that are compared: what each consists of, and whether they can be compared at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from common.artefacts import read_record, recipe_of
from common.errors import CacheError, DataError, MavenError, UsageError
from common.manifest import MANIFEST, CachedClip, Manifest, read_manifest
from common.recipe import Recipe
from common.schema import Split
from stage3_mlp.compare.settings import differing_settings
from stage3_mlp.report.studied import SEEDS, about
from stage3_mlp.test import scored_clips
from stage3_mlp.train import HEAD, MADE_BY
from stage3_mlp.trained import trained_run

#: Runs of one comparison: each pair of them is compared, and the more pairs, the wider the intervals.
MAX_RUNS = 12

#: What a training holds in common with all others of a comparison; who reads it, and how a sentence puts it.
_SHARED: tuple[tuple[Callable[[Training], Any], str, str], ...] = (
    (lambda t: t.manifest.classes, "predicts", "Compare runs that predict the same."),
    (lambda t: t.manifest.protocol, "is split by", "Compare runs of one protocol: one of the two leaks on purpose."),
    (lambda t: t.split, "was scored on", "Compare runs that were scored on the same split."),
)


@dataclass(frozen=True)
class Training:
    """One trained head, and what it is scored on.

    ``remarks`` are all sentences that its outputs repeat.
    """

    folder: Path
    record: dict[str, Any]
    recipe: Recipe
    manifest: Manifest
    split: Split
    clips: tuple[CachedClip, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """A run with its trainings, one for each seed. ``mark`` is the letter that stands for it in pictures."""

    mark: str
    name: str
    folder: Path
    trainings: tuple[Training, ...]

    @property
    def seeds(self) -> list[int]:
        """In the order of its trainings."""
        return [training.recipe.seed for training in self.trainings]


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read two runs or more, in the order given, and refuse those that can't be compared. Nothing is predicted yet.

    Raises
    ------
    UsageError
        For fewer than two runs, more than `MAX_RUNS`, one that is named twice, or an unprintable name.
    CacheError, DataError
        For a run that isn't trained to its end or can't be scored, naming it; and for two that predict different
        things or are scored on different clips, naming what differs.
    """
    if not 2 <= len(folders) <= MAX_RUNS:
        raise UsageError(f"{len(folders)} run(s) can't be compared.", f"Name 2 to {MAX_RUNS} folders of runs.")
    runs = []
    for mark, name, folder in zip(ascii_uppercase, _names(folders), folders, strict=False):
        try:
            runs.append(Run(mark, name, folder, _trainings(folder)))
        except MavenError as error:
            raise type(error)(f"Run {name}: {error.problem}", error.cure) from error
    for run in runs:
        for training in run.trainings:
            _check_same(runs[0].name, runs[0].trainings[0], run.name, training)
    return runs


def seeds_of(run: Path) -> list[Path]:
    """The trainings that ``make seeds`` left below ``run``, or ``run`` alone where there are none.

    Raises
    ------
    CacheError
        If ``run`` isn't a trained run either, or one of its seeds wasn't trained to its end.
    """
    if not run.is_dir():
        raise CacheError(f"There is no folder {run}.", "Name a run that `make test` or `make seeds` has made.")
    found = [path for path in (run / SEEDS).glob("*") if path.name.isdecimal() and path.is_dir()]
    for path in found:
        if not _trained(path):
            raise CacheError(
                f"The training with seed {path.name} was stopped before its end.",
                f"`make seeds` with this RUN goes on where it was; or delete {path}.",
            )
    if found:
        return sorted(found, key=lambda path: int(path.name))
    if _trained(run):
        return [run]
    if any((run / part).exists() for part in (MANIFEST, "checkpoints", "fusion")):
        raise CacheError(
            "It was stopped before its head was trained.", "`make test` with this RUN goes on where it was."
        )
    raise CacheError(f"There is no trained run in {run}.", "Name a run that `make test` or `make seeds` has made.")


def _trained(folder: Path) -> bool:
    return (folder / HEAD / "record.json").is_file()


def _names(folders: Sequence[Path]) -> list[str]:
    """What to call each: its folder's name, or where two have the same, its path as it was given."""
    seen: set[Path] = set()
    for folder in folders:
        if not str(folder).isprintable():
            raise UsageError(f"The path {str(folder)!r} can't be printed.", "Rename that folder.")
        if folder.resolve() in seen:
            raise UsageError(f"The run {folder} is named twice.", "Name each run once: it is no better than itself.")
        seen.add(folder.resolve())
    short = [(folder.name.strip(".") and folder.name) or folder.resolve().name for folder in folders]
    return [name if short.count(name) == 1 else str(folder) for name, folder in zip(short, folders, strict=True)]


def _trainings(run: Path) -> tuple[Training, ...]:
    """All trainings of a run.

    Raises
    ------
    CacheError, DataError
        As in `read_runs`; and if its seeds were trained with different settings, or otherwise than its own head.
    """
    trainings = tuple(_training(folder) for folder in seeds_of(run))
    first = trainings[0]
    for training in trainings:
        if _but_for_the_seed(training.recipe) != _but_for_the_seed(first.recipe):
            raise DataError(
                f"Its seeds {first.folder.name} and {training.folder.name} have different settings.",
                "Train them with one recipe (`make seeds`), or delete those of the other.",
            )
    if first.folder != run and _trained(run):
        _check_own(run, trainings)
    return trainings


def _check_own(run: Path, trainings: Sequence[Training]) -> None:
    """Refuse seeds that an earlier state of a run has left, where the run has a head of its own."""
    recipe = recipe_of(run / HEAD, read_record(run / HEAD, made_by=MADE_BY), made_by=MADE_BY)
    what = ""
    if _but_for_the_seed(recipe) != _but_for_the_seed(trainings[0].recipe):
        changed = list(differing_settings([recipe, trainings[0].recipe]))
        what = f"with other settings than its own head: {_some(changed)}"
    elif (run / MANIFEST).is_file():
        now = about(read_manifest(run))
        if any(about(read_manifest(training.folder)) != now for training in trainings):
            what = "on other clips, labels, splits or features than it has now"
    if what:
        raise DataError(
            f"Its seeds in {run / SEEDS} were trained {what}.",
            f"`make seeds` with this RUN trains them anew; or name one of them as a run, such as "
            f"{trainings[0].folder}; or delete {run / SEEDS}.",
        )


def _but_for_the_seed(recipe: Recipe) -> dict[str, Any]:
    return {**recipe.shaping(), "seed": 0, "name": "", "summary": ""}


def _training(folder: Path) -> Training:
    record, recipe, manifest = trained_run(folder)
    split, clips, remarks = scored_clips(manifest)
    every = [*record.get("remarks", ()), *manifest.remarks, *remarks]
    return Training(folder, record, recipe, manifest, split, tuple(clips), tuple(dict.fromkeys(every)))


def _check_same(one: str, first: Training, other: str, second: Training) -> None:
    for read, verb, cure in _SHARED:
        a, b = read(first), read(second)
        if a != b:
            raise DataError(f"{one} {verb} {_in_words(a)}, {other} {verb} {_in_words(b)}.", cure)
    here, there = ({clip.id for clip in training.clips} for training in (first, second))
    if here != there:
        only = [
            f"only {run} has {_some(sorted(ids))}" for run, ids in ((one, here - there), (other, there - here)) if ids
        ]
        raise DataError(
            f"{one} and {other} were scored on different clips, {len(here)} and {len(there)}: {'; '.join(only)}.",
            "Compare runs of one data set and one selection of clips.",
        )


def _in_words(value: Any) -> str:
    if isinstance(value, tuple):
        return f"the classes {_some(value, 12)}" if value else "valence and arousal"
    return f"the {value} {'protocol' if value in ('honest', 'published') else 'split'}"


def _some(names: Sequence[str], shown: int = 3) -> str:
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")
