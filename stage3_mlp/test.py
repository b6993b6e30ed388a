"""Score a trained head on a split it has not seen: predictions, metrics, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from common.alone import alone
from common.artefacts import read_record
from common.errors import DataError
from common.files import write_json
from common.manifest import CachedClip, Manifest, read_manifest
from common.outside_text import json_of
from common.provenance import provenance
from common.recipe import fingerprint
from common.schema import Split
from stage3_mlp.ledger import scored_before
from stage3_mlp.outcome import Outcome, model_identity, outcome_of
from stage3_mlp.report.chosen import chosen_clips
from stage3_mlp.report.studied import Study, identity, of_this_model, read_studies
from stage3_mlp.train import FUSED, HEAD
from stage3_mlp.trained import trained_run

#: Raise when the same head would be scored or reported otherwise.
CODE_VERSION = 4

#: Below a run's folder.
TEST = "test"

Say = Callable[[str], None]
Pages = Literal["with video", "without video", "none"]


@dataclass(frozen=True)
class Scoring:
    """What is to be scored of a run, and what there is to say about it before.

    Attributes
    ----------
    manifest : of the fused features
    record : of the head
    clips : of ``split``, labelled
    studies : below the run, as far as they were made
    model : a fingerprint of what predicts
    key : a fingerprint of the score and its page
    """

    run: Path
    manifest: Manifest
    record: dict[str, Any]
    outcome: Outcome
    split: Split
    clips: list[CachedClip]
    remarks: list[str]
    studies: list[Study]
    model: str
    key: str

    @property
    def folder(self) -> Path:
        """Where the score is, or will be."""
        return self.run / TEST

    def known(self) -> dict[str, Any] | None:
        """What metrics.json holds, where it is whole and about this head, these clips and these studies."""
        try:
            metrics = json_of((self.folder / "metrics.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(metrics, dict):
            return None
        whole = all((self.folder / name).is_file() for name in self.outcome.files)
        return metrics if whole and metrics.get("fingerprint") == self.key else None


def scoring_of(run: Path) -> Scoring:
    """What `test` scores of a trained run.

    Raises
    ------
    CacheError, DataError
        As in `trained_run`; and if nothing that may be scored has labels.
    """
    record, _, manifest = trained_run(run)
    outcome = outcome_of(manifest.classes)
    split, clips, remarks = scored_clips(manifest)
    studies = read_studies(run, record["recipe"])
    model = model_identity(record)
    key = fingerprint("test", CODE_VERSION, model, split, [(c.id, c.content) for c in clips], identity(studies))
    return Scoring(run, manifest, record, outcome, split, clips, remarks, studies, model, key)


def test(cache: Path, run: Path, device: str, say: Say, *, pages: Pages = "with video") -> dict[str, Any]:
    """Score a run and write ``run/test/{predictions.csv, metrics.json, report.html}``; more for emotion classes.

    The test split is scored; where it has no labels (Aff-Wild2's are not public), the validation split is, and every
    output says that the epochs were selected on it. After a study of the run the page is written anew, with it.

    Parameters
    ----------
    pages : what the best and the worst clips get, each in ``run/clips``

    Returns
    -------
    dict
        What metrics.json holds.

    Raises
    ------
    CacheError, DataError
        As in `scoring_of`.
    """
    with alone(run / TEST, say):
        return _test(cache, run, device, say, pages)


def _test(cache: Path, run: Path, device: str, say: Say, pages: Pages) -> dict[str, Any]:
    scoring = scoring_of(run)
    outcome, folder = scoring.outcome, scoring.folder
    known = scoring.known()
    if known is not None and _has_pages(cache, scoring, known, pages):
        say(f"Stage 3: {folder} holds the score of this head on these clips; nothing to do, no model loaded.")
        _table(outcome, known, folder, say)
        return known
    predictions = outcome.predict(run / HEAD, cache, scoring.manifest, scoring.clips, device)
    metrics = _metrics(cache, scoring, predictions, say)
    outcome.write_predictions(folder / "predictions.csv", predictions, scoring.manifest.protocol)
    urls = _write_pages(cache, scoring, predictions, metrics, pages, say)
    outcome.write_report(
        folder,
        predictions,
        metrics=metrics,
        histories={
            "Stage 2": read_record(run / "fusion", made_by="make train-beit")["history"],
            "Stage 3": scoring.record["history"],
        },
        cache=cache,
        manifest=scoring.manifest,
        studies=of_this_model(scoring.studies, outcome.row(metrics)),
        pages=urls,
    )
    write_json(folder / "metrics.json", metrics)  # last: it says that the others are complete
    _table(outcome, metrics, folder, say)
    return metrics


def _has_pages(cache: Path, scoring: Scoring, metrics: dict[str, Any], pages: Pages) -> bool:
    """Have the clips that the report shows the pages that are wanted?"""
    if pages == "none" or scoring.manifest.rows != "frames":
        return True
    from stage3_mlp.views.clip_pages import are_current

    names = [chosen.clip for chosen in chosen_clips(metrics["per_clip"])]
    return are_current(scoring.run, cache, names, pictures=pages == "with video")


def _write_pages(
    cache: Path, scoring: Scoring, predictions: Sequence[Any], metrics: dict[str, Any], pages: Pages, say: Say
) -> dict[str, str]:
    """Pages of the clips that the report shows; clip to URL, relative to the report. Utterances have no video."""
    if pages == "none" or scoring.manifest.rows != "frames":
        return {}
    from stage3_mlp.views.clip_pages import write_clip_pages

    names = {chosen.clip for chosen in chosen_clips(metrics["per_clip"])}
    some = [prediction for prediction in predictions if prediction.clip in names]
    urls = write_clip_pages(scoring.run, cache, some, say, pictures=pages == "with video")
    return {clip: f"../{url}" for clip, url in urls.items()}


def _metrics(cache: Path, scoring: Scoring, predictions: Sequence[Any], say: Say) -> dict[str, Any]:
    """What metrics.json will hold."""
    manifest, record = scoring.manifest, scoring.record
    remarks = list(scoring.remarks)
    if scoring.split == "test":
        remarks += _seen_before(scored_before(cache, scoring.clips, scoring.model, scoring.run.name, say))
    return {
        "run": scoring.run.name,
        "split": scoring.split,
        **scoring.outcome.metrics(cache, manifest, predictions, record),
        "seed": record["seed"],
        "data": manifest.data,
        "data_kind": manifest.data_kind,
        "recipe": record["recipe"],
        "provenance": provenance(),
        "remarks": list(dict.fromkeys([*record["remarks"], *manifest.remarks, *remarks])),
        "fingerprint": scoring.key,
    }


def predict_clips(
    head_folder: Path, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], device: str
) -> list[Any]:
    """Predictions of the head in ``head_folder`` for each clip of a fused manifest."""
    return outcome_of(manifest.classes).predict(head_folder, cache, manifest, clips, device)


def scored_predictions(cache: Path, run: Path, device: str) -> list[Any]:
    """The predictions that `test` scores, of a trained run."""
    manifest = read_manifest(run / FUSED)
    return predict_clips(run / HEAD, cache, manifest, scored_clips(manifest)[1], device)


def scored_clips(manifest: Manifest) -> tuple[Split, list[CachedClip], list[str]]:
    """The split that is scored, its labelled clips, and what must be said about it.

    Raises
    ------
    DataError
        If neither the test nor the validation split has labels.
    """
    for split, remark in (
        ("test", []),
        ("validation", ["There are no test labels: this is the validation split, on which epochs were selected."]),
    ):
        clips = [clip for clip in manifest.of(split) if clip.labelled]  # type: ignore[arg-type]
        if clips:
            return split, clips, remark  # type: ignore[return-value]
    raise DataError(f"{manifest.data} has no labelled test or validation clip.", "A score needs labels.")


def _seen_before(others: int) -> list[str]:
    if not others:
        return []
    return [
        f"These test clips have been scored with {others} other model{'s' if others > 1 else ''} from this cache; "
        "the best of several is selected on test, and its score is too good."
    ]


def _table(outcome: Outcome, metrics: dict[str, Any], folder: Path, say: Say) -> None:
    for line in ("", *outcome.lines(metrics)):
        say(line)
    for remark in metrics["remarks"]:
        say(f"Note: {remark}")
    say(f"Report: {folder / 'report.html'}")
