"""A challenge submission: valence and arousal for exactly the frames of the organisers' sample file, in its order.

    python -m stage3_mlp submit --sample-file FILE --out runs/demo/submission.txt

Values are clipped to [-1, 1] and written at full precision. ``<video>/00001.jpg`` is the first frame of the clip
``<video>``. A row without a prediction of its own (beyond the clip's last frame, or nothing behind the frame: no face,
no sound, no word) gets that of the clip's nearest frame that has one, the earlier of two as near.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.artefacts import read_record
from common.errors import DataError, UsageError
from common.files import written_whole
from common.manifest import Manifest, read_manifest
from stage3_mlp.predictions import ClipPrediction
from stage3_mlp.samplefile import HEADER, SampleRows, read_sample
from stage3_mlp.train import FUSED, HEAD, MADE_BY

Floats = npt.NDArray[np.float32]

#: Rows that are turned into text at once.
_BLOCK = 65_536

#: So many names stand in an error.
_NAMED = 10


@dataclass
class Filled:
    """Rows that have no prediction of their own, by the reason."""

    beyond: int = 0
    nothing_behind: int = 0
    missing_clip: int = 0

    def in_words(self, rows: int) -> list[str]:
        """One sentence per reason that occurs."""
        reasons = (
            (self.beyond, "lie beyond their clip's last frame: filled from its nearest predicted frame"),
            (self.nothing_behind, "have no face, sound or word: filled from their clip's nearest predicted frame"),
            (self.missing_clip, "are of clips without a single prediction: filled with the mean of all predictions"),
        )
        return [f"{count:,} of {rows:,} rows {reason}." for count, reason in reasons if count]


def submit(
    sample: Path,
    out: Path,
    cache: Path,
    run: Path,
    device: str,
    say: Callable[[str], None],
    *,
    allow_missing_clips: bool = False,
) -> Filled:
    """Write the submission of a run.

    Parameters
    ----------
    sample, out : Path
        The organisers' file; the file to write.
    cache, run : Path
        Where the refined features, their manifest and the head are.
    allow_missing_clips : bool
        Fill clips without a single prediction with the mean of all predictions, instead of refusing.

    Raises
    ------
    UsageError
        If ``out`` is the sample file.
    DataError
        If the sample file is faulty or names a video that the run doesn't have; if a clip has no prediction.
    """
    if out.exists() and sample.exists() and out.samefile(sample):
        raise UsageError(f"--out {out} is the sample file itself.", "Give another name.")
    rows = read_sample(sample)
    manifest = read_manifest(run / FUSED)
    if manifest.classes:
        raise UsageError(
            f"{run} predicts emotion classes; a submission is of valence and arousal.",
            "Name a run of valence and arousal, as by RECIPE=maven.",
        )
    _check_known(sample, rows, manifest)
    read_record(run / HEAD, made_by=MADE_BY)
    predicted = _predict(rows, cache, run, manifest, device)
    _check_predicted(rows, predicted, manifest, allow_missing_clips)
    values, filled = fill(rows, predicted)
    _write(out, rows, values)
    for sentence in filled.in_words(len(rows)):
        say(f"Note: {sentence}")
    for remark in manifest.remarks:
        say(f"Note: {remark}")
    say(f"Submission: {out} ({len(rows):,} rows of {len(rows.videos)} clips)")
    return filled


def fill(rows: SampleRows, predicted: dict[str, ClipPrediction]) -> tuple[Floats, Filled]:
    """Values for every row, in [-1, 1], by the rule above.

    Parameters
    ----------
    rows : N rows
    predicted : clips by name, those with at least one predicted frame

    Returns
    -------
    values : (N, 2) float32
    filled : Filled
    """
    values = np.full((len(rows), 2), np.nan, dtype=np.float32)
    filled = Filled()
    clipped = {name: np.clip(clip.values, -1, 1) for name, clip in predicted.items()}
    seen = [clipped[name][clip.anything] for name, clip in predicted.items()]
    mean = np.concatenate(seen).mean(axis=0, dtype=np.float64)
    order = np.argsort(rows.video, kind="stable")
    ends = np.cumsum(np.bincount(rows.video, minlength=len(rows.videos)))
    for name, own in zip(rows.videos, np.split(order, ends[:-1]), strict=True):
        if name not in predicted:
            values[own] = mean
            filled.missing_clip += len(own)
            continue
        behind, frames = predicted[name].anything, rows.frame[own]
        beyond = frames >= len(behind)
        filled.beyond += int(beyond.sum())
        filled.nothing_behind += int((~behind[frames[~beyond]]).sum())
        values[own] = clipped[name][_nearest(np.flatnonzero(behind), frames)]
    return values, filled


def _nearest(known: npt.NDArray[np.intp], wanted: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """For each wanted frame the nearest of the known ones (ascending); the earlier of two as near."""
    after = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    before = np.maximum(after - 1, 0)
    earlier = np.abs(wanted - known[before]) <= np.abs(known[after] - wanted)
    return known[np.where(earlier, before, after)]


def _predict(rows: SampleRows, cache: Path, run: Path, manifest: Manifest, device: str) -> dict[str, ClipPrediction]:
    """Predictions of the sample's clips, those with at least one predicted frame."""
    from stage3_mlp.test import predict_clips

    wanted = set(rows.videos)
    clips = [clip for clip in manifest.clips if clip.id in wanted]
    found = predict_clips(run / HEAD, cache, manifest, clips, device)
    return {prediction.clip: prediction for prediction in found if prediction.anything.any()}


def _check_known(sample: Path, rows: SampleRows, manifest: Manifest) -> None:
    known = {clip.id for clip in manifest.clips} | {failure.id for failure in manifest.failures}
    unknown = [number for number, name in enumerate(rows.videos) if name not in known]
    if unknown:
        line = int(np.argmax(rows.video == unknown[0])) + 2
        others = [rows.videos[number] for number in unknown[1:]]
        also = f" Nor does it have {_names(others)}." if others else ""
        raise DataError(
            f"{sample}, line {line}: this run has no clip {rows.videos[unknown[0]]!r}.{also}",
            f"Add it to the data ({manifest.data}) and run make embeddings again, or check the name.",
        )


def _check_predicted(
    rows: SampleRows, predicted: dict[str, ClipPrediction], manifest: Manifest, allow_missing: bool
) -> None:
    missing = [name for name in rows.videos if name not in predicted]
    if missing and (not predicted or not allow_missing):
        failed = {failure.id: failure.problem for failure in manifest.failures}
        why = next((f" {name} failed in stage 1: {failed[name]}" for name in missing if name in failed), "")
        cure = "Mend these clips, or fill them with the mean of all predictions: --allow-missing-clips."
        raise DataError(
            f"{len(missing)} clip(s) of the sample file have not one predicted frame: {_names(missing)}.{why}",
            cure if predicted else "No clip has any: there is nothing to submit.",
        )


def _write(out: Path, rows: SampleRows, values: Floats) -> None:
    """Write all rows, prove what was written, and only then let the file appear."""
    with written_whole(out) as partial:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            for first in range(0, len(rows), _BLOCK):
                stop = min(first + _BLOCK, len(rows))
                # str() of a float32 is the shortest decimal that gives it back.
                columns = ([str(value) for value in column] for column in values[first:stop].T)
                writer.writerows(zip(rows.locations(first, stop), *columns, strict=True))
        prove(partial, rows)


def prove(path: Path, rows: SampleRows) -> None:
    """Read a submission back: each row of the sample once, in its order, with two finite numbers in [-1, 1].

    Raises
    ------
    DataError
        If it is anything else; naming the line.
    """
    fault = "This is unexpected; please report it."
    expected = rows.locations(0, len(rows))
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file, strict=True)
        if tuple(next(reader, ())) != HEADER:
            raise DataError("Line 1 of the submission is not its header.", fault)
        count = 0
        for count, (location, cells) in enumerate(zip(expected, reader, strict=False), start=1):
            if cells[:1] != [location]:
                raise DataError(f"Line {count + 1} of the submission is {cells}, not {location!r}.", fault)
            if len(cells) != len(HEADER) or not all(-1 <= float(cell) <= 1 for cell in cells[1:]):  # also NaN
                raise DataError(f"Line {count + 1} of the submission is {cells}: no two values in [-1, 1].", fault)
        if count != len(rows) or next(reader, None) is not None:
            raise DataError(f"The submission doesn't have the {len(rows)} rows of the sample file.", fault)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
