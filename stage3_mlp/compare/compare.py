"""Which of several runs is better? A paired bootstrap over their clips, and over seeds where they have several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.bootstrap import interval
from common.errors import DataError, MavenError
from common.labels import annotated
from stage3_mlp.compare.paired import CORRECTION, LEVEL, differences, draws_for
from stage3_mlp.compare.runs import Run, read_runs
from stage3_mlp.compare.settings import differing_settings
from stage3_mlp.compare.words import in_words, of_the_clips, remarks
from stage3_mlp.ledger import scored_before
from stage3_mlp.outcome import Outcome, model_identity, outcome_of
from stage3_mlp.tables import write_rows, write_study
from stage3_mlp.test import predict_clips
from stage3_mlp.train import HEAD

COMPARE = "compare"
PAGE = "compare.html"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Scored:
    """A run's predictions: per training the pairs of its clips by their names, and its figures, means over seeds."""

    run: Run
    pairs: list[dict[str, Any]]
    figures: dict[str, float]


def compare(folders: Sequence[Path], cache: Path, device: str, out: Path, say: Say) -> dict[str, Any]:
    """Compare trained runs, each pair of them, by the figure that counts, on the clips that all were scored on.

    Writes ``out/{compare.csv, differences.csv, compare.json, compare.html}``.

    Parameters
    ----------
    folders : two runs or more; where `make seeds` was run in one, its trainings are meant
    out : folder

    Returns
    -------
    dict
        What compare.json holds: ``rows`` (a run each), ``differences`` (a pair each), ``settings``, ``per_clip``, and
        what was drawn.

    Raises
    ------
    MavenError
        As `read_runs`; and if predictions can't be made, or the labels of a clip differ between runs.
    """
    from stage3_mlp.compare.page import write_comparison

    runs = read_runs(folders)
    first = runs[0].trainings[0]
    outcome = outcome_of(first.manifest.classes)
    scored = []
    for run in runs:
        seeds = f" ({len(run.trainings)} seeds)" if len(run.trainings) > 1 else ""
        say(f"Compare: {run.mark}, {run.name}{seeds}: predicting {len(first.clips)} clips")
        scored.append(_score(run, outcome, cache, device))
    names = [clip.id for clip in first.clips]
    _check_labels(scored, names)
    models = [note for run in runs for note in _note_in_ledger(run, cache, say)]
    figures = _figures(scored, names, outcome)
    found = {
        "title": outcome.title,
        "figures": list(outcome.figures),
        "split": first.split,
        "protocol": first.manifest.protocol,
        "data": list(dict.fromkeys(t.manifest.data for run in runs for t in run.trainings)),
        "row_kind": first.manifest.rows,
        **figures,
        "per_clip": _per_clip(scored, names, outcome),
        "remarks": [*remarks(runs), *of_the_clips(figures["clips"], models)],
        "recipes": [run.trainings[0].recipe.model_dump(mode="json") for run in runs],
    }
    path = write_study(out, COMPARE, **found)
    write_rows(out / "differences.csv", [_row(found, one) for one in found["differences"]], found["protocol"])
    write_comparison(out / PAGE, found)
    for line in in_words(found):
        say(line)
    say(f"Tables: {path.parent}")
    say(f"Page: {out / PAGE}")
    return found


def _score(run: Run, outcome: Outcome, cache: Path, device: str) -> Scored:
    pairs, figures = [], []
    try:
        for training in run.trainings:
            predictions = predict_clips(training.folder / HEAD, cache, training.manifest, training.clips, device)
            pairs.append({prediction.clip: outcome.pair(prediction) for prediction in predictions})
            figures.append(outcome.row(outcome.measured(predictions, training.record)))
    except MavenError as error:
        raise type(error)(f"Run {run.name}: {error.problem}", error.cure) from error
    return Scored(run, pairs, {name: float(np.mean([row[name] for row in figures])) for name in outcome.figures})


def _check_labels(scored: Sequence[Scored], names: Sequence[str]) -> None:
    first = scored[0]
    for other in scored:
        for name in names:
            true = np.asarray(first.pairs[0][name][1])
            for pairs in other.pairs:
                same = np.asarray(pairs[name][1])
                if not np.array_equal(true, same, equal_nan=true.dtype.kind == "f"):
                    what = f"{len(true)} and {len(same)} rows" if len(true) != len(same) else "different labels"
                    raise DataError(
                        f"Clip {name} has {what} in {first.run.name} and {other.run.name}.",
                        "Compare runs of one version of the data.",
                    )


def _note_in_ledger(run: Run, cache: Path, say: Callable[[str], None]) -> list[int]:
    """With how many others the test clips have been scored; as after `make test`, which may not have been run."""
    return [
        scored_before(cache, training.clips, model_identity(training.record), training.folder.name, say)
        for training in run.trainings
        if training.split == "test"
    ]


def _figures(scored: Sequence[Scored], names: Sequence[str], outcome: Outcome) -> dict[str, Any]:
    """The runs as rows, the differences of all pairs, the settings that differ, and what was drawn."""
    runs = [one.run for one in scored]
    groups = [[[seed[name] for name in names] for seed in one.pairs] for one in scored]
    repeats = draws_for(len(runs))
    draws = outcome.draws(groups, repeats)
    labelled = [int(annotated(np.asarray(scored[0].pairs[0][name][1])).sum()) for name in names]
    clips = sum(rows > 0 for rows in labelled)
    settings = differing_settings([run.trainings[0].recipe for run in runs])
    rows = []
    for place, one in enumerate(scored):
        low, high = interval(draws[place], LEVEL)
        rows.append(
            {
                "mark": one.run.mark,
                "run": one.run.name,
                "recipe": one.run.trainings[0].recipe.name,
                "seeds": " ".join(map(str, one.run.seeds)),
                **one.figures,
                "low": low,
                "high": high,
                **{key: values[place] for key, values in settings.items()},
            }
        )
    counted = [one.figures[outcome.figures[-1]] for one in scored]
    compared = differences([run.name for run in runs], counted, draws, clips)
    return {
        "rows": rows,
        "differences": [asdict(one) for one in compared],
        "settings": settings,
        "comparisons": len(compared),
        "correction": CORRECTION if len(compared) > 1 else "none: one comparison",
        "draws": repeats,
        "clips": clips,
        "labelled_rows": sum(labelled),
    }


def _per_clip(scored: Sequence[Scored], names: Sequence[str], outcome: Outcome) -> list[dict[str, Any]]:
    """Of each clip, its labelled rows and the figure that counts of each run, a mean over seeds."""
    rows = []
    for name in names:
        figures = [float(np.mean([outcome.score([seed[name]]) for seed in one.pairs])) for one in scored]
        labelled = int(annotated(np.asarray(scored[0].pairs[0][name][1])).sum())
        rows.append({"clip": name, "rows": labelled, "figures": figures})
    return rows


def _row(found: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """A line of differences.csv."""
    names = [row["run"] for row in found["rows"]]
    (low, high), (lower, higher) = one["interval"], one["widened"]
    figures = {"difference": one["difference"], "low": low, "high": high, "low_widened": lower, "high_widened": higher}
    ends = {"one": names[one["one"]], "other": names[one["other"]]}
    return {**ends, **figures, "ahead": one["ahead"], "verdict": one["verdict"]}
