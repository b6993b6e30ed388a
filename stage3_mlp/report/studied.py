"""What studies have found out about a run, read from the files that they left below it.

The studies stand above the stages: stage 3 knows them by their files alone. A study is shown while it is about the
run as it is now, its settings and its clips, and the code is the same; else it is left out, and why is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from common.errors import CacheError
from common.manifest import Manifest, read_manifest
from common.outside_text import json_of
from common.recipe import Recipe, fingerprint
from common.versions import code_versions
from stage3_mlp.page import known

#: Folders below a run, each with ``<name>.json``; in the order of a page.
ABLATION, MISSING, SEEDS, FOLDS, SESSIONS = STUDIES = ("ablation", "missing", "seeds", "folds", "sessions")

#: How far a score may be from the run's own and count as the same: less than a page shows.
SAME_SCORE = 5e-4

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Study:
    """One study below a run.

    Attributes
    ----------
    kind : one of `STUDIES`
    rows : of its table, as in its CSV
    shares : of an ablation, per modality ``modality``, ``shapley``, ``low``, ``high``
    summary : of several seeds, their mean, ``spread``, ``low``, ``high``
    outdated : why it is left out, as the end of a sentence; "" where it is about the run as it is
    """

    kind: str
    rows: Rows = field(default_factory=list)
    shares: Rows = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    outdated: str = ""


def read_studies(run: Path, recipe: Mapping[str, Any]) -> list[Study]:
    """The studies below a run that stage 1 has done, in the order of `STUDIES`; those that weren't made are left out.

    Parameters
    ----------
    recipe : of the run's head, as JSON values
    """
    manifest = read_manifest(run)
    found = [_read(kind, run / kind, manifest, recipe) for kind in STUDIES]
    return [study for study in found if study is not None]


def identity(studies: Sequence[Study]) -> str:
    """A fingerprint of all that a page shows of studies."""
    return fingerprint("studies", [asdict(study) for study in studies])


def of_this_model(studies: Sequence[Study], score: Mapping[str, float | None]) -> list[Study]:
    """The studies, with that of withheld modalities left out where it is about another model than was scored.

    Its row with nothing withheld is the run's own score. Settings and clips alone don't tell models apart: a training
    set may have changed, or the machine.
    """
    return [
        replace(study, rows=[], outdated="its model is not the one that is scored here")
        if study.kind == MISSING and not study.outdated and not _same_score(study.rows[0], score)
        else study
        for study in studies
    ]


def about(manifest: Manifest) -> str:
    """A fingerprint of a manifest's clips, their splits and contents: what a study was about."""
    return fingerprint("about", manifest.protocol, [(c.id, c.split, c.content) for c in manifest.clips])


def _read(kind: str, folder: Path, manifest: Manifest, recipe: Mapping[str, Any]) -> Study | None:
    path = folder / f"{kind}.json"
    if not path.is_file():
        return None
    try:
        found = _json(path)
        rows = [dict(row) for row in found["rows"]]
        made_with = found["recipe"] if "recipe" in found else _json(folder / "metrics.json")["recipe"]
        same_clips = _SAME_CLIPS[kind](folder, found, manifest)
        outdated = "" if same_clips else "its clips, their splits or their features were others"
        if _shaping(made_with) != _shaping(recipe):
            outdated = "it was made with other settings"
        elif found.get("code_versions") != code_versions():
            outdated = "it was made by another version of this program"
        if outdated or not rows:
            return Study(kind, outdated=outdated or "its table is empty")
        shares, summary = found.get("shapley", []), found.get("summary", {})
        return Study(kind, rows, [dict(row) for row in shares], dict(summary))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CacheError):
        return Study(kind, outdated="its files are not as this version writes them")


def _json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json_of(path.read_text(encoding="utf-8"))
    return values


def _shaping(recipe: Mapping[str, Any]) -> Any:
    """What of a recipe shapes a score; stage 1 is in the contents of the clips."""
    settings = Recipe.model_validate(recipe)
    return settings.stage2.shaping(), settings.stage3.shaping(), settings.seed


def _of_the_manifest(folder: Path, found: dict[str, Any], manifest: Manifest) -> bool:
    return bool(found["about"] == about(manifest))


def _of_the_scored(folder: Path, found: dict[str, Any], manifest: Manifest) -> bool:
    now = {(clip.id, clip.split, clip.content) for clip in manifest.of(found["split"]) if clip.labelled}
    return now == {(clip.id, clip.split, clip.content) for clip in read_manifest(folder).clips}


def _of_each_seed(folder: Path, found: dict[str, Any], manifest: Manifest) -> bool:
    return all(about(read_manifest(folder / str(row["seed"]))) == about(manifest) for row in found["rows"])


def _of_each_fold(folder: Path, found: dict[str, Any], manifest: Manifest) -> bool:
    """Folds move clips between training and validation, and nothing else; the last row is the ensemble."""
    return all(_dealt(read_manifest(folder / str(row["fold"]))) == _dealt(manifest) for row in found["rows"][:-1])


def _of_each_session(folder: Path, found: dict[str, Any], manifest: Manifest) -> bool:
    """Sessions change places, the clips stay; the last row is of all sessions."""
    now = {(clip.id, clip.group, clip.content) for clip in manifest.clips}
    return all(
        now == {(clip.id, clip.group, clip.content) for clip in read_manifest(folder / str(row["session"])).clips}
        for row in found["rows"][:-1]
    )


def _dealt(manifest: Manifest) -> set[tuple[str, bool, str]]:
    return {(clip.id, clip.split in ("train", "validation"), clip.content) for clip in manifest.clips}


_SAME_CLIPS: dict[str, Callable[[Path, dict[str, Any], Manifest], bool]] = {
    ABLATION: _of_the_manifest,
    MISSING: _of_the_scored,
    SEEDS: _of_each_seed,
    FOLDS: _of_each_fold,
    SESSIONS: _of_each_session,
}


def _same_score(row: Mapping[str, Any], score: Mapping[str, float | None]) -> bool:
    for name, value in score.items():
        measured = row.get(name)
        if measured is None or value is None or not known(value):
            if known(measured) or known(value):
                return False
        elif not abs(measured - value) < SAME_SCORE:
            return False
    return True
