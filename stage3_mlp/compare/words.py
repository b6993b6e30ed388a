"""What is said of a comparison: its remarks, and the lines of the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stage3_mlp.compare.runs import Run
from stage3_mlp.tables import in_lines

#: Below it, percentile intervals are too narrow by more than two points: those of a normal mean, meant to hold it in
#: 95 % of cases, do in 84 % with 5 clips, 90 % with 10, 93 % with 20.
FEW_CLIPS = 20


def remarks(runs: Sequence[Run]) -> list[str]:
    """Those of all runs, with the names of the runs where they aren't about all; and what makes a comparison unfair."""
    by_remark: dict[str, list[str]] = {}
    for run in runs:
        for remark in dict.fromkeys(remark for training in run.trainings for remark in training.remarks):
            by_remark.setdefault(remark, []).append(run.name)
    said = [f"{', '.join(of)}: {text}" if len(of) < len(runs) else text for text, of in by_remark.items()]
    data = dict.fromkeys(training.manifest.data for run in runs for training in run.trainings)
    if len(data) > 1:
        said.append(f"The runs name different data, with the same clips and labels: {', '.join(data)}.")
    seen = {
        run.name: {(c.id, c.split) for t in run.trainings for c in t.manifest.of("train", "validation") if c.labelled}
        for run in runs
    }
    if len(set(map(frozenset, seen.values()))) > 1:
        counts = ", ".join(f"{name} {len(clips)}" for name, clips in seen.items())
        said.append(f"Not all runs were trained and selected on the same clips: {counts}.")
    single = [run.name for run in runs if len(run.trainings) == 1]
    if 0 < len(single) < len(runs):
        said.append(f"The intervals don't know how much the seed does for what has one seed: {', '.join(single)}.")
    return said


def of_the_clips(clips: int, models: Sequence[int]) -> list[str]:
    """What must be said of the scored clips.

    Parameters
    ----------
    clips : how many are drawn from
    models : of each training, with how many others its test clips have been scored
    """
    said = []
    if 2 <= clips < FEW_CLIPS:
        said.append(f"Intervals that are drawn from {clips} clips are too narrow: take what looks clear for a hint.")
    if models:
        said.append(
            f"These test clips have been scored with {max(models) + 1} models from this cache; "
            "the best of several is selected on test, and its score is too good."
        )
    return said


def in_words(found: dict[str, Any]) -> list[str]:
    """The comparison for a terminal."""
    rows, many = found["rows"], found["comparisons"] > 1
    shown = ("mark", "run", "recipe", "seeds", *found["figures"], "low", "high")
    lines = ["", *in_lines([{name: row[name] for name in shown} for row in rows])]
    lines.append(
        f"low, high: 95 % of the {found['title']}, over {found['clips']} clips (and seeds), {found['draws']} draws"
    )
    for one in found["differences"]:
        first, second = (rows[one[end]] for end in ("one", "other"))
        widened = f", as one of {found['comparisons']} {_bounds(one['widened'])}" if many else ""
        share = "" if one["ahead"] != one["ahead"] else f"; {first['mark']} is ahead in {one['ahead']:.1%} of draws"
        lines += [
            "",
            f"{first['mark']} - {second['mark']}: difference {one['difference']:+.4f}, "
            f"95 % {_bounds(one['interval'])}{widened}{share}",
            f"  {one['verdict']}",
        ]
    if many:
        lines += ["", f"{found['comparisons']} comparisons; correction: {found['correction']}"]
    lines += ["", "Settings that differ:" if found["settings"] else "No setting differs."]
    for key, values in found["settings"].items():
        each = ", ".join(f"{row['mark']} {value or '-'}" for row, value in zip(rows, values, strict=True))
        lines.append(f"  {key}: {each}")
    return [*lines, *(f"Note: {remark}" for remark in found["remarks"])]


def _bounds(bounds: Sequence[float]) -> str:
    low, high = bounds
    return "-" if low != low else f"[{low:+.4f}, {high:+.4f}]"
